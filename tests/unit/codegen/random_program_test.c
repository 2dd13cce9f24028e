/* random_program_test.c - random_program_test [COUNT [FIRST]], `wrong COUNT FIRST` (16 mutations of each and nothing
 * else), or `print SEED KIND [MUTATION]`: random programs from their text.
 *
 * Well-typed ones: no message, and the graph of the entry, or of a step of the training, gives by CPU code at -O0 and
 * at -O2 what the interpreter gives for the graph as it was elaborated. Those with gradients: each is the central
 * difference of the loss, in f64. Mutations of them: refused with one message or more, each with a place in the text;
 * or, where the change may have left a program, one that can be evaluated, each read inside its tensor. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/elaborate.h"
#include "frontend/render.h"
#include "ir/pass.h"
#include "ir/scalar.h"
#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/random_program.h"

typedef struct Loaded {
  Arena *arena;
  StrTable *strings;
  Sources sources;
  DiagSink diags;
  Buf text;
  Graph *g; /* of the entry or the step, which asks for derivatives still; NULL after messages */
} Loaded;

static const char *current = ""; /* the text that is elaborated or run, for an abort */

static void show_current(int signal_number) {
  (void)signal_number;
  fprintf(stderr, "---- this program ended the test:\n%s", current);
}

/* Elaborates l->text. */
static void elaborate(Loaded *l, bool f64) {
  l->arena = arena_new();
  l->strings = str_table_new(l->arena);
  l->sources.arena = l->diags.arena = l->arena;
  const ElaborateOptions o = {.f64 = f64};
  current = l->text.text;
  Program *p = elaborate_program(l->arena, l->strings, &l->sources, &l->diags, str_internz(l->strings, "random.nn"),
                                 l->text.text, l->text.n, &o);
  if (l->diags.errors) return;
  if (p->entries.n) l->g = p->entries.at[0].graph;
  else if (p->train.n) l->g = p->train.at[0].step;
}

static void load(Loaded *l, uint64_t seed, RandomProgramKind kind, bool f64) {
  RandomProgram program;
  random_program(&program, seed, kind);
  *l = (Loaded){.text = program.text};
  elaborate(l, f64);
}

static void unload(Loaded *l) {
  buf_free(&l->text);
  arena_free(l->arena);
}

static bool plain(Loaded *l) {
  return l->g && pipeline_run(l->g, &l->diags, &(PipelineOptions){.level = 0, .verify = true});
}

static int fail(const Loaded *l, uint64_t seed, const char *what) {
  Buf b = {0};
  render_diags(&b, &l->diags, &l->sources, &(RenderOptions){0});
  printf("---- seed %d: %s\n%s%s", (int)seed, what, b.text ? b.text : "", l->text.text);
  buf_free(&b);
  return 1;
}

/* ---- compiled == interpreted ---- */

static int compare(uint64_t seed, RandomProgramKind kind, int level, bool f64) {
  Loaded made, reference;
  load(&made, seed, kind, f64);
  load(&reference, seed, kind, f64);
  int bad = 0;
  if (!made.g || !plain(&reference)) {
    bad = fail(&made, seed, "refused");
  } else {
    const KernelRun how = {.march = "native",
                           .level = level,
                           .batch = 1 + (int64_t)(seed % 3),
                           .chunks = 1 + (int)(seed % 2),
                           .seed = seed + 1,
                           .passes = true,
                           .reference = reference.g};
    const char *fault = kernel_run(made.g, &how);
    if (fault) bad = fail(&made, seed, fault), printf("---- at -O%d%s\n", level, f64 ? " in f64" : "");
  }
  unload(&made);
  unload(&reference);
  return bad;
}

/* ---- gradients == differences ---- */

/* Floats within [-1, 1), integers 0; the batch has 2 examples. */
static void give(Loaded *l, Interpretation *in, uint64_t seed) {
  enum { BATCH = 2 };
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 7;
  vec_push(l->arena, &in->dims, (DimBinding){l->g->batch, BATCH});
  for (int i = 0; i < l->g->nodes.n; i++) {
    const Node *n = l->g->nodes.at[i];
    if (n->kind != NODE_input && n->kind != NODE_param && n->kind != NODE_state) continue;
    Tensor t = {.dtype = n->dtype, .rank = n->rank};
    for (int d = 0; d < n->rank; d++)
      if (!dim_is_const(n->shape[d], &t.extent[d])) t.extent[d] = BATCH;
    t.data = arena_alloc(l->arena, (size_t)(tensor_count(&t) + 1) * 8);
    for (int64_t k = 0; k < tensor_count(&t); k++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      if (dtype_is_float(t.dtype)) dtype_store_real(t.dtype, t.data, k, (double)(state >> 40) * 0x1p-23 - 1);
      else dtype_store_int(t.dtype, t.data, k, 0);
    }
    vec_push(l->arena, &in->given, (Binding){n->name, t});
  }
}

/* Of both examples together: none depends on the other's argument. */
static double loss_at(Loaded *l, Interpretation *in) {
  const char *fault = interpret(l->g, in);
  if (fault) ice("%s", fault);
  const Tensor *loss = &in->values[l->g->outputs.at[0].node->id];
  double sum = 0;
  for (int64_t i = 0; i < tensor_count(loss); i++) sum += ((const double *)loss->data)[i];
  return sum;
}

