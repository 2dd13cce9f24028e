/* contraction_test.c - sums of products as tiles, against the interpreter: every way in which an operand reaches the
 * tiles (where it lies, copied, packed along its lines or along K, transposed), K in one block and in several, along
 * any of its indices; windows whose vectors lie in one row, cross rows and cross images, by steps of one and more;
 * extents of 1, primes and the tiles' edges; every vector length. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/unit.h"

static void check(const char *text) {
  static const struct {
    const char *march;
    int level, batch, chunks;
  } ways[] = {
      {"native", 2, 1, 1}, {"native", 2, 3, 3}, {"native", 0, 2, 2}, {"x86-64-v2", 2, 2, 1}, {"x86-64-v3", 2, 2, 2}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (strcmp(ways[i].march, "x86-64-v3") == 0 && !__builtin_cpu_supports("fma")) continue;
    Arena *a = arena_new();
    char error[256] = "";
    Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
    if (!g) fail_msg("%s", error);
    KernelRun how = {
        .march = ways[i].march, .level = ways[i].level, .batch = ways[i].batch, .chunks = ways[i].chunks};
    how.seed = 1;
    const char *fault = kernel_run(g, &how);
    if (fault) fail_msg("B = %d, -O%d, %s: %s\n%s", ways[i].batch, how.level, how.march, fault, text);
    arena_free(a);
  }
}

#define HEAD "graph t\ndim B >= 0 batch\n"

/* Rows more than a page apart: copied, A and B, with whole and with narrower panels. */
static void far_rows(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[19, 1030]\n%1 = input w : f32[19, 1100]\n"
             "%2 = comp f32[41, 259] [i0, i1] sum(r0 < 19: mul(%0[r0, i0], %1[r0, i1 + 3]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[33, 1030]\n%1 = input w : f32[33, 1100]\n"
             "%2 = comp f32[48, 192] [i0, i1] sum(r0 < 33: mul(%0[r0, i0 + 1], %1[r0, i1]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[B, 1030]\n%1 = input w : f32[B, 1100]\n" /* K open */
             "%2 = comp f32[37, 197] [i0, i1] sum(r0 < B: mul(%0[r0, i0], %1[r0, i1]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f64[21, 600]\n%1 = input w : f64[21, 600]\n"
             "%2 = comp f64[31, 150] [i0, i1] sum(r0 < 21: mul(%0[r0, i0], %1[r0, i1]))\noutput y = %2\n");
}

/* Sides and sums shorter than a vector, which are tiles where the batch has many of them. */
static void small_sides(void **state) {
  (void)state;
  static const int sizes[][3] = {{6, 6, 6}, {3, 3, 3}, {4, 16, 64}, {2, 32, 64}, {64, 64, 2}, {5, 7, 11}};
  char text[512];
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
    snprintf(text, sizeof text,
             HEAD "%%0 = input x : f32[B, %d, %d]\n%%1 = input w : f32[B, %d, %d]\n"
                  "%%2 = comp f32[B, %d, %d] [i0, i1, i2] sum(r0 < %d: mul(%%0[i0, i1, r0], %%1[i0, r0, i2]))\n"
                  "%%3 = comp f32[B, %d, %d] [i0, i1, i2] tanh(%%2[i0, i1, i2])\noutput y = %%3\n",
             m, k, k, n, m, n, k, m, n);
    check(text);
  }
}

/* Large enough for narrower tiles in the last columns: of one whole vector, of a part of one, of several. */
static void last_columns(void **state) {
  (void)state;
  static const int columns[] = {336, 329, 355};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    char text[400];
    snprintf(text, sizeof text,
             HEAD "%%0 = input x : f32[40, 80]\n%%1 = input w : f32[80, %d]\n"
                  "%%2 = comp f32[40, %d] [i0, i1] sum(r0 < 80: mul(%%0[i0, r0], %%1[r0, i1]))\noutput y = %%2\n",
             columns[i], columns[i]);
    check(text);
  }
}

