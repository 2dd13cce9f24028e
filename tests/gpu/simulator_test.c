/* simulator_test.c - simulator_test [device] WHAT [RUNS [COUNT [FIRST]]]: kernels in CUDA C, run by the simulator, or
 * by the driver of a GPU, against the interpreter. RUNS: schedules of threads and blocks for each, twice (each buffer
 * on its own, and all in one arena).
 *
 *   graphs   the graphs of tests/graphs, with gradients and Hessian-vector products
 *   rows     each row of scalar.def, with its derivatives
 *   cases    the comprehensions of tests/numeric/cases: values, gradients, Hessian-vector products
 *   products matrix products that are large enough for threads with several rows and columns
 *   shapes   kernels of one text, that differ in numbers
 *   units    products for units that multiply matrices, by every way in which an operand comes
 *   groups   the same by groups of warps, as sm_90a has them
 *   results  what these end in: boxes that leave, and maps that are too many for it
 *   narrow   the entries of narrow.nn, whose factors are rounded
 *   halves   a product whose factors are rounded
 *   shares   a product whose K is cut into slices
 *   columns  long rows of few positions
 *   scatters sums at data indices
 *   sorts    rows that a block puts in order
 *   ties     searches among equals
 *   attention  in streams, with masks, shared heads, and its derivatives
 *   flows    the same on units that multiply matrices
 *   group_flows  and by groups of warps
 *   angles   sin, cos and tan of large numbers
 *   random   random graphs, some with derivatives, in f32 and f64
 *
 * `kinds` lists these words. COUNT and FIRST choose among them. SHOW=1 prints schedule and text; STOP=1 ends at the
 * first that differs. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/elaborate.h"
#include "ir/scalar.h"
#include "tests/gpu/cuda_backend.h"
#include "tests/gpu/driver.h"
#include "tests/gpu/driver_backend.h"
#include "tests/unit/derivative_model.h"
#include "tests/unit/random_graph.h"
#include "tests/unit/row_model.h"
#include "tests/unit/stream_graph.h"

typedef struct Choice {
  const KernelBackend *backend;
  int runs, count, first; /* of what comes in order */
  int seen, differ;
  int processors;
  bool on_90a;
} Choice;

static KernelRun how_to(const Choice *c) {
  return (KernelRun){.backend = c->backend,
                     .runs = c->runs,
                     .march = "x86-64-v4",
                     .level = 2,
                     .batch = 3,
                     .chunks = 1,
                     .seed = (uint64_t)c->seen,
                     .passes = true,
                     .gpu = true,
                     .show = getenv("SHOW") != NULL};
}

/* Whether the next one is to be run. */
static bool take(Choice *c) {
  int i = c->seen++;
  return i >= c->first && i < c->first + c->count;
}

static void note(Choice *c, const char *name, const char *fault) {
  if (fault) printf("%s: %s\n", name, fault);
  fflush(stdout);
  c->differ += fault != NULL;
  if (fault && getenv("STOP")) exit(1);
}

static void graphs(Choice *c) {
  Arena *a = arena_new();
  Cases cases = {0};
  cases_read(a, NNC_GRAPHS, &cases);
  for (int i = 0; i < cases.n; i++) {
    char error[256];
    if (!take(c)) continue;
    Model m = model_read(&cases.at[i], error);
    if (!m.g) ice("%s: %s", cases.at[i].name, error);
    model_add_gradients(&m);
    model_add_products(&m);
    KernelRun how = how_to(c);
    note(c, cases.at[i].name, kernel_run(m.g, &how));
    arena_free(m.arena);
  }
  arena_free(a);
}

static void run_row(Choice *c, Row *r, bool strict) {
  Interpretation in = row_values(r);
  KernelRun how = how_to(c);
  how.batch = 1;
  how.given = &in;
  how.strict = strict;
  note(c, scalar_rows[r->op].name, kernel_run(r->g, &how));
  arena_free(r->arena);
}

static void rows(Choice *c) {
  for (int op = 0; op < SCALAR_OP_COUNT; op++) {
    if (!take(c)) continue;
    Row r = row_model((ScalarOp)op);
    run_row(c, &r, false);
  }
}

