/* choice.h - values that are wanted only where a scalar condition holds, or does not: what stands on one side of a
 * choice between tensors. */
#ifndef NNC_IR_CHOICE_H
#define NNC_IR_CHOICE_H

#include "ir/graph.h"

enum { MAX_CONDITIONS = 32 };

/* Condition c holds: bit 2 * c; it does not: bit 2 * c + 1. */
typedef uint64_t Literals;
static inline Literals literal(int c, bool holds) { return (Literals)1 << (2 * c + !holds); }
/* Each the other way round. */
static inline Literals literals_not(Literals l) {
  const Literals hold = 0x5555555555555555u;
  return (l & hold) << 1 | (l >> 1 & hold);
}

typedef struct Choices {
  int n;
  Node *condition[MAX_CONDITIONS]; /* scalar bools that are computed, in the graph's order, in no loop */
  Literals *wanted; /* by node id: each of these literals is true wherever the value is used; of a condition, those of
                     * earlier ones alone. What is used nowhere has all */
  Literals *zero;   /* by node id: where one of these is true, every element is 0 */
} Choices;

/* Only conditions on which some work hangs are listed: a reduction, a costly map, a next value. Reads of integers and
 * bools are wanted wherever their reader is: one that was not computed is never an index or a divisor. */
Choices choices_find(Graph *g, Arena *a);
/* Whether n, or a copy of it, is a condition of these, to be a value of its own in memory. */
bool is_choice(const Choices *c, const Node *n);
bool is_work(const Node *n); /* enough to be left out */

#endif
