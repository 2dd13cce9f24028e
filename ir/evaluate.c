/* evaluate.c - see evaluate.h. */
#include "ir/evaluate.h"
#include "ir/scalar.h"
#include "ir/table.h"
#include "runtime/philox.h"

#include <math.h>
#include <string.h>

typedef enum Action {
  DO_INDEX,
  DO_FORM,
  DO_FLOORDIV,
  DO_GE0,
  DO_EQ0,
  DO_READ,
  DO_RANDOM,
  DO_OP,
  DO_SELECT,
  DO_CAST
} Action;

typedef struct Instr {
  Action action;
  Register *out;
  int n;
  Register **in;
  DType from, to; /* of the operands and of the result, as evaluated */
  ScalarOp op;
  const Expr *e;
  int slot;              /* DO_INDEX */
  int64_t constant;      /* DO_FORM: the constant; DO_FLOORDIV: the divisor */
  int64_t *coefficients; /* DO_FORM */
  const Tensor *tensor;  /* DO_READ */
} Instr;

struct Program {
  EvalContext cx;
  PtrMap done; /* Expr, Form and Atom to Register */
  Vec(Instr) code;
};

Program *program_new(const EvalContext *cx) {
  Program *p = NEW(cx->arena, Program);
  p->cx = *cx;
  return p;
}

/* ---- translation ---- */

static Register *new_register(Program *p, bool real) {
  Register *r = NEW(p->cx.arena, Register);
  if (real) r->real = NEW_ARRAY(p->cx.arena, double, EVAL_BLOCK);
  else r->integer = NEW_ARRAY(p->cx.arena, int64_t, EVAL_BLOCK);
  r->outside = NEW_ARRAY(p->cx.arena, uint8_t, EVAL_BLOCK);
  return r;
}

static Register *constant_real(Program *p, double v) {
  Register *r = new_register(p, true);
  for (int k = 0; k < EVAL_BLOCK; k++) r->real[k] = v;
  return r;
}

static Register *constant_int(Program *p, int64_t v) {
  Register *r = new_register(p, false);
  for (int k = 0; k < EVAL_BLOCK; k++) r->integer[k] = v;
  return r;
}

static DType effective(const Program *p, DType t) { return p->cx.f64 && dtype_is_float(t) ? DT_f64 : t; }

static Register *emit(Program *p, Instr i) {
  i.out = new_register(p, i.action == DO_READ || i.action == DO_OP || i.action == DO_SELECT || i.action == DO_CAST ||
                                  i.action == DO_RANDOM
                              ? dtype_is_float(i.to)
                              : false);
  vec_push(p->cx.arena, &p->code, i);
  return i.out;
}

static Register *atom_register(Program *p, Atom *a) {
  Register *r = ptrmap_get(&p->done, a);
  if (r) return r;
  switch (a->kind) {
  case ATOM_VAR: r = emit(p, (Instr){.action = DO_INDEX, .slot = a->var->slot}); break;
  case ATOM_DATA: r = program_expr(p, a->data); break;
  case ATOM_DIM: r = constant_int(p, dim_evaluate(a->dim, p->cx.dim, p->cx.dim_cx)); break;
  case ATOM_DIV: {
    Register **in = NEW(p->cx.arena, Register *);
    in[0] = program_form(p, a->form);
    r = emit(p, (Instr){.action = DO_FLOORDIV, .n = 1, .in = in, .constant = a->divisor});
    break;
  }
  }
  ptrmap_put(&p->done, a, r);
  return r;
}

Register *program_form(Program *p, Form *f) {
  Register *r = ptrmap_get(&p->done, f);
  if (r) return r;
  if (f->n == 0) {
    r = constant_int(p, f->c0);
  } else if (f->n == 1 && f->c0 == 0 && f->terms[0].coefficient == 1) {
    r = atom_register(p, f->terms[0].atom);
  } else {
    Instr i = {.action = DO_FORM, .n = f->n, .constant = f->c0};
    i.in = NEW_ARRAY(p->cx.arena, Register *, f->n);
    i.coefficients = NEW_ARRAY(p->cx.arena, int64_t, f->n);
    for (int k = 0; k < f->n; k++) {
      i.in[k] = atom_register(p, f->terms[k].atom);
      i.coefficients[k] = f->terms[k].coefficient;
    }
    r = emit(p, i);
  }
  ptrmap_put(&p->done, f, r);
  return r;
}