/* Extents around a tile's, and single ones beside them. */
static void edges(void **state) {
  (void)state;
  static const int extents[][3] = {{8, 8, 4}, {9, 17, 5}, {23, 31, 7}, {24, 48, 16}, {25, 49, 17}, {13, 65, 33}};
  for (size_t i = 0; i < sizeof extents / sizeof *extents; i++)
    for (int way = 0; way < 4; way++) {
      char text[600];
      int m = extents[i][0], n = extents[i][1], k = extents[i][2];
      bool ta = way & 1, tb = way & 2;
      snprintf(text, sizeof text,
               HEAD "%%0 = input x : f32[%d, %d]\n%%1 = input w : f32[%d, 1, %d]\n"
                    "%%2 = comp f32[%d, %d] [i0, i1] sum(r0 < %d: mul(%%0[%s], %%1[%s]))\noutput y = %%2\n",
               ta ? k : m, ta ? m : k, tb ? n : k, tb ? k : n, m, n, k, ta ? "r0, i0" : "i0, r0",
               tb ? "i1, 0, r0" : "r0, 0, i1");
      check(text);
    }
}

#define GUARD(h, w) "and(and(ge0(i2 + r1 - 1), ge0(" #h " - i2 - r1)), and(ge0(i3 + r2 - 1), ge0(" #w " - i3 - r2)))"
#define FORWARD(c, h, w, o)                                                                                          \
  HEAD "%0 = input x : f32[B, " #c ", " #h ", " #w "]\n%1 = param w : f32[" #o ", " #c ", 3, 3]\n"                   \
       "%2 = comp f32[B, " #o ", " #h ", " #w "] [i0, i1, i2, i3] sum(r0 < " #c                                      \
       ", r1 < 3, r2 < 3: mul(select(" GUARD(                                                                        \
           h, w) ", %0[i0, r0, i2 + r1 - 1, i3 + r2 - 1], 0), %1[i1, r0, r1, r2]))\noutput y = %2\n"

/* Padded windows, channels first: vectors cross rows (7, 9), end with them (16), cross images (49, 81) or not (256).
 */
static void windows(void **state) {
  (void)state;
  check(FORWARD(5, 7, 7, 24));
  check(FORWARD(3, 9, 9, 9));
  check(FORWARD(2, 16, 16, 17));
  check(FORWARD(130, 4, 5, 8));                                                   /* K in blocks of channels */
  check(HEAD "%0 = input x : f32[B, 4, 11, 9]\n%1 = param w : f32[16, 4, 3, 3]\n" /* not padded, by two */
             "%2 = comp f32[B, 16, 5, 4] [i0, i1, i2, i3] sum(r0 < 4, r1 < 3, r2 < 3: mul(%0[i0, r0, 2*i2 + r1, "
             "2*i3 + r2], %1[i1, r0, r1, r2]))\noutput y = %2\n");
}

/* Their derivatives: by data the weights are read with M inside K, by weight K runs over images, rows and columns. */
static void window_derivatives(void **state) {
  (void)state;
  check(HEAD
        "%0 = input g : f32[B, 12, 7, 7]\n%1 = param w : f32[12, 9, 3, 3]\n"
        "%2 = comp f32[B, 9, 7, 7] [i0, i1, i2, i3] sum(r0 < 12, r1 < 3, r2 < 3: mul(select(and(and(ge0(i2 - r1 + "
        "1), ge0(5 - i2 + r1)), and(ge0(i3 - r2 + 1), ge0(5 - i3 + r2))), %0[i0, r0, i2 - r1 + 1, i3 - r2 + 1], "
        "0), %1[r0, i1, r1, r2]))\noutput y = %2\n");
#define BY_WEIGHT(c, h, w, o)                                                                                        \
  HEAD "%0 = input x : f32[B, " #c ", " #h ", " #w "]\n%1 = input g : f32[B, " #o ", " #h ", " #w "]\n"              \
       "%2 = comp f32[" #o ", " #c ", 3, 3] [i0, i1, i2, i3] sum(r0 < B, r1 < " #h ", r2 < " #w                      \
       ": mul(select(and(and(ge0(r1 + i2 - 1), ge0(" #h " - r1 - i2)), and(ge0(r2 + i3 - 1), ge0(" #w                \
       " - r2 - i3))), %0[r0, i1, r1 + i2 - 1, r2 + i3 - 1], 0), %1[r0, i0, r1, r2]))\n"                             \
       "%3 = comp f32[" #o ", " #c ", 3, 3] [i0, i1, i2, i3] mul(%2[i0, i1, i2, i3], 0.5)\noutput y = %3\n"
  check(BY_WEIGHT(3, 7, 7, 9));
  check(BY_WEIGHT(2, 36, 37, 8)); /* blocks of rows within an image */
  check(BY_WEIGHT(4, 1, 19, 11));
}

/* Residue classes of a derivative by data with stride 2, whose kernels are one: with rows that are no whole tiles,
 * vectors that cross images, maps after each, weights that lie along K, and more packed rows than stay in x86-64-v2's
 * second cache. */
