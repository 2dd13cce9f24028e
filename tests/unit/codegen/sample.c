/* sample.c - see sample.h. */
#include "tests/unit/unit.h"

#include "tests/unit/codegen/sample.h"

#include <stdio.h>
#include <string.h>

static const char field_x[] = "graph points.x\n"
                              "dim B >= 0 batch\n"
                              "%0 = input raw.0 : f32[B, 3]\n"
                              "%1 = comp f32[B, 3] [i0, i1] mul(%0[i0, i1], 0.5)\n"
                              "output value = %1\n";

static const char field_y[] = "graph points.y\n"
                              "dim B >= 0 batch\n"
                              "%0 = input raw.0 : f32[B]\n"
                              "%1 = comp f32[B] [i0] %0[i0]\n"
                              "output value = %1\n";

static const char stats[] = "graph points.stats\n"
                            "dim N >= 1\n"
                            "%0 = input points.x : f32[N, 3]\n"
                            "%1 = state data/points.x/mean : f32[3]\n"
                            "%2 = comp f32[3] [i0] sum(r0 < N: %0[r0, i0])\n"
                            "%3 = comp f32[3] [i0] div(%2[i0], cast(f32, i64(N)))\n"
                            "%4 = store data/points.x/mean = %3\n";

static const char init[] = "graph init\n"
                           "%0 = input $seed : i64[]\n"
                           "%1 = param net.weight : f32[3]\n"
                           "%2 = param net.bias : f32[]\n"
                           "%3 = state opt/net.weight/m : f32[3]\n"
                           "%4 = state opt/net.bias/m : f32[]\n"
                           "%5 = comp f32[3] [i0] sub(random(f32, 0x1234, %0[], 0, 0, i0), 0.5)\n"
                           "%6 = comp f32[] [] 0\n"
                           "%7 = comp f32[3] [i0] 0\n"
                           "%8 = store net.weight = %5\n"
                           "%9 = store net.bias = %6\n"
                           "%10 = store opt/net.weight/m = %7\n"
                           "%11 = store opt/net.bias/m = %6\n";

#define MODEL                                                                                                        \
  "%0 = input points.x : f32[B, 3]\n"                                                                                \
  "%1 = input points.y : f32[B]\n"                                                                                   \
  "%2 = param net.weight : f32[3]\n"                                                                                 \
  "%3 = param net.bias : f32[]\n"                                                                                    \
  "%4 = state data/points.x/mean : f32[3]\n"                                                                         \
  "%5 = comp f32[B, 3] [i0, i1] sub(%0[i0, i1], %4[i1])\n"                                                           \
  "%6 = comp f32[B] [i0] sum(r0 < 3: mul(%5[i0, r0], %2[r0]))\n"                                                     \
  "%7 = comp f32[B] [i0] sub(add(%6[i0], %3[]), %1[i0])\n"                                                           \
  "%8 = comp f32[] [] sum(r0 < B: mul(%7[r0], %7[r0]))\n"                                                            \
  "%9 = comp f32[] [] div(%8[], cast(f32, i64(B)))\n"

static const char step[] = "graph step\n"
                           "dim B >= 0 batch\n" MODEL "%10 = grad %9 by %2\n"
                           "%11 = grad %9 by %3\n"
                           "%12 = state opt/net.weight/m : f32[3]\n"
                           "%13 = state opt/net.bias/m : f32[]\n"
                           "%14 = comp f32[3] [i0] add(mul(%12[i0], 0.9), %10[i0])\n"
                           "%15 = comp f32[] [] add(mul(%13[], 0.9), %11[])\n"
                           "%16 = comp f32[3] [i0] sub(%2[i0], mul(0.05, %14[i0]))\n"
                           "%17 = comp f32[] [] sub(%3[], mul(0.05, %15[]))\n"
                           "%18 = store opt/net.weight/m = %14\n"
                           "%19 = store opt/net.bias/m = %15\n"
                           "%20 = store net.weight = %16\n"
                           "%21 = store net.bias = %17\n"
                           "output loss = %9\n";

static const char eval[] = "graph eval\n"
                           "dim B >= 0 batch\n" MODEL "output loss = %9\n";

static const char grads[] = "graph grads\n"
                            "dim B >= 0 batch\n" MODEL "%10 = grad %9 by %2\n"
                            "%11 = grad %9 by %3\n"
                            "output grad/net.weight = %10\n"
                            "output grad/net.bias = %11\n";