static void run_graph(Choice *c, const char *name, const char *text, bool on_units) {
  char error[256] = "";
  if (!take(c)) return;
  Arena *a = arena_new();
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  if (!g) ice("%s", error);
  KernelRun how = how_to(c);
  how.tf32 = on_units;
  how.processors = c->processors;
  how.on_90a = c->on_90a;
  how.passes = !on_units; /* fuse would make one of all ways */
  note(c, name, kernel_run(g, &how));
  arena_free(a);
}

static void run_text(Choice *c, const char *name, const char *text) { run_graph(c, name, text, false); }

static void products(Choice *c) {
  static const int extents[][3] = {{320, 320, 20}, {90, 5000, 3}, {700, 900, 5}};
  for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
    char text[300], name[40];
    int m = extents[i][0], n = extents[i][1], k = extents[i][2];
    snprintf(text, sizeof text,
             "graph t\n%%0 = input x : f32[%d, %d]\n%%1 = input w : f32[%d, %d]\n"
             "%%2 = comp f32[%d, %d] [i0, i1] sum(r0 < %d: mul(%%0[i0, r0], %%1[r0, i1]))\noutput y = %%2\n",
             m, k, k, n, m, n, k);
    snprintf(name, sizeof name, "%d x %d x %d", m, n, k);
    run_text(c, name, text);
  }
}

/* Kernels that differ in numbers alone: extents, strides, keys, constants of every type. */
static void shapes(Choice *c) {
  run_text(
      c, "shapes",
      "graph t\n%0 = input x : f32[70, 20]\n%1 = input y : f32[33, 41]\n%2 = input w : f32[20, 90]\n"
      "%3 = input u : f32[41, 50]\n%4 = input s : i64[]\n%5 = input i : i32[9, 300]\n%6 = input j : i64[7, 200]\n"
      "%7 = comp f32[70, 90] [i0, i1] sum(r0 < 20: mul(%0[i0, r0], %2[r0, i1]))\n"
      "%8 = comp f32[33, 50] [i0, i1] sum(r0 < 41: mul(%1[i0, r0], %3[r0, i1]))\n"
      "%9 = comp f32[70, 20] [i0, i1] mul(2.5, %0[i0, i1])\n%10 = comp f32[33, 41] [i0, i1] mul(-0.125, %1[i0, i1])\n"
      "%11 = comp f32[30, 4] [i0, i1] random(f32, 0x11, %4[], 0, 0, 4*i0 + i1)\n"
      "%12 = comp f32[21, 6] [i0, i1] random(f32, 0x9234567890abcdef, %4[], 0, 0, 6*i0 + i1)\n"
      "%13 = comp i32[9] [i0] max(r0 < 300: add(7, %5[i0, r0]))\n%14 = comp i64[7] [i0] max(r0 < 200: add(-5, %6[i0, "
      "r0]))\n"
      "output a = %7\noutput b = %8\noutput c = %9\noutput d = %10\noutput e = %11\noutput f = %12\n"
      "output g = %13\noutput h = %14\n");
}

/* ---- units for matrices ---- */

typedef struct Extents {
  const char *m;
  int n, k;
} Extents;

/* How an operand %V of lines i and steps r0 lies in memory: its shape, and what reads it. */
typedef struct Layout {
  const char *name, *shape, *read;
} Layout;

static const Layout layouts[] = {
    {"along", "L, K", "%V[i, r0]"},
    {"across", "K, L", "%V[r0, i]"},
    {"window", "L+K", "select(and(ge0(i + r0 - 3), ge0(K + 1 - r0)), %V[i + r0 - 3], 0)"},
    {"computed", "L, K", "cast(T, mul(%V[i, r0], 0.5))"}};

/* The layout's text with its letters replaced. */
static void put(Buf *out, const char *text, int v, const char *index, const char *lines, int k, const char *type) {
  for (const char *c = text; *c; c++)
    if (*c == 'V') buf_printf(out, "%d", v);
    else if (*c == 'L' && c[1] == '+') buf_printf(out, "%d", atoi(lines) + k), c += 2;
    else if (*c == 'L') buf_puts(out, lines);
    else if (*c == 'K') buf_printf(out, "%d", k);
    else if (*c == 'T') buf_puts(out, type);
    else if (*c == 'i' && strchr(" ,]", c[1])) buf_puts(out, index);
    else buf_write(out, c, 1);
}