static void side_by_side(void **state) {
  (void)state;
  static const struct {
    const char *type;
    int channels, out, width;
    bool finished, along_k;
  } rows[] = {{"f32", 24, 16, 17, false, false}, {"f32", 9, 32, 7, true, false},  {"f64", 13, 20, 16, false, false},
              {"f32", 17, 40, 9, false, true},   {"f64", 10, 33, 5, true, false}, {"f32", 16, 800, 8, false, false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[2000];
    const char *t = rows[i].type, *at = rows[i].along_k ? "i1, r0" : "r0, i1";
    int c = rows[i].channels, o = rows[i].out, n = rows[i].width, even = rows[i].finished ? 6 : 3;
    int used = snprintf(text, sizeof text,
                        HEAD "%%0 = input g : %s[B, %d, %d]\n%%1 = param w : %s[%d, %d, 3]\n"
                             "%%2 = input h : %s[B, %d, %d]\n"
                             "%%3 = comp %s[B, %d, %d] [i0, i1, i2] sum(r0 < %d: mul(%%0[i0, r0, i2], %%1[%s, 1]))\n"
                             "%%4 = comp %s[B, %d, %d] [i0, i1, i2] sum(r0 < %d, r1 < 2: select(ge0(-i2 + r1 + %d), "
                             "mul(%%0[i0, r0, i2 - r1 + 1], %%1[%s, 2*r1]), 0))\n",
                        t, o, n, t, rows[i].along_k ? c : o, rows[i].along_k ? o : c, t, c, 2 * n, t, c, n, o, at, t,
                        c, n, o, n - 2, at);
    if (rows[i].finished)
      used += snprintf(text + used, sizeof text - (size_t)used,
                       "%%5 = comp %s[B, %d, %d] [i0, i1, i2] select(gt(%%2[i0, i1, 2*i2 + 1], 0), %%4[i0, i1, i2], "
                       "0)\n%%6 = comp %s[B, %d, %d] [i0, i1, i2] add(%%3[i0, i1, i2], %%2[i0, i1, 2*i2])\n",
                       t, c, n, t, c, n);
    snprintf(text + used, sizeof text - (size_t)used,
             "%%%d = comp %s[B, %d, %d] [i0, i1, i2] select(eq0(i2 - 2*(i2 // 2)), %%%d[i0, i1, (i2 // 2)], "
             "select(eq0(i2 - 2*(i2 // 2) - 1), %%%d[i0, i1, (i2 // 2)], 0))\noutput y = %%%d\n",
             rows[i].finished ? 7 : 5, t, c, 2 * n, even, rows[i].finished ? 5 : 4, rows[i].finished ? 7 : 5);
    check(text);
  }
}

/* K over images, one of them a block: both operands are read where they lie, or packed, or transposed. */
static void whole_images(void **state) {
  (void)state;
  check(BY_WEIGHT(2, 12, 13, 9));
#define BY_POINT(h, w)                                                                                               \
  HEAD "%0 = input x : f32[B, 10, " #h ", " #w "]\n%1 = input g : f32[B, 17, " #h ", " #w "]\n"                      \
       "%2 = comp f32[17, 10] [i0, i1] sum(r0 < B, r1 < " #h ", r2 < " #w                                            \
       ": mul(%1[r0, i0, r1, r2], %0[r0, i1, r1, r2]))\noutput y = %2\n"
  check(BY_POINT(12, 13));
  check(BY_POINT(33, 34)); /* larger than a block of K */
  check(HEAD "%0 = input x : f32[5, 10, 24, 24]\n%1 = input g : f32[5, 17, 12, 12]\n"
             "%2 = comp f32[17, 10] [i0, i1] sum(r0 < 5, r1 < 12, r2 < 12: mul(%1[r0, i0, r1, r2], %0[r0, i1, 2*r1, "
             "2*r2]))\noutput y = %2\n");
}

/* Windows a step of 2, 3, 4 or 5 apart, forward and by weight: vectors cross short rows and long ones, begin and end
 * outside the image, and hold elements of several types. */
static void strided_windows(void **state) {
  (void)state;
  static const struct {
    const char *read, *type;
    int step, height, width, offset;
  } cases[] = {{"%s", "f32", 2, 9, 57, 1}, {"%s", "f32", 2, 15, 15, 1},           {"%s", "f32", 3, 10, 31, 2},
               {"%s", "f32", 4, 8, 65, 0}, {"%s", "f32", 5, 11, 41, 1},           {"%s", "f64", 2, 9, 33, 1},
               {"%s", "f64", 3, 8, 20, 0}, {"cast(f32, %s)", "bf16", 2, 9, 57, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int s = cases[i].step, h = cases[i].height, w = cases[i].width, o = cases[i].offset;
    int out_h = (h + 2 * o - 3) / s + 1, out_w = (w + 2 * o - 3) / s + 1;
    const char *t = strcmp(cases[i].type, "f64") == 0 ? "f64" : "f32";
    char text[2000], guard[400], at[100], read[200];
    for (int by_weight = 0; by_weight < 2; by_weight++) {
      const char *y = by_weight ? "r1" : "i2", *x = by_weight ? "r2" : "i3", *ky = by_weight ? "i2" : "r1",
                 *kx = by_weight ? "i3" : "r2";
      snprintf(
          guard, sizeof guard,
          "and(and(ge0(%d*%s + %s - %d), ge0(%d - %d*%s - %s)), and(ge0(%d*%s + %s - %d), ge0(%d - %d*%s - %s)))", s,
          y, ky, o, h + o - 1, s, y, ky, s, x, kx, o, w + o - 1, s, x, kx);
      snprintf(at, sizeof at, "%%0[%s, %s, %d*%s + %s - %d, %d*%s + %s - %d]", by_weight ? "r0" : "i0",
               by_weight ? "i1" : "r0", s, y, ky, o, s, x, kx, o);
      snprintf(read, sizeof read, cases[i].read, at);
      if (by_weight)
        snprintf(text, sizeof text,
                 HEAD
                 "%%0 = input x : %s[B, 5, %d, %d]\n%%1 = input g : %s[B, 9, %d, %d]\n%%2 = comp %s[9, 5, 3, 3] [i0, "
                 "i1, i2, i3] sum(r0 < B, r1 < %d, r2 < %d: mul(select(%s, %s, 0), %%1[r0, i0, r1, r2]))\n"
                 "output y = %%2\n",
                 cases[i].type, h, w, t, out_h, out_w, t, out_h, out_w, guard, read);
      else
        snprintf(text, sizeof text,
                 HEAD
                 "%%0 = input x : %s[B, 5, %d, %d]\n%%1 = param w : %s[17, 5, 3, 3]\n%%2 = comp %s[B, 17, %d, %d] "
                 "[i0, i1, i2, i3] sum(r0 < 5, r1 < 3, r2 < 3: mul(select(%s, %s, 0), %%1[i1, r0, r1, r2]))\n"
                 "output y = %%2\n",
                 cases[i].type, h, w, t, t, out_h, out_w, guard, read);
      check(text);
    }
  }
}

/* Results whose neighbours are not neighbours in memory: classes of a wider one, two columns apart; with
 * maps after the sum that read tensors in the same order, and with K in blocks. */
static void strided_results(void **state) {
  (void)state;
#define CLASSES(t, k, w)                                                                                             \
  HEAD "%0 = input g : " #t "[B, " #k ", 5, " #w "]\n%1 = param w : " #t "[" #k ", 9]\n%2 = input z : " #t           \
       "[B, 9, 5, " #w "]\n"                                                                                         \
       "%3 = comp " #t "[B, 9, 5, " #w "] [i0, i1, i2, i3] sum(r0 < " #k                                             \
       ": mul(exp(%0[i0, r0, i2, i3]), %1[r0, i1]))\n"                                                               \
       "%4 = comp " #t "[B, 9, 5, " #w "] [i0, i1, i2, i3] sum(r0 < " #k ": mul(%0[i0, r0, i2, i3], %1[r0, i1]))\n"  \
       "%5 = comp " #t "[B, 9, 5, " #w                                                                               \
       "] [i0, i1, i2, i3] mul(add(%4[i0, i1, i2, i3], cast(f32, i32(i3))), %2[i0, i1, i2, i3])\n"
#define BY_TWO(t, w2)                                                                                                \
  "%6 = comp " #t "[B, 9, 5, " #w2                                                                                   \
  "] [i0, i1, i2, i3] select(eq0(i3 - 2*(i3 // 2)), %3[i0, i1, i2, (i3 // 2)], %5[i0, "                              \
  "i1, i2, (i3 // 2)])\noutput y = %6\n"
  check(CLASSES(f32, 6, 27) BY_TWO(f32, 54));
  check(CLASSES(f32, 6, 7) BY_TWO(f32, 14));
  check(CLASSES(f32, 2100, 13) BY_TWO(f32, 26));
}

/* A far from its neighbours in memory, in rows and along K: all panels are packed at each k. */
static void far_apart(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 40, 7, 11]\n%1 = input w : f32[40, 103, 3]\n"
             "%2 = comp f32[B, 103, 7, 11] [i0, i1, i2, i3] sum(r0 < 40: mul(%0[i0, r0, i2, i3], %1[r0, i1, 1]))\n"
             "output y = %2\n");
  check(HEAD
        "%0 = input x : f32[B, 40, 7, 11]\n%1 = input w : f32[40, 103, 9]\n"
        "%2 = comp f32[B, 103, 7, 11] [i0, i1, i2, i3] sum(r0 < 40, r1 < 2: mul(%0[i0, r0, i2, i3], exp(%1[r0, i1, "
        "2*r1 + 5])))\noutput y = %2\n");
}

