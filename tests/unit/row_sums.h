/* row_sums.h - graphs of rows with sums over their positions beside them, as a norm's derivatives are: three tests
 * run them, as schedules, by the schedule's meaning, and as code. */
#ifndef NNC_TESTS_UNIT_ROW_SUMS_H
#define NNC_TESTS_UNIT_ROW_SUMS_H

/* x over rows of D: what is left of dy beside x's deviation, and two sums over some of the rows' positions. `rows`
 * are the rows' extents, `i` their indices, `j` the index along a row; of the sums `result` the extents and `ri` the
 * indices, `over` and `x` what they are over and where that reads. */
#define ROW_SUMS(type, rows, D, i, j, result, ri, over, x)                                                           \
  "graph sums\ndim B >= 0 batch\n"                                                                                   \
  "%0 = input x : " type "[" rows ", " D "]\n"                                                                       \
  "%1 = input dy : " type "[" rows ", " D "]\n"                                                                      \
  "%2 = comp " type "[" rows "] [" i "] sum(r0 < " D ": mul(%0[" i ", r0], 0.125))\n"                                \
  "%3 = comp " type "[" rows ", " D "] [" i ", " j "] sub(%0[" i ", " j "], %2[" i "])\n"                            \
  "%4 = comp " type "[" rows "] [" i "] sum(r0 < " D ": mul(%3[" i ", r0], %1[" i ", r0]))\n"                        \
  "%5 = comp " type "[" rows ", " D "] [" i ", " j "] sub(%1[" i ", " j "], mul(%3[" i ", " j "], %4[" i "]))\n"     \
  "%6 = comp " type "[" result "] [" ri "] sum(" over ": mul(%1[" x "], %3[" x "]))\n"                               \
  "%7 = comp " type "[" result "] [" ri "] sum(" over ": %1[" x "])\n"                                               \
  "output dx = %5\noutput dg = %6\noutput db = %7\n"

/* Over all rows, as many as there are: in blocks. */
#define ROW_SUMS_OPEN(type) ROW_SUMS(type, "B", "600", "i0", "i1", "600", "i0", "r0 < B", "r0, i0")
/* Rows of a second index, which is the inner one of a block. */
#define ROW_SUMS_INNER(type)                                                                                         \
  ROW_SUMS(type, "B, 3", "560", "i0, i1", "i2", "560", "i0", "r0 < B, r1 < 3", "r0, r1, i0")
/* Of each example: a unit is an example. */
#define ROW_SUMS_KEPT(type) ROW_SUMS(type, "B, 5", "21", "i0, i1", "i2", "B, 21", "i0, i1", "r0 < 5", "i0, r0, i1")
/* So few rows that they are one unit. */
#define ROW_SUMS_FEW(type) ROW_SUMS(type, "6", "37", "i0", "i1", "37", "i0", "r0 < 6", "r0, i0")
/* Two blocks of the second index for each of four of the first. */
#define ROW_SUMS_SECOND(type)                                                                                        \
  ROW_SUMS(type, "4, 13", "640", "i0, i1", "i2", "640", "i0", "r0 < 4, r1 < 13", "r0, r1, i0")

#endif
