/* recompute.c - see recompute.h. After Chen et al. 2016, arXiv:1604.06174, with the kernel as the unit.
 *
 * In: a schedule. While its plan is too large, look at the kernel where most bytes live. Values that wait there, made
 * before and not read until later, may be let go: the kernel that made them is put a second time before their next
 * reader, and from there on is the one that is read. What it reads must still be there, and lives longer for it. Of
 * all such kernels after whose repetition nothing comes up to the old peak, the one that frees most bytes for its
 * time is taken.
 *
 * A repeated kernel has the same members, in the same nodes, and the same code: only its buffers are others. So a
 * node may have several buffers, and which one a kernel reads is said by its operands. A kernel that also writes a
 * state (running statistics) writes the spare copy of it to memory that nobody reads. */
#include "ir/recompute.h"

#include "ir/cost.h"
#include "ir/scheduler.h"

#include <string.h>

enum { MOST_TIMES = 4 }; /* as many repetitions as there were kernels; then it is given up */

typedef struct Search {
  Schedule *s;
  int64_t size;
  int peak_at;           /* the kernel where most bytes live */
  int64_t *live, *trial; /* by kernel: bytes that live; the same for a try */
  int64_t *bytes;        /* by buffer id; 0 outside the arena */
} Search;

static int64_t open_value(void *cx, DimAtom *symbol) {
  const Search *search = cx;
  return search->size < symbol->lower ? symbol->lower : search->size;
}

static int64_t value_of(Search *search, const Dim *d) { return dim_evaluate(d, open_value, search); }

/* ---- the peak ---- */

static bool lives_at(const Buffer *b, int at) { return b->first <= at && at <= b->last; }

static int64_t live_bytes(const Search *search, int at) {
  int64_t bytes = 0;
  for (int i = 0; i < search->s->buffers.n; i++) {
    const Buffer *b = search->s->buffers.at[i];
    bool shared = b->over && b->first == at; /* counted with the one that it is written over */
    if (lives_at(b, at) && !shared) bytes += search->bytes[i];
  }
  return bytes;
}

static void find_peak(Search *search) {
  Schedule *s = search->s;
  search->bytes = NEW_ARRAY(s->arena, int64_t, s->buffers.n + 1);
  for (int i = 0; i < s->buffers.n; i++)
    if (s->buffers.at[i]->place == BUFFER_arena) search->bytes[i] = value_of(search, s->buffers.at[i]->bytes);
  search->live = NEW_ARRAY(s->arena, int64_t, s->kernels.n + 1);
  search->trial = NEW_ARRAY(s->arena, int64_t, s->kernels.n + 1);
  search->peak_at = 0;
  for (int at = 0; at < s->kernels.n; at++) {
    search->live[at] = live_bytes(search, at);
    if (search->live[at] > search->live[search->peak_at]) search->peak_at = at;
  }
}

/* ---- what a kernel has to do with a buffer ---- */

static bool uses(const Kernel *k, const Buffer *b) {
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i] == b) return true;
  return false;
}

static int last_use(const Schedule *s, const Buffer *b, int until) {
  while (until > b->first && !uses(s->kernels.at[until], b)) until--;
  return until;
}

static int next_use(const Schedule *s, const Buffer *b, int after) {
  for (int i = after + 1; i < s->kernels.n; i++)
    if (uses(s->kernels.at[i], b)) return i;
  return s->kernels.n;
}

/* Whether b, which `k` writes, waits at the peak for a later reader. */
static bool waits(const Search *search, const Kernel *k, const Buffer *b) {
  int next = next_use(search->s, b, search->peak_at);
  return b->place == BUFFER_arena && kernel_writes(k, b) && lives_at(b, search->peak_at) &&
         !uses(search->s->kernels.at[search->peak_at], b) && next < search->s->kernels.n && next <= b->last;
}

static bool is_output(const Schedule *s, const Buffer *b) { return b->last == s->kernels.n; }

/* Whether k's writing of the param or state in b can go astray: nothing but that writing needs the old value. */
static bool can_be_spared(const Schedule *s, const Kernel *k, const Buffer *b) {
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    ExprList reads = node_reads(s->arena, m->node);
    for (int j = 0; j < reads.n; j++)
      if (kernel_buffer(s, k, reads.at[j]->node) == b && m->buffer != b) return false;
  }
  return true;
}

static bool is_written_before(const Schedule *s, const Buffer *b, int end) {
  for (int i = 0; i < end; i++)
    if (kernel_writes(s->kernels.at[i], b)) return true;
  return false;
}

/* The first kernel of the outermost loop around the kernel at `at`, or that one. */
static int before_loops(const Schedule *s, int at) {
  int loop = s->kernels.at[at]->loop;
  for (; loop >= 0; loop = s->loops.at[loop].up) at = s->loops.at[loop].first;
  return at;
}

