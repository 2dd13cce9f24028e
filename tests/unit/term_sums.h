/* term_sums.h - sums of terms, some of which are contractions; two tests run them. */
#ifndef NNC_TESTS_UNIT_TERM_SUMS_H
#define NNC_TESTS_UNIT_TERM_SUMS_H

/* Two products and what is none; under a condition on both results and the reduction too. */
#define TERM_SUMS(type)                                                                                              \
  "graph terms\ndim B >= 0 batch\n"                                                                                  \
  "%0 = input x : " type "[B, 19]\n%1 = input w : " type "[19, 24]\n"                                                \
  "%2 = input u : " type "[B, 19]\n%3 = input v : " type "[19, 24]\n"                                                \
  "%4 = comp " type "[B, 24] [i0, i1] sum(r0 < 19: sub(sub(mul(%0[i0, r0], %1[r0, i1]), "                            \
  "mul(%2[i0, r0], %3[r0, i1])), %2[i0, r0]))\n"                                                                     \
  "%5 = comp " type "[B, 24] [i0, i1] sum(r0 < 19: select(and(gt(%0[i0, r0], 0), ge0(i1 - r0)), "                    \
  "add(mul(%0[i0, r0], %1[r0, i1]), mul(%2[i0, r0], %3[r0, i1])), 0))\n"                                             \
  "output y = %4\noutput z = %5\n"

#endif