/* In tf32 the factors are f16 values, of as many digits: what the device rounds is exact. */
static void write_units(Buf *out, const char *type, const Layout *a, const Layout *b, const Extents *e) {
  bool tf32 = !strcmp(type, "f32");
  char n[20];
  snprintf(n, sizeof n, "%d", e->n);
  buf_puts(out, "graph t\n");
  if (*e->m == 'B') buf_puts(out, "dim B >= 0 batch\n");
  const Layout *sides[] = {a, b};
  const char *lines[] = {e->m, n};
  for (int i = 0; i < 2; i++) {
    buf_printf(out, "%%%d = input x%d : %s[", i, i, tf32 ? "f16" : type);
    put(out, sides[i]->shape, i, "", lines[i], e->k, type);
    buf_puts(out, "]\n");
  }
  buf_printf(out, "%%2 = input bias : f32[%s]\n", n);
  for (int i = 0; tf32 && i < 2; i++) {
    bool one = strchr(sides[i]->shape, ',') == NULL;
    buf_printf(out, "%%%d = comp f32[", 3 + i);
    put(out, sides[i]->shape, i, "", lines[i], e->k, type);
    buf_printf(out, one ? "] [i0] cast(f32, %%%d[i0])\n" : "] [i0, i1] cast(f32, %%%d[i0, i1])\n", i);
  }
  int first = tf32 ? 5 : 3;
  buf_printf(out, "%%%d = comp f32[%s, %s] [i0, i1] sum(r0 < %d: mul(cast(f32, ", first, e->m, n, e->k);
  put(out, a->read, tf32 ? 3 : 0, "i0", lines[0], e->k, type);
  buf_puts(out, "), cast(f32, ");
  put(out, b->read, tf32 ? 4 : 1, "i1", lines[1], e->k, type);
  buf_printf(out, ")))\n%%%d = comp f32[%s, %s] [i0, i1] max(add(%%%d[i0, i1], %%2[i1]), 0)\noutput y = %%%d\n",
             first + 1, e->m, n, first, first + 1);
}

static void units(Choice *c) {
  static const char *const types[] = {"bf16", "f32", "f16"};
  static const Extents extents[] = {{"72", 136, 200}, {"B", 64, 20}, {"130", 56, 72}};
  static const Extents large = {"120", 248, 200}; /* of a GPU with one processor: the largest tiles */
  for (int i = 0; i < 3 * 4 * 4 + 3 * 4; i++) {
    Buf text = {0};
    char name[80];
    const char *type = types[i % 3];
    const Layout *a = &layouts[i / 3 % 4], *b = &layouts[(i / 12 + i / 48) % 4];
    const Extents *e = i < 48 ? &extents[(i / 3 + i / 12) % 3] : &large;
    c->processors = i < 48 ? 0 : 1;
    if (*e->m == 'B' && a == &layouts[2]) e++;
    write_units(&text, type, a, b, e);
    snprintf(name, sizeof name, "%s %s, %s: %s x %d x %d", type, a->name, b->name, e->m, e->n, e->k);
    run_graph(c, name, text.text, true);
    buf_free(&text);
  }
}

/* Large products whose factors are rounded: they are read from copies, which come in boxes, or 16 bytes at once.
 * `pitched` of the copies have rows that begin at multiples of 16 bytes only because there are gaps between them. */