/* Weights of which lines and K both jump, as many as are copied in another order first: every other tap, mirrored
 * taps, weights of each example's own; rows of a window shorter than a vector, packed in ranges of a long K. */
static void jumping_weights(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 64, 3, 4]\n%1 = input w : f32[64, 160, 3, 3]\n"
             "%2 = comp f32[B, 160, 2, 3] [i0, i1, i2, i3] sum(r0 < 64, r1 < 2, r2 < 2: mul(%0[i0, r0, i2 + r1, i3 + "
             "r2], %1[r0, i1, 2*r1, 2*r2]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[B, 64, 3, 4]\n%1 = input w : f32[64, 70, 3, 3]\n"
             "%2 = comp f32[B, 70, 3, 4] [i0, i1, i2, i3] sum(r0 < 64, r1 < 3, r2 < 3: select(and(and(ge0(i2 - r1 + "
             "1), ge0(1 - i2 + r1)), and(ge0(i3 - r2 + 1), ge0(2 - i3 + r2))), mul(%0[i0, r0, i2 - r1 + 1, i3 - r2 + "
             "1], %1[r0, i1, 2 - r1, 2 - r2]), 0))\noutput y = %2\n");
  check(HEAD
        "%0 = input x : f32[B, 3, 70, 7]\n%1 = input w : f32[B, 70, 60, 8]\n"
        "%2 = comp f32[B, 60, 3, 6] [i0, i1, i2, i3] sum(r0 < 70, r1 < 2: mul(%0[i0, i2, r0, i3 + r1], %1[i0, r0, "
        "i1, 5*r1 + 1]))\noutput y = %2\n");
}