static Register *form_instr(Program *p, Instr i, Form *f) {
  i.n = 1;
  i.in = NEW(p->cx.arena, Register *);
  i.in[0] = program_form(p, f);
  return emit(p, i);
}

static Register *read_instr(Program *p, Expr *e) {
  Instr i = {.action = DO_READ, .n = e->node->rank, .to = effective(p, e->dtype), .e = e};
  i.tensor = &p->cx.values[e->node->id];
  i.in = NEW_ARRAY(p->cx.arena, Register *, i.n + 1);
  for (int k = 0; k < i.n; k++) i.in[k] = program_form(p, e->at[k]);
  return emit(p, i);
}

static Register *op_instr(Program *p, Expr *e) {
  Instr i = {.n = e->n, .e = e, .op = e->op, .to = effective(p, e->dtype)};
  i.action = e->kind == EXPR_RANDOM ? DO_RANDOM : e->op == OP_select ? DO_SELECT : e->op == OP_cast ? DO_CAST : DO_OP;
  i.in = NEW_ARRAY(p->cx.arena, Register *, e->n + 1);
  for (int k = 0; k < e->n; k++) i.in[k] = program_expr(p, e->arg[k]);
  i.from = effective(p, e->arg[e->n - 1]->dtype);
  if (i.action == DO_RANDOM) i.in[i.n++] = program_form(p, e->form);
  return emit(p, i);
}

Register *program_expr(Program *p, Expr *e) {
  Register *r = ptrmap_get(&p->done, e);
  if (r) return r;
  switch (e->kind) {
  case EXPR_CONST: r = dtype_is_float(e->dtype) ? constant_real(p, e->real) : constant_int(p, e->integer); break;
  case EXPR_INDEX: r = program_form(p, e->form); break;
  case EXPR_GE0: r = form_instr(p, (Instr){.action = DO_GE0}, e->form); break;
  case EXPR_EQ0: r = form_instr(p, (Instr){.action = DO_EQ0}, e->form); break;
  case EXPR_READ: r = read_instr(p, e); break;
  default: r = op_instr(p, e); break;
  }
  ptrmap_put(&p->done, e, r);
  return r;
}

/* ---- evaluation ---- */

/* The result is outside where any operand is. */
static void spread_outside(const Instr *i, int n) {
  i->out->any_outside = false;
  for (int j = 0; j < i->n; j++) {
    if (!i->in[j]->any_outside) continue;
    if (!i->out->any_outside) memset(i->out->outside, 0, (size_t)n);
    i->out->any_outside = true;
    for (int k = 0; k < n; k++) i->out->outside[k] |= i->in[j]->outside[k];
  }
}

static void run_form(const Instr *i, int n) {
  int64_t *out = i->out->integer;
  for (int k = 0; k < n; k++) out[k] = i->constant;
  for (int j = 0; j < i->n; j++) {
    const int64_t *in = i->in[j]->integer, c = i->coefficients[j];
    for (int k = 0; k < n; k++) out[k] += c * in[k];
  }
}

static void mark_outside(Register *r, int k, int n) {
  if (!r->any_outside) memset(r->outside, 0, (size_t)n);
  r->any_outside = true;
  r->outside[k] = 1;
}

static void load(const Instr *i, const int64_t *offset, int n) {
  const Tensor *t = i->tensor;
  double *real = i->out->real;
  if (t->dtype == DT_f64)
    for (int k = 0; k < n; k++) real[k] = ((const double *)t->data)[offset[k]];
  else if (t->dtype == DT_f32)
    for (int k = 0; k < n; k++) real[k] = (double)((const float *)t->data)[offset[k]];
  else if (real)
    for (int k = 0; k < n; k++) real[k] = dtype_load_real(t->dtype, t->data, offset[k]);
  else
    for (int k = 0; k < n; k++) i->out->integer[k] = dtype_load_int(t->dtype, t->data, offset[k]);
}