static const struct {
  const char *name, *text;
  int copies, pitched;
} halved[] = {
    {"tensors",
     "%0 = input x : f32[160, 200]\n%1 = input w : f32[136, 200]\n"
     "%2 = comp f32[160, 136] [i0, i1] sum(r0 < 200: mul(cast(f32, cast(bf16, %0[i0, r0])), "
     "cast(f32, cast(bf16, %1[i1, r0]))))\noutput y = %2\n",
     2, 0},
    {"a row that is scaled", /* one copy for two products, of which one goes across it */
     "%0 = input x : f32[160, 203]\n%1 = input w : f32[141, 203]\n%2 = input s : f32[203]\n%3 = input d : f32[160, "
     "141]\n"
     "%4 = comp f32[160, 141] [i0, i1] sum(r0 < 203: mul(cast(f32, cast(bf16, add(mul(%0[i0, r0], %2[r0]), "
     "%2[r0]))), "
     "cast(f32, cast(bf16, %1[i1, r0]))))\n"
     "%5 = comp f32[203, 141] [i0, i1] sum(r0 < 160: mul(cast(f32, cast(bf16, add(mul(%0[r0, i0], %2[i0]), "
     "%2[i0]))), "
     "cast(f32, cast(bf16, %3[r0, i1]))))\noutput y = %4\noutput z = %5\n",
     3, 3},
    {"heads side by side",
     "%0 = input x : f32[2, 4, 80, 50]\n%1 = input w : f32[136, 200]\n"
     "%2 = comp f32[2, 80, 136] [i0, i1, i2] sum(r0 < 200: mul(cast(f32, cast(bf16, %0[i0, r0//50, i1, r0 + "
     "-50*(r0//50)])), "
     "cast(f32, cast(bf16, %1[i2, r0]))))\noutput y = %2\n",
     2, 0},
    {"windows", /* the copy is of the tensor, not of each window */
     "%0 = input x : f32[400, 40]\n%1 = input w : f32[64, 5, 40]\n"
     "%2 = comp f32[396, 64] [i0, i1] sum(r0 < 5, r1 < 40: mul(cast(f32, cast(bf16, mul(2, %0[i0 + r0, r1]))), "
     "cast(f32, cast(bf16, %1[i1, r0, r1]))))\noutput y = %2\n",
     2, 0},
    {"channels", /* the last dimension in both copies */
     "%0 = input x : f32[4, 16, 15, 17]\n%1 = input w : f32[40, 16, 3, 3]\n%2 = input s : f32[16]\n"
     "%3 = comp f32[4, 40, 15, 17] [i0, i1, i2, i3] sum(r0 < 16, r1 < 3, r2 < 3: select(and(and(ge0(i2 + r1 - 1), "
     "ge0(-i2 - r1 + 15)), and(ge0(i3 + r2 - 1), ge0(-i3 - r2 + 17))), mul(cast(f32, cast(bf16, mul(%2[r0], "
     "%0[i0, r0, i2 + r1 - 1, i3 + r2 - 1]))), cast(f32, cast(bf16, %1[i1, r0, r1, r2]))), 0))\noutput y = %3\n",
     2, 0},
    {"channels by the weights", /* among the lines */
     "%0 = input x : f32[5, 16, 15, 17]\n%1 = input g : f32[5, 40, 15, 17]\n"
     "%2 = comp f32[40, 16, 3, 3] [i0, i1, i2, i3] sum(r0 < 5, r1 < 15, r2 < 17: select(and(and(ge0(i2 + r1 - 1), "
     "ge0(-i2 - r1 + 15)), and(ge0(i3 + r2 - 1), ge0(-i3 - r2 + 17))), mul(cast(f32, cast(bf16, %1[r0, i0, r1, "
     "r2])), "
     "cast(f32, cast(bf16, %0[r0, i1, i2 + r1 - 1, i3 + r2 - 1]))), 0))\noutput y = %2\n",
     2, 0},
};

static Graph *graph_of(Arena *a, const char *text) {
  char error[256] = "";
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  if (!g) ice("%s", error);
  return g;
}

static void halves(Choice *c) {
  for (size_t i = 0; i < sizeof halved / sizeof *halved; i++)
    for (int on_90a = 0; on_90a < 2; on_90a++) {
      int copies = 0, pitched = 0;
      if (!take(c)) continue;
      Arena *a = arena_new();
      const char *text = arena_printf(a, "graph t\nproducts bf16\n%s", halved[i].text);
      Graph *g = graph_of(a, text);
      KernelRun how = how_to(c);
      how.on_90a = on_90a;
      how.reference = graph_of(a, text);
      note(c, halved[i].name, kernel_run(g, &how));
      for (int k = 0; k < g->nodes.n; k++) {
        const Node *n = g->nodes.at[k];
        copies += n->kind == NODE_comp && n->dtype == DT_bf16;
        pitched += n->pitch > 0;
      }
      const char *other = arena_printf(a, "%d copies, %d of them with gaps", copies, pitched);
      note(c, halved[i].name, copies == halved[i].copies && pitched == halved[i].pitched ? NULL : other);
      arena_free(a);
    }
}