/* Columns in panels, read as they lie where tiles fit into them: whole ones, a last one that is not, panels that no
 * vector fits, K in several indices. */
static void panels(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 40]\n%1 = input w : f32[3, 40, 32]\n"
             "%2 = comp f32[B, 96] [i0, i1] sum(r0 < 40: mul(%0[i0, r0], %1[i1 // 32, r0, i1 - 32*(i1 // 32)]))\n"
             "output y = %2\n");
  check(HEAD
        "%0 = input x : f32[21, 5, 8]\n%1 = input w : f32[3, 5, 8, 64]\n"
        "%2 = comp f32[21, 150] [i0, i1] sum(r0 < 5, r1 < 8: mul(%0[i0, r0, r1], %1[i1 // 64, r0, r1, i1 - 64*(i1 "
        "// 64)]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f64[19, 40]\n%1 = input w : f64[5, 40, 20]\n"
             "%2 = comp f64[19, 100] [i0, i1] sum(r0 < 40: mul(%0[i0, r0], %1[i1 // 20, r0, i1 - 20*(i1 // 20)]))\n"
             "output y = %2\n");
}

/* Weights that a loop multiplies by at every step, by rows and by columns. */
static void weights_of_loops(void **state) {
  (void)state;
  for (int columns = 0; columns < 2; columns++) {
    char text[800];
    snprintf(text, sizeof text,
             HEAD "%%0 = input x : f32[8, B, 192]\n%%1 = param w : f32[192, 192]\n%%2 = comp f32[B, 192] [i0, i1] 0\n"
                  "%%3 = carry f32[9, B, 192] axis 0 up init %%2 next %%5\n"
                  "%%4 = comp f32[8, B, 192] [i0, i1, i2] sum(r0 < 192: mul(%%1[%s], %%3[i0, i1, r0]))\n"
                  "%%5 = comp f32[8, B, 192] [i0, i1, i2] tanh(add(mul(0.1, %%4[i0, i1, i2]), %%0[i0, i1, i2]))\n"
                  "output y = %%5\n",
             columns ? "r0, i2" : "i2, r0");
    check(text);
  }
}

