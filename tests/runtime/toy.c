/* toy.c - a whole program by hand, as nnc would write it: least squares in two inputs with momentum, standardised by
 * the training part's mean. With it the runtime is tested without a compiler.
 *
 * data line from csv("line.csv") { x: f32[2] = columns(0, 2); y: f32 = column("y"); label: i32<2> = column("label") }
 */
#include "runtime/source.h"

#include <math.h>
#include <stddef.h>

enum { W, BIAS, VELOCITY, MEAN };

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define POLY(...)                                                                                                    \
  .n_terms = COUNT(((int64_t[]){__VA_ARGS__})), .terms = (const int64_t[]) { __VA_ARGS__ }
#define AS(f, ...)                                                                                                   \
  .n_##f = COUNT(((int64_t[]){__VA_ARGS__})), .f = (const int64_t[]) { __VA_ARGS__ }
#define ROWS(f, array) .n_##f = COUNT(array), .f = array

/* Polynomials over the only open dimension. */
#define CONSTANT(c) 1, c, 0
#define TIMES_B(c)  1, c, 1, 0

/* ---- kernels ---- */

static void init(void *const *b, const int64_t *d, int64_t begin, int64_t end, void *scratch) {
  (void)d, (void)begin, (void)end, (void)scratch;
  uint64_t seed = *(const uint64_t *)b[0];
  float *w = b[1], *bias = b[2], *velocity = b[3];
  w[0] = (float)(seed % 97) / 97, w[1] = (float)(seed % 89) / 89;
  *bias = 0;
  for (int i = 0; i < 3; i++) velocity[i] = 0;
}

static void mean(void *const *b, const int64_t *d, int64_t begin, int64_t end, void *scratch) {
  (void)begin, (void)end, (void)scratch;
  const float *x = b[0];
  float *to = b[1];
  to[0] = to[1] = 0;
  for (int64_t i = 0; i < 2 * d[0]; i++) to[i % 2] += x[i] / (float)d[0];
}

/* x [B, 2], w, bias, mean -> prediction [B]; units are examples. */
static void forward(void *const *b, const int64_t *d, int64_t begin, int64_t end, void *scratch) {
  (void)d, (void)scratch;
  const float *x = b[0], *w = b[1], *bias = b[2], *m = b[3];
  float *y = b[4];
  for (int64_t i = begin; i < end; i++) y[i] = w[0] * (x[2 * i] - m[0]) + w[1] * (x[2 * i + 1] - m[1]) + *bias;
}

/* x, y, mean, prediction -> loss, g [3] */
static void loss(void *const *b, const int64_t *d, int64_t begin, int64_t end, void *scratch) {
  (void)begin, (void)end, (void)scratch;
  const float *x = b[0], *y = b[1], *m = b[2], *p = b[3];
  float *to = b[4], *g = b[5];
  *to = g[0] = g[1] = g[2] = 0;
  for (int64_t i = 0; i < d[0]; i++) {
    float r = p[i] - y[i], s = 2 * r / (float)d[0];
    *to += r * r / (float)d[0];
    g[0] += s * (x[2 * i] - m[0]), g[1] += s * (x[2 * i + 1] - m[1]), g[2] += s;
  }
}

/* g, $step -> w, bias, velocity. A rate that depends on the step, so that a resumed run must know it. */
static void update(void *const *b, const int64_t *d, int64_t begin, int64_t end, void *scratch) {
  (void)d, (void)begin, (void)end, (void)scratch;
  const float *g = b[0];
  float rate = 0.05f / sqrtf((float)*(const int32_t *)b[1]);
  float *w = b[2], *bias = b[3], *velocity = b[4];
  for (int i = 0; i < 3; i++) velocity[i] = 0.9f * velocity[i] + g[i];
  for (int i = 0; i < 2; i++) w[i] -= rate * velocity[i];
  *bias -= rate * velocity[2];
}