/* A product of few results and a long K, of whose slices multiprocessors make parts. */
static void shares(Choice *c) {
  char error[256] = "";
  const char *text = "graph t\n%0 = input x : f32[40, 48, 70]\n%1 = input w : f32[40, 48, 50]\n"
                     "%2 = input b : f32[50]\n%3 = comp f32[70, 50] [i0, i1] sum(r0 < 40, r1 < 48: mul(%0[r0, r1, "
                     "i0], %1[r0, r1, i1]))\n"
                     "%4 = comp f32[70, 50] [i0, i1] max(add(%3[i0, i1], %2[i1]), 0)\noutput y = %4\n";
  int parts = 0;
  if (!take(c)) return;
  Arena *a = arena_new();
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  if (!g) ice("%s", error);
  KernelRun how = how_to(c);
  note(c, "shares", kernel_run(g, &how));
  for (int i = 0; i < g->nodes.n; i++) parts += g->nodes.at[i]->kind == NODE_comp && g->nodes.at[i]->rank == 3;
  note(c, "shares", parts == 1 ? NULL : "the product is not summed in parts");
  arena_free(a);
}

/* Heads beside each other in a line: the products' steps are longer than the batch's. */
static const char heads[] = "graph t\n%0 = input x : bf16[100, 3, 72]\n%1 = input w : bf16[136, 3, 72]\n"
                            "%2 = comp f32[3, 100, 136] [i0, i1, i2] sum(r0 < 72: mul(cast(f32, %0[i1, i0, r0]), "
                            "cast(f32, %1[i2, i0, r0])))\noutput y = %2\n";

static void groups(Choice *c) {
  c->on_90a = true;
  units(c);
  run_graph(c, "heads", heads, true);
}

/* What a product by groups of warps ends in: a result that leaves in boxes, of two bytes and of four, of several rows
 * of tiles, in batches that are and are not the outermost; one whose maps are too many for that, or read a tensor of
 * its shape, or whose rows begin anywhere. */
static void results(Choice *c) {
  static const struct {
    const char *name, *type,
        *value; /* of the sum S, x : bf16[BM, K], w : bf16[BK, N], %2 : [N], %3 : [M], %4 : [M, N] */
    int batch;  /* place of the product's batch among the result's indices; -1: it has none */
  } cases[] = {
      {"narrow", "bf16", "cast(bf16, max(add(S, %2[i1]), 0))", -1},
      {"words", "f32", "S", -1},
      {"heads", "bf16", "cast(bf16, S)", 1},
      {"batches", "f32", "add(S, 1)", 0},
      {"half", "f16", "cast(f16, mul(S, %3[i0]))", -1},
      {"residual", "bf16", "cast(bf16, add(S, %4[i0, i1]))", -1},
      {"exponential", "f32", "exp(tanh(S))", -1},
      {"odd", "f32", "add(S, %2[i1])", -1},
  };
  enum { CASES = sizeof cases / sizeof *cases };
  c->on_90a = true;
  for (int i = 0; i < 2 * CASES; i++) {
    int k = i % CASES, batch = cases[k].batch, large = i / CASES,
        n = (large ? 136 : 72) - !strcmp(cases[k].name, "odd");
    int m = large ? 130 : 70, depth = large ? 72 : 40;
    static const char *const shapes[] = {"[%d, %d]", "[3, %d, %d]", "[%d, 3, %d]"};
    static const char *const reads[] = {"%0[i0, r0]), cast(f32, %1[r0, i1]",
                                        "%0[i0, i1, r0]), cast(f32, %1[i0, r0, i2]",
                                        "%0[i1, i0, r0]), cast(f32, %1[i1, r0, i2]"};
    const char *own = batch < 0 ? "[i0, i1]" : "[i0, i1, i2]", *many = batch < 0 ? "" : "3, ";
    char shape[30], name[40];
    snprintf(shape, sizeof shape, shapes[batch + 1], m, n);
    Buf text = {0};
    buf_printf(&text,
               "graph t\n%%0 = input x : bf16[%s%d, %d]\n%%1 = input w : bf16[%s%d, %d]\n%%2 = input b : f32[%d]\n"
               "%%3 = input s : f32[%d]\n%%4 = input r : f32[%d, %d]\n%%5 = comp f32%s %s sum(r0 < %d: mul(cast(f32, "
               "%s)))\n%%6 = comp %s%s %s ",
               many, m, depth, many, depth, n, n, m, m, n, shape, own, depth, reads[batch + 1], cases[k].type, shape,
               own);
    for (const char *at = cases[k].value; *at; at++)
      if (*at == 'S') buf_printf(&text, "%%5%s", own);
      else buf_write(&text, at, 1);
    buf_puts(&text, "\noutput y = %6\n");
    snprintf(name, sizeof name, "%s%s", cases[k].name, large ? ", large tiles" : "");
    c->processors = large; /* of a GPU with one processor: the largest tiles */
    run_graph(c, name, text.text, true);
    buf_free(&text);
  }
}

