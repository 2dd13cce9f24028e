/* emit_shared.c - contractions side by side that need, of their second factor, what another one packs: of a
 * convolution's gradient by data, the residue class that most taps reach has the shifted windows of all.
 *
 * Whether the factor of one is that of another with some of its reduction indices held at a number is found by
 * substitution: bodies are shared, so equal ones are the same. */
#include "codegen/cpu/product.h"

enum { MOST_VALUES = 4 /* of an index that may be held */ };

typedef struct Match {
  const Product *p, *other; /* p's columns among those of `other` */
  Form **at;                /* by other's slot, over p's */
  int slot[MAX_SLOTS];      /* by index of other's K: p's index of K that it is, or... */
  int64_t held[MAX_SLOTS];  /* ...where slot is -1, its value */
} Match;

static Form *k_form(const Product *p, int i) {
  return form_var(p->e->ir, node_slot_var(p->e->s->graph, p->node, p->k.slot[i]));
}

static bool is_taken(const Match *m, int i, int slot) {
  for (int j = 0; j < i; j++)
    if (m->slot[j] == slot) return true;
  return false;
}

static bool match_from(Match *m, int i);

static bool match_as(Match *m, int i, int slot, int64_t value) {
  m->slot[i] = slot;
  m->held[i] = value;
  m->at[m->other->k.slot[i]] = slot < 0 ? form_const(m->p->e->ir, value) : k_form(m->p, slot);
  return match_from(m, i + 1);
}

/* Other's indices of K from the i-th on: each one of p's with as many values, or held. */
static bool match_from(Match *m, int i) {
  const Slots *theirs = &m->other->k, *own = &m->p->k;
  int64_t values;
  if (i == theirs->n) {
    for (int j = 0; j < own->n; j++)
      if (!is_taken(m, theirs->n, j)) return false;
    return expr_at_slots(m->p->e->ir, m->other->c->b, m->at) == m->p->c->b;
  }
  /* The first are the same: between its values all steps are equal. */
  for (int j = i ? 1 : 0; j < (i ? own->n : 1); j++)
    if (own->extent[j] == theirs->extent[i] && !is_taken(m, i, j) && match_as(m, i, j, 0)) return true;
  if (!i || !dim_is_const(theirs->extent[i], &values) || values > MOST_VALUES) return false;
  for (int64_t v = 0; v < values; v++)
    if (match_as(m, i, -1, v)) return true;
  return false;
}

/* The k of the panel at p's k. */
static int64_t place_of(const Match *m, int64_t k) {
  int64_t place = 0;
  for (int i = 0; i < m->other->k.n; i++) {
    int slot = m->slot[i];
    const Slots *own = &m->p->k;
    int64_t above = slot > 0 ? own->place[slot - 1] : INT64_MAX;
    place += m->other->k.place[i] * (slot < 0 ? m->held[i] : k % above / own->place[slot]);
  }
  return place;
}

static bool use_panel_of(Product *p, const Product *other) {
  int64_t k;
  bool same = p->b.way == PACK_lines && other->b.way == PACK_lines && !other->packed && p != other;
  if (!same || !dim_is_const(p->k.flat->extent, &k) || k % UNROLL || UNROLL % p->k.place[0]) return false;
  Match m = {.p = p, .other = other, .at = NEW_ARRAY(p->e->arena, Form *, other->node->rank + other->node->nred + 1)};
  for (int i = 0; i < p->node->rank; i++) m.at[i] = form_var(p->e->ir, node_result_var(p->e->s->graph, p->node, i));
  if (!match_from(&m, 0)) return false;
  p->packed = other;
  p->b_first = place_of(&m, 0);
  for (int i = 0; i < UNROLL; i++) p->b_steps[i] = place_of(&m, i + 1) - place_of(&m, i);
  return true;
}

void share_panels(Product *first) {
  const Product *longest = first;
  for (const Product *p = first; p; p = p->next)
    if (p->kc > longest->kc) longest = p;
  for (Product *p = first; p; p = p->next) use_panel_of(p, longest);
}
