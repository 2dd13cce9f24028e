/* scatter.c - adds at data indices, without atomics. A result index that is a source index itself, whatever the data,
 * is an owner's: each thread has one value of all of those, sets what is its own to zero, and adds its sources in
 * order. So the sums are the same in every run. */
#include "codegen/cuda/text.h"

enum { OWNERS = 64 /* of a block */ };

typedef struct Scatter {
  Text *t;
  const Member *m;
  const Node *n;
  Var **source, **result;
  Form **at, **element; /* the place over the source's indices; an element over the result's */
  bool *is_owned;       /* by source index: a thread, or the step, has one value of it */
  int *owner;           /* by result index: the source index that it is, or -1 */
} Scatter;

static void find_owners(Scatter *s) {
  for (int i = 0; i < s->n->rank; i++) {
    s->owner[i] = -1;
    for (int j = 0; j < s->n->nred; j++)
      if (form_as_var(s->at[i]) == s->source[j] && s->n->shape[i] == s->n->red[j] && !s->is_owned[j]) {
        s->owner[i] = j;
        s->is_owned[j] = true;
        break;
      }
    if (i < s->t->k->times && s->owner[i] < 0) ice("kernel %s scatters over steps of its loop", s->t->k->symbol);
  }
}

static void clear(Scatter *s) {
  Text *t = s->t;
  int opened = 0;
  for (int i = 0; i < s->n->rank; i++) {
    if (s->owner[i] >= 0) {
      s->element[i] = form_var(t->ir, s->source[s->owner[i]]);
      continue;
    }
    text_loop(t, s->result[i]);
    opened++;
  }
  text_line(t, "%s = 0;", text_place(t, s->m->buffer, s->n, s->element));
  while (opened--) text_close(t);
}

static void add(Scatter *s) {
  Text *t = s->t;
  int opened = 0;
  for (int i = 0; i < s->n->nred; i++)
    if (!s->is_owned[i]) {
      text_loop(t, s->source[i]);
      opened++;
    }
  DType d = s->n->dtype;
  const char *v =
      text_expr(t, s->n->body ? expr_at_slots(t->ir, s->n->body, form_vars(t->ir, s->n->nred, s->source)) : NULL);
  const char *place = text_place(t, s->m->buffer, s->n, s->at);
  const char *sum = text_printf(t, "nn_add_%s(%s, %s)", dtype_name(type_of_sums(d)), text_loaded(t, d, place), v);
  text_line(t, "%s = %s;", place, text_stored(t, d, text_rounded(t, d, sum)));
  while (opened--) text_close(t);
}

void text_scatter(Text *t) {
  const Member *m = &t->k->members.at[0];
  const Node *n = m->node;
  Scatter s = {.t = t, .m = m, .n = n};
  s.source = NEW_ARRAY(t->arena, Var *, n->nred + 1);
  s.result = NEW_ARRAY(t->arena, Var *, n->rank + 1);
  for (int i = 0; i < n->nred; i++) s.source[i] = var_fresh(t->ir, n->red[i]);
  for (int i = 0; i < n->rank; i++) s.result[i] = var_fresh(t->ir, n->shape[i]);
  s.element = form_vars(t->ir, n->rank, s.result);
  s.is_owned = NEW_ARRAY(t->arena, bool, n->nred + 1);
  s.owner = NEW_ARRAY(t->arena, int, n->rank + 1);
  s.at = NEW_ARRAY(t->arena, Form *, n->rank + 1);
  Form **slots = form_vars(t->ir, n->nred, s.source);
  for (int i = 0; i < n->rank; i++) s.at[i] = form_at_slots(t->ir, n->at[i], slots);
  find_owners(&s);
  Var *index[64];
  Dim *extent[64], *owners = dim_const(t->ir, 1);
  int count = 0;
  for (int i = 0; i < n->rank; i++) {
    if (s.owner[i] < 0) continue;
    index[count] = s.source[s.owner[i]];
    extent[count++] = n->shape[i];
    if (i >= t->k->times) owners = dim_mul(t->ir, owners, n->shape[i]);
  }
  t->how.threads = OWNERS;
  text_positions(t, text_threads(t, owners, OWNERS), count, index, extent);
  clear(&s);
  add(&s);
  text_close(t);
}