/* Long rows of few positions, which threads side by side share: sums, searches, two levels, rows that are kept. */
static void columns(Choice *c) {
  run_text(c, "columns",
           "graph t\n%0 = input x : f32[90, 37]\n%1 = input i : i32[300, 5]\n%2 = input w : f32[7, 400, 3]\n"
           "%3 = comp f32[37] [i0] sum(r0 < 90: %0[r0, i0])\n%4 = comp i32[5] [i0] argmax(r0 < 300: %1[r0, i0])\n"
           "%5 = comp f32[37] [i0] max(r0 < 90: %0[r0, i0])\n"
           "%6 = comp f32[37] [i0] sum(r0 < 90: exp(sub(%0[r0, i0], %5[i0])))\n"
           "%7 = comp f32[90, 37] [i0, i1] div(exp(sub(%0[i0, i1], %5[i1])), %6[i1])\n"
           "%8 = comp f32[7, 3] [i0, i1] sum(r0 < 400: mul(%2[i0, r0, i1], %2[i0, r0, i1]))\n"
           "output a = %3\noutput b = %4\noutput c = %7\noutput d = %8\n");
}

/* Sums at data indices: rows of few and of many elements, more sources than threads, in every type of owner. */
static void scatters(Choice *c) {
  run_text(c, "scatters",
           "graph t\n%0 = input x : f32[600, 5]\n%1 = input i : i32[600]\n%2 = input w : f32[3, 300]\n"
           "%3 = input j : i32[3, 300]\n%4 = input v : f64[20, 700]\n%5 = input l : i32[20]\n"
           "%6 = scatter f32[700, 5] (r0 < 600, r1 < 5) [%1[r0], r1] += %0[r0, r1]\n"
           "%7 = scatter f32[3, 4] (r0 < 3, r1 < 300) [r0, %3[r0, r1]] += %2[r0, r1]\n"
           "%8 = scatter f64[700, 3] (r0 < 20, r1 < 700) [r1, %5[r0]] += %4[r0, r1]\n"
           "%9 = scatter f32[4] (r0 < 600) [%1[r0]] += %0[r0, 2]\n"
           "%10 = scatter f32[3, 3] (r0 < 600) [%1[r0], %1[r0]] += %0[r0, 1]\n"
           "%11 = scatter i32[700] (r0 < 3, r1 < 300) [%3[r0, r1]] max= i32(300*r0 + r1)\n"
           "output a = %6\noutput b = %7\noutput c = %8\noutput d = %9\noutput e = %10\noutput f = %11\n");
}

/* Rows that are put in order by a block: with equals, of a length that is no power of two, up and down, too long for
 * shared memory. */
static void sorts(Choice *c) {
  run_text(
      c, "sorts",
      "graph t\n%0 = input x : f32[3, 333]\n%1 = input i : i32[2, 150]\n%2 = input w : f64[3000]\n"
      "%3 = input b : f32[5, 20]\n"
      "%4 = sort i32[3, 333] [i0, i1] ascending %0[i0, i1]\n%5 = sort i32[2, 150] [i0, i1] descending %1[i0, i1]\n"
      "%6 = sort i32[3000] [i0] ascending mul(%2[i0], %2[i0])\n%7 = sort i32[5, 20] [i0, i1] ascending %3[i0, i1]\n"
      "output a = %4\noutput b = %5\noutput c = %6\noutput d = %7\n");
}

/* Integers 0, 1, 2: of equals the first, whether a thread or a block searches, for it is the same in every type. */
static void ties(Choice *c) {
  run_text(c, "ties",
           "graph t\n%0 = input x : i32[37, 300]\n"
           "%1 = comp i32[37] [i0] argmax(r0 < 300: %0[i0, r0])\n"
           "%2 = comp i32[300] [i0] argmin(r0 < 37: %0[r0, i0])\n"
           "%3 = comp i32[37] [i0] argmin(r0 < 300: cast(f32, %0[i0, r0]))\n"
           "%4 = comp i32[300] [i0] argmax(r0 < 37: cast(f64, %0[r0, i0]))\n"
           "output a = %1\noutput b = %2\noutput c = %3\noutput d = %4\n");
}

