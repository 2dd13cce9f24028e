/* source.c - see source.h. */
#include "lang/source.h"

#include <string.h>

uint32_t sources_add(Sources *s, Str path, const char *text, size_t n) {
  Source *p = NEW(s->arena, Source);
  p->path = path;
  p->text = arena_strndup(s->arena, text, n);
  p->n = n;
  int lines = 1;
  for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
  p->line_starts = NEW_ARRAY(s->arena, uint32_t, lines);
  p->lines = 1;
  for (size_t i = 0; i < n; i++)
    if (text[i] == '\n') p->line_starts[p->lines++] = (uint32_t)(i + 1);
  vec_push(s->arena, &s->all, p);
  return (uint32_t)s->all.n;
}

Source *sources_get(const Sources *s, uint32_t number) {
  return number == 0 || number > (uint32_t)s->all.n ? NULL : s->all.at[number - 1];
}

void source_position(const Source *s, uint32_t offset, int *line, int *column) {
  int lo = 0, hi = s->lines - 1;
  while (lo < hi) {
    int mid = (lo + hi + 1) / 2;
    if (s->line_starts[mid] <= offset) lo = mid;
    else hi = mid - 1;
  }
  *line = lo + 1;
  *column = 1;
  for (size_t i = s->line_starts[lo]; i < offset && i < s->n; i++)
    *column += ((unsigned char)s->text[i] & 0xc0) != 0x80;
}

static bool begins_character(const Source *s, uint32_t offset) {
  return offset < s->n && ((unsigned char)s->text[offset] & 0xc0) != 0x80;
}

void position_seek(PositionCursor *c, uint32_t offset) {
  const Source *s = c->source;
  bool far = offset > c->offset + 4096 || offset + 4096 < c->offset;
  if (far || (c->line < s->lines && offset >= s->line_starts[c->line]) || offset < s->line_starts[c->line - 1]) {
    source_position(s, offset, &c->line, &c->column);
    c->offset = offset;
  }
  for (; c->offset < offset; c->offset++) c->column += begins_character(s, c->offset);
  for (; c->offset > offset; c->offset--) c->column -= begins_character(s, c->offset - 1);
}

uint32_t sources_use(Sources *s, Span at) {
  const Span *last = s->uses.n ? &s->uses.at[s->uses.n - 1] : NULL;
  if (!last || !span_same(*last, at)) vec_push(s->arena, &s->uses, at);
  return (uint32_t)s->uses.n;
}

Span sources_user_place(const Sources *s, Span at) {
  const Source *source = sources_get(s, at.source);
  bool elsewhere = source && source->library && at.use > 0 && at.use <= (uint32_t)s->uses.n;
  return elsewhere ? s->uses.at[at.use - 1] : at;
}

bool span_same(Span a, Span b) { return a.source == b.source && a.begin == b.begin && a.end == b.end; }

bool span_holds(Span outer, Span inner) {
  return outer.source == inner.source && outer.begin <= inner.begin && inner.end <= outer.end;
}

Span span_join(Span a, Span b) {
  if (!a.source) return b;
  if (!b.source || b.source != a.source) return a;
  return (Span){a.source, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end, a.use};
}