/* prediction [N], y [N] -> r2 */
static void r2(void *const *b, const int64_t *d, int64_t begin, int64_t end, void *scratch) {
  (void)begin, (void)end, (void)scratch;
  const float *p = b[0], *y = b[1];
  float middle = 0, rest = 0, all = 0;
  for (int64_t i = 0; i < d[0]; i++) middle += y[i] / (float)d[0];
  for (int64_t i = 0; i < d[0]; i++) rest += (p[i] - y[i]) * (p[i] - y[i]), all += (y[i] - middle) * (y[i] - middle);
  *(float *)b[2] = 1 - rest / all;
}

/* ---- graphs ---- */

static const NnrtDim batch[] = {{.name = "B", .scale = 1, .lower = 1, .upper = INT64_MAX}},
                     all[] = {{.name = "N", .lower = 1, .upper = INT64_MAX}};
static const NnrtPoly of_b[] = {{POLY(TIMES_B(1))}}, of_b2[] = {{POLY(TIMES_B(1))}, {POLY(CONSTANT(2))}},
                      of_2[] = {{POLY(CONSTANT(2))}};

#define INPUT(i, size)                                                                                               \
  { .place = NNRT_INPUT, .index = i, AS(bytes, size) }
#define VARIABLE(i, size)                                                                                            \
  { .place = NNRT_PARAM, .index = i, AS(bytes, CONSTANT(size)) }
#define ARENA(offset_, ...)                                                                                          \
  { .place = NNRT_ARENA, AS(bytes, __VA_ARGS__), AS(offset, CONSTANT(offset_)) }