/* Whether the kernel at `from` computes the same before the one at `to`. */
static bool can_repeat(const Schedule *s, int from, int to) {
  const Kernel *k = s->kernels.at[from];
  if (k->loop >= 0) return false; /* its steps go over what steps before wrote */
  for (int i = 0; i < k->members.n; i++)
    if (schedule_part(s, k->members.at[i].node)) return false; /* the whole has other makers */
  for (int i = 0; i < k->operands.n; i++) {
    const Buffer *b = k->operands.at[i];
    if (b->place != BUFFER_param && b->place != BUFFER_state) continue;
    if (kernel_writes(k, b) ? !can_be_spared(s, k, b) : is_written_before(s, b, to)) return false;
  }
  return true;
}

/* ---- the choice ---- */

typedef struct Choice {
  int from, to; /* the kernel at `from` is repeated before that at `to` */
  double worth; /* bytes for each nanosecond */
} Choice;

/* Whether b, which a kernel writes that is repeated before `to`, is read from the repetition's result from there on.
 */
static bool is_replaced(const Schedule *s, const Buffer *b, int to) {
  return b->place == BUFFER_arena && b->last >= to && !is_output(s, b);
}

/* What lives while the repeated kernel runs: what waits for the kernel at `to`, its results among it, what it reads,
 * and results that nobody reads again. */
static int64_t bytes_there(Search *search, const Choice *c) {
  const Schedule *s = search->s;
  const Kernel *k = s->kernels.at[c->from];
  int64_t bytes = 0;
  for (int i = 0; i < s->buffers.n; i++)
    if (s->buffers.at[i]->first < c->to && s->buffers.at[i]->last >= c->to) bytes += search->bytes[i];
  for (int i = 0; i < k->operands.n; i++) {
    const Buffer *b = k->operands.at[i];
    bool more = kernel_writes(k, b) ? !is_replaced(s, b, c->to) : b->place == BUFFER_arena && b->last < c->to;
    if (more) bytes += value_of(search, b->bytes);
  }
  return bytes;
}

/* The most that lives from the peak on until the kernel is repeated, and earlier where it keeps something alive. */
static int64_t most_before(Search *search, const Choice *c) {
  const Schedule *s = search->s;
  const Kernel *k = s->kernels.at[c->from];
  int64_t *bytes = search->trial, most = 0;
  int first = search->peak_at;
  memcpy(bytes, search->live, sizeof *bytes * (size_t)s->kernels.n);
  for (int i = 0; i < k->operands.n; i++) {
    const Buffer *b = k->operands.at[i];
    bool dropped = kernel_writes(k, b) && is_replaced(s, b, c->to), kept = !kernel_writes(k, b) && b->last < c->to;
    int after = dropped ? last_use(s, b, c->to - 1) + 1 : kept ? b->last + 1 : c->to;
    if (kept && after < first) first = after;
    for (int at = after; at < c->to; at++) bytes[at] += dropped ? -search->bytes[b->id] : search->bytes[b->id];
  }
  for (int at = first; at < c->to; at++)
    if (bytes[at] > most) most = bytes[at];
  return most;
}

static bool look_at(Search *search, int from, Choice *c) {
  const Schedule *s = search->s;
  const Kernel *k = s->kernels.at[from];
  int64_t peak = search->live[search->peak_at];
  *c = (Choice){.from = from, .to = s->kernels.n};
  for (int i = 0; i < k->operands.n; i++) {
    const Buffer *b = k->operands.at[i];
    if (!waits(search, k, b) || is_output(s, b)) continue;
    int next = next_use(s, b, search->peak_at);
    if (next < c->to) c->to = next;
  }
  if (c->to == s->kernels.n) return false;
  c->to = before_loops(s, c->to);
  if (c->to <= search->peak_at || !can_repeat(s, from, c->to)) return false;
  if (bytes_there(search, c) >= peak || most_before(search, c) >= peak) return false;
  c->worth = (double)(peak - search->trial[search->peak_at]) / ((double)value_of(search, k->work) + 1);
  return true;
}

static bool choose(Search *search, Choice *best) {
  bool found = false;
  for (int i = 0; i < search->peak_at; i++) {
    Choice c;
    if (!look_at(search, i, &c) || (found && c.worth <= best->worth)) continue;
    *best = c;
    found = true;
  }
  return found;
}

/* ---- the change ---- */

static Buffer *another(Schedule *s, const Buffer *of) {
  Buffer *b = NEW(s->arena, Buffer);
  *b = (Buffer){.id = s->buffers.n, .place = BUFFER_arena, .node = of->node, .bytes = of->bytes, .first = -1};
  vec_push(s->arena, &s->buffers, b);
  return b;
}

static void replace(Kernel *k, Buffer *old, Buffer *now) {
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i] == old) k->operands.at[i] = now;
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].buffer == old) k->members.at[i].buffer = now;
}