static const char predict[] = "graph predict\n"
                              "dim B >= 0 batch\n"
                              "%0 = input x : f32[B, 3]\n"
                              "%1 = param net.weight : f32[3]\n"
                              "%2 = param net.bias : f32[]\n"
                              "%3 = state data/points.x/mean : f32[3]\n"
                              "%4 = comp f32[B] [i0] sum(r0 < 3: mul(sub(%0[i0, r0], %3[r0]), %1[r0]))\n"
                              "%5 = comp f32[B] [i0] add(%4[i0], %2[])\n"
                              "output result = %5\n";

static Graph *graph_of(Program *p, const char *text) {
  char error[256] = "";
  Graph *g = graph_read(p->ir, text, strlen(text), error);
  if (!g) fail_msg("%s\n%s", error, text);
  const char *fault = graph_verify(g);
  if (fault) fail_msg("%s\n%s", fault, text);
  return g;
}

static int64_t three[] = {3};

static void add_tensor(Program *p, const char *name, TensorRole role, int rank) {
  vec_push(
      p->ir->arena, &p->tensors,
      (ProgramTensor){
          .name = str_internz(p->ir->strings, name), .role = role, .dtype = DT_f32, .rank = rank, .shape = three});
}

static Field field(Program *p, const char *name, int rank, RawColumn raw, const char *text) {
  Field f = {.name = str_internz(p->ir->strings, name), .dtype = DT_f32, .rank = rank, .shape = three};
  vec_push(p->ir->arena, &f.raw, raw);
  f.graph = graph_of(p, text);
  return f;
}

static void add_data(Program *p) {
  Arena *a = p->ir->arena;
  DataSet d = {.name = str_internz(p->ir->strings, "points"),
               .format = str_internz(p->ir->strings, "csv"),
               .path = str_internz(p->ir->strings, "points.csv")};
  RawColumn x = {.dtype = DT_f32, .from = 0, .to = 3};
  RawColumn y = {.dtype = DT_f32, .from = -1, .name = str_internz(p->ir->strings, "y"), .single = true};
  vec_push(a, &d.fields, field(p, "x", 1, x, field_x));
  vec_push(a, &d.fields, field(p, "y", 0, y, field_y));
  d.stats = graph_of(p, stats);
  vec_push(a, &p->data, d);
}

static void add_train(Program *p) {
  Train t = {.epochs = 3, .batch = 16, .seed = 1, .validate_data = -1, .test_data = -1, .shuffle = true};
  vec_push(p->ir->arena, &t.data, 0);
  vec_push(p->ir->arena, &t.losses, str_internz(p->ir->strings, "loss"));
  t.step = graph_of(p, step);
  t.eval = graph_of(p, eval);
  t.grads = graph_of(p, grads);
  vec_push(p->ir->arena, &p->train, t);
}

static void add_entry(Program *p) {
  Arena *a = p->ir->arena;
  EntryPoint e = {.name = str_internz(p->ir->strings, "predict")};
  Argument x = {.name = str_internz(p->ir->strings, "x"), .dtype = DT_f32, .rank = 1, .shape = three, .text = -1};
  Argument y = {.name = str_internz(p->ir->strings, "result"), .dtype = DT_f32, .data = -1, .field = -1, .text = -1};
  vec_push(a, &e.arguments, x); /* through field 0 of data set 0 */
  vec_push(a, &e.results, y);
  e.shown = 1;
  e.graph = graph_of(p, predict);
  vec_push(a, &p->entries, e);
}

Program *sample_program(Arena *a) {
  Program *p = NEW(a, Program);
  p->ir = ir_new(a, str_table_new(a));
  p->name = str_internz(p->ir->strings, "sample");
  p->hash = 1;
  add_tensor(p, "net.weight", ROLE_param, 1);
  add_tensor(p, "net.bias", ROLE_param, 0);
  add_tensor(p, "opt/net.weight/m", ROLE_optimizer, 1);
  add_tensor(p, "opt/net.bias/m", ROLE_optimizer, 0);
  add_tensor(p, "data/points.x/mean", ROLE_statistic, 1);
  p->init = graph_of(p, init);
  add_data(p);
  add_train(p);
  add_entry(p);
  return p;
}

void sample_data(const char *folder, int n) {
  char path[256];
  snprintf(path, sizeof path, "%s/points.csv", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("a,b,c,y\n", f);
  for (int i = 0; i < n; i++) {
    double a = (i * 37 % 64) / 32.0 - 1, b = (i * 53 % 61) / 30.0 - 1, c = (i * 11 % 59) / 29.0 - 1;
    fprintf(f, "%.6f,%.6f,%.6f,%.6f\n", a, b, c, 2 * a - b + 0.5 * c + 3);
  }
  fclose(f);
}