/* Several units after each other: rows packed once for blocks of columns, columns once for blocks of rows. */
static void units_in_a_row(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[40, 1130]\n%1 = input w : f32[40, 1100]\n"
             "%2 = comp f32[150, 350] [i0, i1] sum(r0 < 40: mul(%0[r0, i0], %1[r0, i1]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[40, 1130]\n%1 = input w : f32[40, 1100]\n"
             "%2 = comp f32[350, 150] [i0, i1] sum(r0 < 40: mul(%0[r0, i0], %1[r0, i1]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[2, 40, 1130]\n%1 = input w : f32[2, 40, 1100]\n"
             "%2 = comp f32[2, 150, 200] [i0, i1, i2] sum(r0 < 40: mul(%0[i0, r0, i1], %1[i0, r0, i2]))\noutput y = "
             "%2\n");
}

/* K open in an index that is not its first; K cut along its second. */
static void open_inside(void **state) {
  (void)state;
  check(HEAD
        "%0 = input x : f32[3, B, 40]\n%1 = input w : f32[3, B, 24]\n"
        "%2 = comp f32[40, 24] [i0, i1] sum(r0 < 3, r1 < B: mul(%0[r0, r1, i0], %1[r0, r1, i1]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[2, 1100, 9]\n%1 = input w : f32[8, 2, 1100]\n"
             "%2 = comp f32[9, 8] [i0, i1] sum(r0 < 2, r1 < 1100: mul(exp(%0[r0, r1, i0]), %1[i1, r0, r1]))\n"
             "output y = %2\n");
  check(HEAD "%0 = input x : f32[B, 2, 1100]\n%1 = input w : f32[17, 2, 1100]\n%2 = input s : f32[9]\n"
             "%3 = comp f32[B, 9, 17] [i0, i1, i2] sum(r0 < 2, r1 < 1100: mul(mul(%0[i0, r0, r1], %2[i1]), %1[i2, "
             "r0, r1]))\n"
             "output y = %3\n");
}

/* Rows and columns open in an index that is not their first. */
static void open_rows(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 5, 23]\n%1 = input w : f32[17, 23]\n"
             "%2 = comp f32[5, B, 17] [i0, i1, i2] sum(r0 < 23: mul(%0[i1, i0, r0], %1[i2, r0]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[9, 23]\n%1 = input w : f32[4, B, 8, 23]\n"
             "%2 = comp f32[4, 9, B, 8] [i0, i1, i2, i3] sum(r0 < 23: mul(%0[i1, r0], %1[i0, i2, i3, r0]))\n"
             "output y = %2\n");
}

/* Conditions on rows, columns and K together. */
static void masked_tiles(void **state) {
  (void)state;
  check(
      HEAD
      "%0 = input x : f32[B, 19, 23]\n%1 = input w : f32[23, 41]\n"
      "%2 = comp f32[B, 19, 41] [i0, i1, i2] sum(r0 < 23: select(ge0(i1 - i2 + r0), mul(%0[i0, i1, r0], %1[r0, i2]), "
      "0))\noutput y = %2\n");
  check(
      HEAD
      "%0 = input x : f32[27, 13]\n%1 = input w : f32[29, 13]\n%2 = input m : f32[27, 29]\n"
      "%3 = comp f32[27, 29] [i0, i1] sum(r0 < 13: select(and(gt(%2[i0, i1], 1), ge0(i0 - i1 - r0)), mul(exp(%0[i0, "
      "r0]), %1[i1, r0]), 0))\noutput y = %3\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_sides),     cmocka_unit_test(far_rows),     cmocka_unit_test(last_columns),
      cmocka_unit_test(edges),           cmocka_unit_test(windows),      cmocka_unit_test(window_derivatives),
      cmocka_unit_test(open_inside),     cmocka_unit_test(masked_tiles), cmocka_unit_test(open_rows),
      cmocka_unit_test(side_by_side),    cmocka_unit_test(whole_images), cmocka_unit_test(strided_windows),
      cmocka_unit_test(strided_results), cmocka_unit_test(far_apart),    cmocka_unit_test(jumping_weights),
      cmocka_unit_test(units_in_a_row),  cmocka_unit_test(panels),       cmocka_unit_test(weights_of_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