/* From 1 to 2^1008, where the digits of pi run on. */
static void angles(Choice *c) {
  static const ScalarOp ops[] = {OP_sin, OP_cos, OP_tan};
  for (int i = 0; i < 3; i++) {
    if (!take(c)) continue;
    Row r = row_model(ops[i]);
    for (int k = 0; k < POINTS; k++) r.at[0][k] = ldexp(k % 2 ? -1 - k / 64.0 : 1 + k / 64.0, 16 * k);
    run_row(c, &r, true);
  }
}

static void random_graphs(Choice *c) {
  static const int kinds[] = {0, RANDOM_F64 | RANDOM_GRADIENT, RANDOM_SMOOTH | RANDOM_GRADIENT,
                              RANDOM_F64 | RANDOM_SMOOTH | RANDOM_SECOND};
  for (uint64_t seed = (uint64_t)c->first; seed < (uint64_t)(c->first + c->count); seed++) {
    char name[40];
    RandomGraph r = random_graph(seed, kinds[seed % 4]), plain = random_graph(seed, kinds[seed % 4]);
    DiagSink diags = {.arena = plain.arena};
    if (!pipeline_run(plain.g, &diags, &(PipelineOptions){.level = 0})) ice("seed %d: no derivative", (int)seed);
    c->seen = (int)seed;
    KernelRun how = how_to(c);
    how.batch = r.batch;
    how.given = &r.in;
    how.reference = plain.g;
    snprintf(name, sizeof name, "seed %d", (int)seed);
    note(c, name, kernel_run(r.g, &how));
    random_graph_free(&r);
    random_graph_free(&plain);
  }
}

static void run_stream(Choice *c, const StreamCase *x, const KernelRun *how) {
  char error[256] = "";
  Arena *a = arena_new();
  StreamCase wanted = *x;
  if (how->tf32) wanted.factors = "f16"; /* of as many digits */
  const char *text = stream_text(a, x), *other = stream_text(a, &wanted);
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  Graph *plain = graph_read(ir_new(a, str_table_new(a)), other, strlen(other), error);
  DiagSink diags = {.arena = a};
  if (!g || !pipeline_run(plain, &diags, &(PipelineOptions){.level = 0})) ice("%s", error);
  KernelRun own = *how;
  own.reference = plain;
  note(c, x->name, kernel_run(g, &own));
  arena_free(a);
}

/* Weights in bf16 are rounded beside another maximum, and before they are divided. */
#define ROUNDED_WEIGHTS 2e-2

static void attention(Choice *c) {
  for (int i = 0; i < stream_case_count; i++) {
    if (!take(c)) continue;
    KernelRun how = how_to(c);
    how.batch = 2;
    if (stream_cases[i].factors) how.allowed = ROUNDED_WEIGHTS;
    run_stream(c, &stream_cases[i], &how);
  }
}

/* The same on units for matrices, in bf16 and in tf32: heads of one and of several slices, results of more than 64
 * numbers, tiles that end anywhere. */
static void flows(Choice *c) {
  static const StreamCase large[] = {
      {"64", "f32", 1, 1, 130, 130, 64, 64, MASK_causal, false, true, NULL, false},
      {"128", "f32", 1, 1, 70, 100, 128, 72, MASK_none, false, true, NULL, false},
      {"odd", "f32", 2, 2, 45, 83, 50, 33, MASK_window, false, true, NULL, false},
      {"as_they_lie", "bf16", 2, 2, 45, 83, 72, 80, MASK_causal, false, false, "bf16", false},
      {"256", "f32", 1, 1, 40, 40, 256, 256, MASK_causal, false, false, NULL, false},
  };
  const int n_large = sizeof large / sizeof *large;
  for (int i = 0; i < 2 * (n_large + stream_case_count); i++) {
    StreamCase x = i / 2 < n_large ? large[i / 2] : stream_cases[i / 2 - n_large];
    bool tf32 = i % 2; /* not by groups, nor of what is given in bf16 */
    if (!strcmp(x.dtype, "f64") || (tf32 && (c->on_90a || !strcmp(x.dtype, "bf16"))) || !take(c)) continue;
    KernelRun how = how_to(c);
    how.batch = i / 2 < n_large ? 1 : 2;
    how.tf32 = tf32;
    how.on_90a = c->on_90a;
    how.allowed = tf32 ? 1e-3 : ROUNDED_WEIGHTS;
    x.factors = tf32 ? NULL : "bf16";
    run_stream(c, &x, &how);
  }
}