/* A derivative d by argument x, at a few of its elements. */
static int differ(Loaded *l, Interpretation *in, uint64_t seed, int argument, const Tensor *d) {
  char name[16];
  sprintf(name, "x%d", argument);
  for (int i = 0; i < in->given.n; i++) {
    Tensor *x = &in->given.at[i].tensor;
    if (strcmp(in->given.at[i].name, name)) continue;
    int64_t count = tensor_count(x);
    for (int64_t k = 0; k < count; k += 1 + count / 5) {
      const double h = 1e-5, was = ((double *)x->data)[k], found = ((double *)d->data)[k];
      ((double *)x->data)[k] = was + h;
      double above = loss_at(l, in);
      ((double *)x->data)[k] = was - h;
      double below = loss_at(l, in), slope = (above - below) / (2 * h);
      ((double *)x->data)[k] = was;
      /* h^2 of the third derivative, which composed functions may make large, and rounding / h */
      if (fabs(slope - found) <= 2e-6 * (1 + fabs(slope))) continue;
      printf("---- d loss / d %s[%d]: %.12g, and by differences %.12g\n", name, (int)k, found, slope);
      return fail(l, seed, "a gradient is wrong");
    }
  }
  return 0;
}

static int check_gradients(uint64_t seed) {
  Loaded l;
  load(&l, seed, RANDOM_GRADIENTS, true);
  int bad = 0;
  if (!plain(&l)) {
    bad = fail(&l, seed, "refused");
  } else {
    Interpretation in = {.arena = l.arena};
    give(&l, &in, seed);
    loss_at(&l, &in);
    int n = l.g->outputs.n - 1;
    Tensor *d = NEW_ARRAY(l.arena, Tensor, n + 1);
    for (int i = 0; i < n; i++) d[i] = in.values[l.g->outputs.at[i + 1].node->id];
    for (int i = 0; i < n && !bad; i++) bad = differ(&l, &in, seed, i, &d[i]);
  }
  unload(&l);
  return bad;
}

/* ---- mutations ---- */

/* NULL, or what is wrong with what became of a mutation. */
static const char *judge(Loaded *l, uint64_t seed, bool certain) {
  if (l->diags.errors == 0 && certain) return "accepted";
  Buf shown = {0};
  render_diags(&shown, &l->diags, &l->sources, &(RenderOptions){0});
  buf_free(&shown);
  for (int i = 0; i < l->diags.all.n; i++) {
    const Diag *d = l->diags.all.at[i];
    if (!d->message[0] || !d->labels.at[0].span.source) return "a message without text or place";
  }
  if (!plain(l)) return l->diags.errors || !l->g ? NULL : "the passes refuse it without a message";
  Interpretation in = {.arena = l->arena};
  give(l, &in, seed);
  return interpret(l->g, &in);
}

static int check_mutation(uint64_t seed, RandomProgramKind kind, uint64_t which) {
  const char *what, *fault;
  char said[160];
  RandomProgram program;
  Loaded l = {0};
  random_program(&program, seed, kind);
  bool certain = random_mutation(&l.text, &program, seed * 16 + which, &what);
  elaborate(&l, false);
  int bad = 0;
  if ((fault = judge(&l, seed, certain))) {
    snprintf(said, sizeof said, "%s: %s", what, fault);
    bad = fail(&l, seed, said);
  }
  unload(&l);
  buf_free(&program.text);
  return bad;
}

static int check_seed(uint64_t seed, bool only_wrong) {
  RandomProgramKind kind = seed % 4 == 0 ? RANDOM_GRADIENTS : seed % 4 == 2 ? RANDOM_TRAINING : RANDOM_ANY;
  int differs = 0;
  for (uint64_t i = 0; i < (only_wrong ? 16 : 3); i++) differs += check_mutation(seed, kind, i);
  if (only_wrong) return differs;
  differs += compare(seed, kind, seed % 2 ? 2 : 0, seed % 3 == 0);
  if (seed % 2 == 0) differs += compare(seed, kind, 2, false);
  if (kind == RANDOM_GRADIENTS) differs += check_gradients(seed);
  return differs;
}

int main(int argc, char **argv) {
  if (argc >= 4 && !strcmp(argv[1], "print")) {
    RandomProgram program;
    Buf changed = {0};
    const char *what;
    uint64_t seed = (uint64_t)atoll(argv[2]);
    random_program(&program, seed, (RandomProgramKind)atoi(argv[3]));
    if (argc > 4) random_mutation(&changed, &program, seed * 16 + (uint64_t)atoll(argv[4]), &what);
    fputs(changed.text ? changed.text : program.text.text, stdout);
    buf_free(&changed);
    buf_free(&program.text);
    return 0;
  }
  bool only_wrong = argc > 1 && !strcmp(argv[1], "wrong");
  argv += only_wrong, argc -= only_wrong;
  int count = argc > 1 ? atoi(argv[1]) : 100, first = argc > 2 ? atoi(argv[2]) : 1, bad = 0;
  signal(SIGABRT, show_current);
  for (int i = 0; i < count; i++) {
    bad += check_seed((uint64_t)(first + i), only_wrong) > 0;
    fflush(stdout);
  }
  printf("%d programs, %d with a fault\n", count, bad);
  return bad ? 1 : 0;
}