static Kernel *copy_of(Schedule *s, const Kernel *k) {
  Kernel *copy = NEW(s->arena, Kernel);
  *copy = *k;
  memset(&copy->members, 0, sizeof copy->members);
  memset(&copy->operands, 0, sizeof copy->operands);
  for (int i = 0; i < k->members.n; i++) vec_push(s->arena, &copy->members, k->members.at[i]);
  for (int i = 0; i < k->operands.n; i++) vec_push(s->arena, &copy->operands, k->operands.at[i]);
  return copy;
}

static void insert(Schedule *s, Kernel *k, int at) {
  vec_push(s->arena, &s->kernels, k);
  memmove(&s->kernels.at[at + 1], &s->kernels.at[at], sizeof(Kernel *) * (size_t)(s->kernels.n - 1 - at));
  s->kernels.at[at] = k;
  for (int i = 0; i < s->kernels.n; i++) s->kernels.at[i]->id = i;
  for (int i = 0; i < s->loops.n; i++) { /* no loop is inserted into: it stands before `at` or is moved */
    if (s->loops.at[i].first < at) continue;
    s->loops.at[i].first++;
    s->loops.at[i].last++;
  }
}

/* From `to` on, what the kernel at `from` made is read from the buffers of its copy. */
static void repeat(Schedule *s, int from, int to) {
  const Kernel *k = s->kernels.at[from];
  Kernel *copy = copy_of(s, k);
  for (int i = 0; i < k->operands.n; i++) {
    Buffer *old = k->operands.at[i];
    if (!kernel_writes(k, old)) continue;
    Buffer *now = another(s, old);
    replace(copy, old, now);
    bool lasts = old->place != BUFFER_arena || is_output(s, old);
    for (int at = to; at < s->kernels.n && !lasts; at++) replace(s->kernels.at[at], old, now);
  }
  insert(s, copy, to);
}

static int by_bytes(const Search *search, const Buffer *a, const Buffer *b) {
  return search->bytes[a->id] > search->bytes[b->id];
}

static void list_largest(const Search *search, MemoryFit *fit) {
  enum { ROOM = sizeof fit->largest / sizeof *fit->largest };
  memset(fit->largest, 0, sizeof fit->largest);
  for (int i = 0; i < search->s->buffers.n; i++) {
    Buffer *b = search->s->buffers.at[i];
    if (b->place != BUFFER_arena || !lives_at(b, search->peak_at) || b->over) continue;
    for (int k = 0; k < ROOM; k++) {
      if (fit->largest[k] && !by_bytes(search, b, fit->largest[k])) continue;
      Buffer *lesser = fit->largest[k];
      fit->largest[k] = b;
      b = lesser;
      if (!b) break;
    }
  }
}

/* ---- the whole ---- */

typedef struct Start { /* the schedule before anything was repeated */
  Kernel **kernels;
  KernelLoop *loops;
  int n, buffers;
} Start;

static Start start_of(Schedule *s) {
  Start start = {.kernels = NEW_ARRAY(s->arena, Kernel *, s->kernels.n + 1), .n = s->kernels.n};
  start.buffers = s->buffers.n;
  start.loops = NEW_ARRAY(s->arena, KernelLoop, s->loops.n + 1);
  for (int i = 0; i < s->loops.n; i++) start.loops[i] = s->loops.at[i];
  for (int i = 0; i < s->kernels.n; i++) start.kernels[i] = copy_of(s, s->kernels.at[i]);
  return start;
}

/* Back to the start, and from there the first n choices again. */
static void go_back(Schedule *s, Start start, const Choice *choices, int n) {
  s->kernels.n = start.n;
  s->buffers.n = start.buffers;
  memcpy(s->kernels.at, start.kernels, sizeof(Kernel *) * (size_t)start.n);
  for (int i = 0; i < s->loops.n; i++) s->loops.at[i] = start.loops[i];
  for (int i = 0; i <= n; i++) {
    schedule_plan(s);
    if (i < n) repeat(s, choices[i].from, choices[i].to);
  }
}

bool recompute_to_fit(Schedule *s, int64_t budget, int64_t size, MemoryFit *fit) {
  Search search = {.s = s, .size = size};
  Vec(Choice) choices = {0};
  *fit = (MemoryFit){.planned = value_of(&search, s->arena_bytes)};
  fit->reached = fit->planned;
  Start start = start_of(s);
  for (int64_t now = fit->planned; now > budget && choices.n < MOST_TIMES * start.n;) {
    Choice c;
    find_peak(&search);
    if (!choose(&search, &c)) break;
    repeat(s, c.from, c.to);
    vec_push(s->arena, &choices, c);
    schedule_plan(s);
    now = value_of(&search, s->arena_bytes);
    if (now >= fit->reached) continue;
    fit->reached = now;
    fit->recomputed = choices.n;
  }
  if (choices.n > fit->recomputed) go_back(s, start, choices.at, fit->recomputed);
  find_peak(&search);
  list_largest(&search, fit);
  return fit->reached <= budget;
}