/* Marks the points that read outside, and moves them to the first element; false if there is no element at all. */
static bool mark_reads(const Instr *i, int64_t *offset, int n) {
  for (int k = 0; k < n; k++) {
    bool bad = i->out->any_outside && i->out->outside[k];
    for (int j = 0; j < i->n; j++) bad |= i->in[j]->integer[k] < 0 || i->in[j]->integer[k] >= i->tensor->extent[j];
    if (!bad) continue;
    mark_outside(i->out, k, n);
    offset[k] = 0;
  }
  return tensor_count(i->tensor) > 0;
}

static void run_read(const Instr *i, int n) {
  int64_t offset[EVAL_BLOCK];
  uint64_t bad = i->out->any_outside;
  for (int k = 0; k < n; k++) offset[k] = 0;
  for (int j = 0; j < i->n; j++) {
    const int64_t *in = i->in[j]->integer;
    const uint64_t extent = (uint64_t)i->tensor->extent[j];
    for (int k = 0; k < n; k++) {
      offset[k] = (int64_t)((uint64_t)offset[k] * extent + (uint64_t)in[k]);
      bad |= (uint64_t)in[k] >= extent;
    }
  }
  if (!bad || mark_reads(i, offset, n)) load(i, offset, n);
}

static void run_random(const Instr *i, int n) {
  for (int k = 0; k < n; k++) {
    uint64_t key = (uint64_t)i->in[0]->integer[k] ^ i->e->key, step = (uint64_t)i->in[1]->integer[k],
             place = (uint64_t)i->in[2]->integer[k], element = (uint64_t)i->in[3]->integer[k];
    i->out->real[k] = i->e->dtype == DT_f64 ? nnrt_draw_f64(key, step, place, element)
                                            : (double)nnrt_draw_f32(key, step, place, element);
  }
}

static void run_select(const Instr *i, int n) {
  const Register *p = i->in[0], *a = i->in[1], *b = i->in[2];
  Register *out = i->out;
  for (int k = 0; k < n; k++) {
    const Register *taken = p->integer[k] ? a : b;
    if (out->real) out->real[k] = taken->real[k];
    else out->integer[k] = taken->integer[k];
  }
  out->any_outside = false;
  if (!p->any_outside && !a->any_outside && !b->any_outside) return;
  for (int k = 0; k < n; k++) {
    const Register *taken = p->integer[k] ? a : b;
    if ((p->any_outside && p->outside[k]) || (taken->any_outside && taken->outside[k])) mark_outside(out, k, n);
  }
}

/* and, or: a side that decides hides the other. */
static void run_lazy_bool(const Instr *i, int n) {
  const Register *a = i->in[0], *b = i->in[1];
  int64_t decides = i->op == OP_or;
  i->out->any_outside = false;
  for (int k = 0; k < n; k++) {
    bool bad_a = a->any_outside && a->outside[k], bad_b = b->any_outside && b->outside[k];
    bool decided = (!bad_a && a->integer[k] == decides) || (!bad_b && b->integer[k] == decides);
    i->out->integer[k] = decided ? decides : !decides;
    if (!decided && (bad_a || bad_b)) mark_outside(i->out, k, n);
  }
}

static void run_cast(const Instr *i, int n) {
  const Register *in = i->in[0];
  for (int k = 0; k < n; k++) {
    if (i->out->real) i->out->real[k] = dtype_round(i->to, in->real ? in->real[k] : (double)in->integer[k]);
    else i->out->integer[k] = in->real ? dtype_truncate(i->to, in->real[k]) : dtype_wrap(i->to, in->integer[k]);
  }
}

static void round_all(DType t, double *v, int n) {
  if (t == DT_f32)
    for (int k = 0; k < n; k++) v[k] = (double)(float)v[k];
  else if (t != DT_f64)
    for (int k = 0; k < n; k++) v[k] = dtype_round(t, v[k]);
}