static void flows_of_groups(Choice *c) {
  c->on_90a = true;
  flows(c);
}

/* ---- entries of programs ---- */

static char *read_text(Arena *a, const char *path, size_t *n) {
  FILE *f = fopen(path, "r");
  if (!f) ice("%s cannot be read", path);
  char *text = arena_alloc(a, 1 << 20);
  *n = fread(text, 1, (1 << 20) - 1, f);
  fclose(f);
  return text;
}

static Program *program_of(Arena *a, const char *path) {
  StrTable *strings = str_table_new(a);
  Sources *sources = NEW(a, Sources);
  DiagSink diags = {.arena = a};
  size_t n;
  char *text = read_text(a, path, &n);
  sources->arena = a;
  Program *p =
      elaborate_program(a, strings, sources, &diags, str_internz(strings, path), text, n, &(ElaborateOptions){0});
  if (diags.errors) ice("%s is refused", path);
  return p;
}

static void entries(Choice *c, const char *path) {
  Arena *a = arena_new();
  Program *p = program_of(a, path);
  for (int i = 0; i < p->entries.n; i++) {
    if (!take(c)) continue;
    KernelRun how = how_to(c);
    note(c, p->entries.at[i].name, kernel_run(p->entries.at[i].graph, &how));
  }
  arena_free(a);
}

/* Products of bf16 factors, which are read from copies however small they are. */
static void narrow(Choice *c) {
  for (int on_90a = 0; on_90a < 2; on_90a++) {
    Arena *a = arena_new();
    Program *p = program_of(a, NNC_NARROW), *other = program_of(a, NNC_NARROW);
    for (int i = 0; i < p->entries.n; i++) {
      if (!take(c)) continue;
      Graph *g = p->entries.at[i].graph;
      DiagSink diags = {.arena = a};
      KernelRun how = how_to(c);
      how.reference = other->entries.at[i].graph;
      g->products = how.reference->products = DT_bf16;
      if (!pipeline_run(how.reference, &diags, &(PipelineOptions){.level = 0})) ice("%s: no derivative", NNC_NARROW);
      how.small = true;
      how.on_90a = on_90a;
      how.allowed = 2e-2; /* of factors that depend on roundings a few are rounded to the next number */
      note(c, p->entries.at[i].name, kernel_run(g, &how));
    }
    arena_free(a);
  }
}

static void cases(Choice *c) {
  glob_t found;
  if (glob(NNC_CASES "/*.nn", 0, NULL, &found)) ice("there are no cases");
  for (size_t i = 0; i < found.gl_pathc; i++) entries(c, found.gl_pathv[i]);
  globfree(&found);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(Choice *c);
  } kinds[] = {{"graphs", graphs},   {"rows", rows},
               {"cases", cases},     {"products", products},
               {"units", units},     {"groups", groups},
               {"results", results}, {"halves", halves},
               {"narrow", narrow},   {"shares", shares},
               {"ties", ties},       {"attention", attention},
               {"flows", flows},     {"group_flows", flows_of_groups},
               {"shapes", shapes},   {"angles", angles},
               {"columns", columns}, {"scatters", scatters},
               {"sorts", sorts},     {"random", random_graphs}};
  if (argc > 1 && !strcmp(argv[1], "kinds")) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) printf("%s\n", kinds[i].name);
    return 0;
  }
  bool device = argc > 1 && !strcmp(argv[1], "device");
  const char *error = device ? device_open() : NULL;
  if (error) ice("%s", error);
  argv += device, argc -= device;
  Choice c = {.backend = device ? &driver_backend : &cuda_backend,
              .runs = argc > 2 ? atoi(argv[2]) : 1,
              .count = argc > 3 ? atoi(argv[3]) : 50,
              .first = argc > 4 ? atoi(argv[4]) : 0};
  bool known = false;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (argc < 2 || strcmp(argv[1], kinds[i].name) != 0) continue;
    known = true;
    kinds[i].run(&c);
  }
  printf("%d differ\n", c.differ);
  return c.differ || !known;
}