#define PORT(n, t, s, b)                                                                                             \
  { .name = n, .dtype = NNRT_##t, .n_shape = COUNT(s), .shape = s, .buffer = b }
#define SCALAR(n, t, b)                                                                                              \
  { .name = n, .dtype = NNRT_##t, .buffer = b }
#define LAUNCH(k, u, ns, ...)                                                                                        \
  {                                                                                                                  \
    .kernel = k, .name = #k, .kind = "map", .line = 7, AS(buffers, __VA_ARGS__), AS(units, u), .grain = 4,           \
    AS(work, CONSTANT(ns)), AS(scratch, CONSTANT(64))                                                                \
  }

static const NnrtBuffer init_buffers[] = {INPUT(0, CONSTANT(8)), VARIABLE(W, 8), VARIABLE(BIAS, 4),
                                          VARIABLE(VELOCITY, 12)};
static const NnrtPort init_inputs[] = {SCALAR("$seed", I64, 0)};
static const NnrtLaunch init_launches[] = {LAUNCH(init, CONSTANT(1), 10, 0, 1, 2, 3)};

static const NnrtBuffer x_buffers[] = {INPUT(0, TIMES_B(8))}, y_buffers[] = {INPUT(0, TIMES_B(4))};
static const NnrtPort x_inputs[] = {PORT("raw.0", F32, of_b2, 0)}, x_outputs[] = {PORT("value", F32, of_b2, 0)};
static const NnrtPort y_inputs[] = {PORT("raw.0", F32, of_b, 0)}, y_outputs[] = {PORT("value", F32, of_b, 0)};
static const NnrtPort l_inputs[] = {PORT("raw.0", I32, of_b, 0)}, l_outputs[] = {PORT("value", I32, of_b, 0)};

static const NnrtBuffer stats_buffers[] = {INPUT(0, TIMES_B(8)), VARIABLE(MEAN, 8)};
static const NnrtPort stats_inputs[] = {PORT("line.x", F32, of_b2, 0)};
static const NnrtLaunch stats_launches[] = {LAUNCH(mean, CONSTANT(1), 10, 0, 1)};

/* 0 x, 1 y, 2 w, 3 bias, 4 mean, 5 prediction, 6 loss, 7 g, 8 velocity, 9 $step */
static const NnrtBuffer step_buffers[] = {INPUT(0, TIMES_B(8)),  INPUT(1, TIMES_B(4)),    VARIABLE(W, 8),
                                          VARIABLE(BIAS, 4),     VARIABLE(MEAN, 8),       ARENA(128, TIMES_B(4)),
                                          ARENA(0, CONSTANT(4)), ARENA(64, CONSTANT(12)), VARIABLE(VELOCITY, 12),
                                          INPUT(2, CONSTANT(4))};
static const NnrtPort step_inputs[] = {PORT("line.x", F32, of_b2, 0), PORT("line.y", F32, of_b, 1),
                                       SCALAR("$step", I32, 9)};
static const NnrtPort step_outputs[] = {SCALAR("loss", F32, 6), PORT("r2.0", F32, of_b, 5),
                                        PORT("r2.1", F32, of_b, 1)};
static const NnrtPort grad_outputs[] = {PORT("grad/net.w", F32, of_2, 7)};
static const NnrtLaunch step_launches[] = {LAUNCH(forward, TIMES_B(1), 1000000, 0, 2, 3, 4, 5),
                                           LAUNCH(loss, CONSTANT(1), 10, 0, 1, 4, 5, 6, 7),
                                           LAUNCH(update, CONSTANT(1), 10, 7, 9, 2, 3, 8)};
#define STEP_ARENA AS(arena, 2, 128, 0, 4, 1, 0)

static const NnrtBuffer r2_buffers[] = {INPUT(0, TIMES_B(4)), INPUT(1, TIMES_B(4)), ARENA(0, CONSTANT(4))};
static const NnrtPort r2_inputs[] = {PORT("0", F32, of_b, 0), PORT("1", F32, of_b, 1)},
                      r2_outputs[] = {SCALAR("value", F32, 2)};
static const NnrtLaunch r2_launches[] = {LAUNCH(r2, CONSTANT(1), 10, 0, 1, 2)};

static const NnrtBuffer entry_buffers[] = {INPUT(0, TIMES_B(8)), VARIABLE(W, 8), VARIABLE(BIAS, 4), VARIABLE(MEAN, 8),
                                           ARENA(0, TIMES_B(4))};
static const NnrtPort entry_inputs[] = {PORT("x", F32, of_b2, 0)}, entry_outputs[] = {PORT("result", F32, of_b, 4)};
static const NnrtLaunch entry_launches[] = {LAUNCH(forward, TIMES_B(1), 10, 0, 1, 2, 3, 4)};

enum { G_INIT, G_X, G_Y, G_LABEL, G_STATS, G_STEP, G_EVAL, G_GRADS, G_R2, G_ENTRY };
static const NnrtGraph graphs[] = {
    [G_INIT] = {.name = "init",
                ROWS(buffers, init_buffers),
                ROWS(inputs, init_inputs),
                ROWS(launches, init_launches)},
    [G_X] = {.name = "line.x",
             ROWS(dims, batch),
             ROWS(buffers, x_buffers),
             ROWS(inputs, x_inputs),
             ROWS(outputs, x_outputs)},
    [G_Y] = {.name = "line.y",
             ROWS(dims, batch),
             ROWS(buffers, y_buffers),
             ROWS(inputs, y_inputs),
             ROWS(outputs, y_outputs)},
    [G_LABEL] = {.name = "line.label",
                 ROWS(dims, batch),
                 ROWS(buffers, y_buffers),
                 ROWS(inputs, l_inputs),
                 ROWS(outputs, l_outputs)},
    [G_STATS] = {.name = "stats",
                 ROWS(dims, all),
                 ROWS(buffers, stats_buffers),
                 ROWS(inputs, stats_inputs),
                 ROWS(launches, stats_launches)},
    [G_STEP] = {.name = "step",
                ROWS(dims, batch),
                ROWS(buffers, step_buffers),
                ROWS(inputs, step_inputs),
                ROWS(outputs, step_outputs),
                ROWS(launches, step_launches),
                STEP_ARENA},
    [G_EVAL] = {.name = "eval",
                ROWS(dims, batch),
                ROWS(buffers, step_buffers),
                ROWS(inputs, step_inputs),
                ROWS(outputs, step_outputs),
                .n_launches = 2,
                .launches = step_launches,
                STEP_ARENA},
    [G_GRADS] = {.name = "grads",
                 ROWS(dims, batch),
                 ROWS(buffers, step_buffers),
                 ROWS(inputs, step_inputs),
                 ROWS(outputs, grad_outputs),
                 .n_launches = 2,
                 .launches = step_launches,
                 STEP_ARENA},
    [G_R2] = {.name = "r2",
              ROWS(dims, all),
              ROWS(buffers, r2_buffers),
              ROWS(inputs, r2_inputs),
              ROWS(outputs, r2_outputs),
              ROWS(launches, r2_launches),
              AS(arena, CONSTANT(4))},
    [G_ENTRY] = {.name = "predict",
                 ROWS(dims, batch),
                 ROWS(buffers, entry_buffers),
                 ROWS(inputs, entry_inputs),
                 ROWS(outputs, entry_outputs),
                 ROWS(launches, entry_launches),
                 AS(arena, TIMES_B(4))},
};

/* ---- the program ---- */

static const NnrtVariable variables[] = {
    {.name = "net.w", .role = NNRT_ROLE_PARAM, .dtype = NNRT_F32, AS(shape, 2)},
    {.name = "net.b", .role = NNRT_ROLE_PARAM, .dtype = NNRT_F32},
    {.name = "opt/net/velocity", .role = NNRT_ROLE_OPTIMIZER, .dtype = NNRT_F32, AS(shape, 3)},
    {.name = "data/line.x/mean", .role = NNRT_ROLE_STATISTIC, .dtype = NNRT_F32, AS(shape, 2)},
};
static const NnrtColumn x_raw[] = {{.dtype = NNRT_F32, .from = 0, .to = 2}},
                        y_raw[] = {{.dtype = NNRT_F32, .from = -1, .name = "y", .single = 1}},
                        l_raw[] = {{.dtype = NNRT_I32, .from = -1, .name = "label", .single = 1}};
static const NnrtField fields[] = {
    {.name = "x", .dtype = NNRT_F32, AS(shape, 2), ROWS(raw, x_raw), .graph = G_X},
    {.name = "y", .dtype = NNRT_F32, ROWS(raw, y_raw), .graph = G_Y},
    {.name = "label", .dtype = NNRT_I32, .bound = 2, ROWS(raw, l_raw), .graph = G_LABEL},
};
static const NnrtData data[] = {
    {.name = "line", .reader = &nnrt_reader_csv, .path = "line.csv", ROWS(fields, fields), .stats = G_STATS},
    {.name = "line_test", .reader = &nnrt_reader_csv, .path = "line_test.csv", ROWS(fields, fields), .stats = -1},
};
static const NnrtName losses[] = {{"loss"}};
static const NnrtReport reports[] = {{.name = "r2", .graph = G_R2, .first = -1, .arguments = 2}};
static const NnrtTrain training[] = {{.n_data = 1,
                                      .data = (const int64_t[]){0},
                                      .epochs = 5,
                                      .batch = 8,
                                      .seed = 1,
                                      .validate = VALIDATE,
                                      .validate_data = -1,
                                      .test_data = TEST_DATA,
                                      .shuffle = 1,
                                      ROWS(losses, losses),
                                      ROWS(reports, reports),
                                      .step = G_STEP,
                                      .eval = G_EVAL,
                                      .grads = G_GRADS,
                                      .begin = -1,
                                      .update = -1}};
static const NnrtArgument arguments[] = {{.name = "x", .dtype = NNRT_F32, AS(shape, 2)}},
                          results[] = {{.name = "result", .dtype = NNRT_F32, .data = -1, .field = -1}};
static const NnrtEntry entries[] = {
    {.name = "predict", ROWS(arguments, arguments), ROWS(results, results), .shown = 1, .graph = G_ENTRY}};
static const NnrtVerbRow verbs[] = {
#ifndef ONLY_PREDICT
    {"train", "learn from the data", nnrt_verb_train, -1},
    {"eval", "measure on test data", nnrt_verb_eval, -1},
    {"bench", "time it", nnrt_verb_bench, -1},
    {"info", "tensors and memory", nnrt_verb_info, -1},
#endif
    {"predict", "y of new rows", nnrt_verb_entry, 0}};

extern const NnrtProgram nnrt_program;
const NnrtProgram nnrt_program = {.name = "toy",
                                  .build = "1",
                                  .cpu = "",
                                  ROWS(variables, variables),
                                  ROWS(graphs, graphs),
                                  .init = G_INIT,
                                  ROWS(data, data),
                                  ROWS(train, training),
                                  ROWS(entries, entries),
                                  ROWS(verbs, verbs)};