/* The frequent operations without a call for each point. */
static bool run_simple_real(const Instr *i, int n) {
  const double *a = i->in[0]->real, *b = i->n > 1 ? i->in[1]->real : NULL;
  double *out = i->out->real;
  switch (i->op) {
  case OP_add:
    for (int k = 0; k < n; k++) out[k] = a[k] + b[k];
    break;
  case OP_sub:
    for (int k = 0; k < n; k++) out[k] = a[k] - b[k];
    break;
  case OP_mul:
    for (int k = 0; k < n; k++) out[k] = a[k] * b[k];
    break;
  case OP_div:
    for (int k = 0; k < n; k++) out[k] = a[k] / b[k];
    break;
  case OP_neg:
    for (int k = 0; k < n; k++) out[k] = -a[k];
    return true;
  case OP_sqrt:
    for (int k = 0; k < n; k++) out[k] = sqrt(a[k]);
    break;
  case OP_exp:
    for (int k = 0; k < n; k++) out[k] = exp(a[k]);
    break;
  default: return false;
  }
  round_all(i->to, out, n);
  return true;
}

static void run_op(const Instr *i, int n) {
  bool real = i->in[0]->real != NULL;
  if (real && i->out->real && run_simple_real(i, n)) return;
  for (int k = 0; k < n; k++) {
    if (real) {
      double a[3];
      for (int j = 0; j < i->n; j++) a[j] = i->in[j]->real[k];
      double v = scalar_fold(i->op, i->from, a);
      if (i->out->real) i->out->real[k] = v;
      else i->out->integer[k] = v != 0;
    } else {
      int64_t a[3];
      for (int j = 0; j < i->n; j++) a[j] = i->in[j]->integer[k];
      i->out->integer[k] = scalar_fold_int(i->op, i->from, a);
    }
  }
}

static void run_instr(const Instr *i, int n, int64_t *const *index) {
  if (i->action == DO_SELECT) {
    run_select(i, n);
    return;
  }
  if (i->action == DO_OP && (i->op == OP_and || i->op == OP_or)) {
    run_lazy_bool(i, n);
    return;
  }
  spread_outside(i, n);
  int64_t *out = i->out->integer;
  switch (i->action) {
  case DO_INDEX: memcpy(out, index[i->slot], sizeof *out * (size_t)n); break;
  case DO_FORM: run_form(i, n); break;
  case DO_FLOORDIV:
    for (int k = 0; k < n; k++) out[k] = floor_quotient(i->in[0]->integer[k], i->constant);
    break;
  case DO_GE0:
    for (int k = 0; k < n; k++) out[k] = i->in[0]->integer[k] >= 0;
    break;
  case DO_EQ0:
    for (int k = 0; k < n; k++) out[k] = i->in[0]->integer[k] == 0;
    break;
  case DO_READ: run_read(i, n); break;
  case DO_RANDOM: run_random(i, n); break;
  case DO_CAST: run_cast(i, n); break;
  default: run_op(i, n); break;
  }
}

/* Monte Carlo arithmetic: Parker, Pierce, Eggert 2000, doi:10.1109/5992.852391. */
static void shake(Program *p, const Instr *i, int n) {
  if (!i->out->real || (i->action != DO_READ && i->action != DO_OP)) return;
  for (int k = 0; k < n; k++) {
    uint64_t z = p->cx.seed += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    double share = 2 * ((double)((z ^ z >> 31) >> 11) * 0x1p-53) - 1; /* (-1, 1) */
    i->out->real[k] *= 1 + p->cx.jitter * share;
  }
}

void program_run(Program *p, int n, int64_t *const *index) {
  for (int i = 0; i < p->code.n; i++) {
    run_instr(&p->code.at[i], n, index);
    if (p->cx.jitter != 0) shake(p, &p->code.at[i], n);
  }
}

void program_free(Program *p) { ptrmap_free(&p->done); }
