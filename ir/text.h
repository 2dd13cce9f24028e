/* text.h - the graph's text: one node a line, printed by graph_print and read back by graph_read (graph.h).
 *
 *   graph train
 *   products bf16                                   what their factors are rounded to, if they are
 *   dim B >= 0 batch
 *   %0 = input x : f32[B, 64]
 *   %1 = param fc.weight : f32[128, 64]             a frozen one ends in "frozen"
 *   %2 = const f32[3] {1, 2, 3}
 *   %3 = comp f32[B, 128] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))
 *   %3 = comp f32[B, 128] stream 1 [i0, i1] ...     of the first stream (pass_stream.c)
 *   %4 = comp f32[B] [i0] t0 = exp(%9[i0]); add(t0, div(1, t0))
 *   %5 = scatter f32[10, 4] (r0 < B, r1 < 4) [%7[r0], r1] += %8[r0, r1]
 *   %5 = scatter i32[10] (r0 < B) [%7[r0]] max= r0   the largest, -1 where there is none
 *   %6 = grad %3 by %1
 *   %7 = store fc.weight = %6
 *   %8 = carry f32[T + 1, 4] axis 0 up init %1 next %11     `next` may stand further down
 *   output loss = %3
 *
 * Scalar operations are calls named as in scalar.def, besides cast(f32, x), i32(form) and i64(form) for an index's
 * value, ge0(form), eq0(form), random(f32, 0xKEY, seed, step, place, form). A number takes the type of the operands
 * beside it, or of the result; where these do not say, it carries its own: 2:f32. Forms are sums of numbers, indices
 * (i0 of the result, r0 of the reduction), open dimensions, integer expressions, (form // number). */
#ifndef NNC_IR_TEXT_H
#define NNC_IR_TEXT_H

#include "ir/graph.h"

/* Reads one expression; the names stand for the values (scalar.def's derivatives: a, b, c the operands, y the result,
 * g its adjoint). A number that nothing beside it gives a type takes that of the value named g, else of the first
 * value. `cast(x)` casts to the type of the value named a. NULL and a message if the text is wrong. */
Expr *expr_parse(Ir *ir, const char *text, const char *const *names, Expr **values, int n, char error[256]);

/* Prints the body's expression with slots below `rank` as i0.., from there as r0... */
void expr_print_ranked(Buf *out, const Expr *e, int rank);
void form_print_ranked(Buf *out, const Form *f, int rank);

#endif
