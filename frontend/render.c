/* render.c - see render.h. Columns are counted as a terminal shows them: tabulators end at multiples of four, wide
 * characters take two; what is no character, or would steer a terminal, is shown as U+FFFD. Long lines are cut around
 * the marked place. */
#include "frontend/render.h"

#include <string.h>

enum { TAB = 4, WINDOW = 110, BEFORE = 40 }; /* columns shown of a line; and before the mark, where it is cut */

typedef enum Style { PLAIN, BOLD, ERROR, WARNING, GUTTER, HELP } Style;

typedef struct Renderer {
  Buf *out;
  const DiagSink *sink;
  const Sources *sources;
  const RenderOptions *options;
  int width; /* of the line numbers of this message */
} Renderer;

static const char *const styles[] = {"\033[0m", "\033[1m", "\033[1;31m", "\033[1;33m", "\033[1;34m", "\033[1;36m"};

static void style(const Renderer *r, Style s) {
  if (r->options->color) buf_puts(r->out, styles[s]);
}

/* ---- one line of a source as it is shown */

/* Decodes the character at s; returns its bytes, 1 for a byte that begins none. */
static size_t decode(const char *text, size_t left, uint32_t *c) {
  const unsigned char *s = (const unsigned char *)text;
  size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;
  *c = 0xfffd;
  if (n == 0 || n > left) return 1;
  uint32_t v = n == 1 ? s[0] : s[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 1;
    v = v << 6 | (s[i] & 0x3f);
  }
  if ((v >= 0x20 || v == '\t') && v != 0x7f && !(v >= 0x80 && v < 0xa0) && !(v >= 0x202a && v <= 0x202e) &&
      !(v >= 0x2066 && v <= 0x2069))
    *c = v;
  return n;
}

static int columns_of(uint32_t c) {
  if ((c >= 0x300 && c <= 0x36f) || c == 0x200b || c == 0x200d || c == 0xfe0f) return 0;
  bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
              (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
              (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
  return wide ? 2 : 1;
}

typedef struct Line {
  const char *text;
  size_t n;
  uint32_t begin; /* offset in the source */
} Line;

static Line line_at(const Source *s, int number) {
  uint32_t begin = s->line_starts[number - 1];
  size_t end = number < s->lines ? s->line_starts[number] - 1 : s->n;
  while (end > begin && s->text[end - 1] == '\r') end--;
  return (Line){s->text + begin, end - begin, begin};
}

/* The column at which the byte `offset` of a line is shown, from 0; offsets past the end count as the end. */
static int column_of(const Line *l, size_t offset) {
  int column = 0;
  for (size_t i = 0; i < l->n && i < offset;) {
    uint32_t c;
    i += decode(l->text + i, l->n - i, &c);
    column += c == '\t' ? TAB - column % TAB : columns_of(c);
  }
  return column;
}

/* Writes columns [from, from + WINDOW) of a line, with `…` where it was cut. */
static void write_line(const Renderer *r, const Line *l, int from) {
  int column = 0;
  if (from > 0) buf_puts(r->out, "…");
  for (size_t i = 0; i < l->n;) {
    uint32_t c;
    size_t n = decode(l->text + i, l->n - i, &c);
    int wide = c == '\t' ? TAB - column % TAB : columns_of(c);
    if (column + wide > from + WINDOW) {
      buf_puts(r->out, "…");
      break;
    }
    if (column >= from) {
      if (c == '\t') buf_printf(r->out, "%*s", wide, "");
      else if (c == 0xfffd) buf_puts(r->out, "\xef\xbf\xbd");
      else buf_write(r->out, l->text + i, n);
    }
    column += wide;
    i += n;
  }
}

/* ---- places */

typedef struct Place {
  const Source *source;
  const DiagLabel *label;
  bool primary;
  int line, column, end_line, end_column;
} Place;

static bool place_of(const Renderer *r, const Diag *d, int i, Place *p) {
  const DiagLabel *label = &d->labels.at[i];
  *p = (Place){.source = sources_get(r->sources, label->span.source), .label = label, .primary = i == 0};
  if (!p->source) return false;
  source_position(p->source, label->span.begin, &p->line, &p->column);
  source_position(p->source, label->span.end, &p->end_line, &p->end_column);
  return true;
}

static void gutter(const Renderer *r, int line) {
  style(r, GUTTER);
  if (line) buf_printf(r->out, "%*d |", r->width + 1, line);
  else buf_printf(r->out, "%*s |", r->width + 1, "");
  style(r, PLAIN);
}

/* The marks below a line, and what is said about them. */
static void write_marks(const Renderer *r, const Place *p, const Line *l, int from) {
  size_t begin = p->label->span.begin - l->begin, end = p->end_line == p->line ? p->label->span.end - l->begin : l->n;
  int first = column_of(l, begin), last = column_of(l, end);
  if (last > from + WINDOW) last = from + WINDOW;
  if (last <= first) last = first + 1;
  gutter(r, 0);
  buf_printf(r->out, " %*s", first - from + (from > 0), "");
  style(r, p->primary ? ERROR : GUTTER);
  for (int i = first; i < last; i++) buf_puts(r->out, p->primary ? "^" : "-");
  if (p->label->text[0]) buf_printf(r->out, " %s", p->label->text);
  style(r, PLAIN);
  buf_puts(r->out, "\n");
}

/* The first column that is shown of a line: 0, or so that the primary mark, else the first, is in sight. */
static int window_of(const Line *l, const Place *places, int n, const Source *source, int line) {
  int left = -1;
  for (int i = 0; i < n && !(left >= 0 && places[0].primary && places[0].line == line); i++) {
    if (places[i].source != source || places[i].line != line) continue;
    int column = column_of(l, places[i].label->span.begin - l->begin);
    if (left < 0 || column < left) left = column;
  }
  return left > WINDOW - BEFORE ? left - BEFORE : 0;
}

/* The lines of `source` that the message marks, from top to bottom, each with its marks from left to right. */
static void write_snippet(const Renderer *r, const Source *source, const Place *places, int n) {
  int shown = 0; /* the last line written */
  for (;;) {
    int line = 0;
    for (int i = 0; i < n; i++)
      if (places[i].source == source && places[i].line > shown && (!line || places[i].line < line))
        line = places[i].line;
    if (!line) return;
    shown = line;
    Line l = line_at(source, line);
    int from = window_of(&l, places, n, source, line);
    gutter(r, line);
    if (l.n) buf_puts(r->out, " ");
    write_line(r, &l, from);
    buf_puts(r->out, "\n");
    for (int mark = -1;;) { /* this line's marks by column; those outside of the window are left out */
      int next = -1;
      for (int i = 0; i < n; i++)
        if (places[i].source == source && places[i].line == line &&
            (mark < 0 || places[i].column > places[mark].column ||
             (places[i].column == places[mark].column && i > mark)) &&
            (next < 0 || places[i].column < places[next].column))
          next = i;
      if (next < 0) break;
      mark = next;
      int column = column_of(&l, places[mark].label->span.begin - l.begin);
      if (column >= from && column <= from + WINDOW) write_marks(r, &places[mark], &l, from);
    }
  }
}

static void write_places(Renderer *r, const Diag *d) {
  Place places[16];
  int n = 0, widest = 1;
  for (int i = 0; i < d->labels.n && n < 16; i++)
    if (place_of(r, d, i, &places[n])) n++;
  for (int i = 0; i < n; i++)
    if (places[i].line > widest) widest = places[i].line;
  for (r->width = 0; widest > 0; widest /= 10) r->width++;
  for (int i = 0; i < n; i++) {
    bool seen = false;
    for (int k = 0; k < i; k++) seen |= places[k].source == places[i].source;
    if (seen) continue;
    style(r, GUTTER);
    buf_puts(r->out, "  --> ");
    style(r, PLAIN);
    buf_printf(r->out, "%s:%d:%d\n", places[i].source->path, places[i].line, places[i].column);
    write_snippet(r, places[i].source, places, n);
  }
}

/* ---- the three formats */

static bool is_error(const Renderer *r, const Diag *d) {
  return diag_severity(d->code) == 'e' || r->sink->warnings_are_errors;
}

static void render_human(Renderer *r, const Diag *d) {
  style(r, is_error(r, d) ? ERROR : WARNING);
  buf_printf(r->out, "%s[E%04d]", is_error(r, d) ? "error" : "warning", diag_number(d->code));
  style(r, PLAIN);
  style(r, BOLD);
  buf_printf(r->out, ": %s\n", d->message);
  style(r, PLAIN);
  write_places(r, d);
  for (int i = 0; i < d->notes.n; i++) buf_printf(r->out, "  note: %s\n", d->notes.at[i]);
  if (!d->help) return;
  style(r, HELP);
  buf_puts(r->out, "  help");
  style(r, PLAIN);
  buf_printf(r->out, ": %s\n", d->help);
}

static void render_short(Renderer *r, const Diag *d) {
  Place p;
  if (place_of(r, d, 0, &p)) buf_printf(r->out, "%s:%d:%d: ", p.source->path, p.line, p.column);
  buf_printf(r->out, "%s[E%04d]: %s\n", is_error(r, d) ? "error" : "warning", diag_number(d->code), d->message);
}

static void json_text(Buf *out, const char *s) {
  buf_puts(out, "\"");
  for (size_t left = strlen(s); left > 0;) {
    uint32_t c;
    size_t n = decode(s, left, &c);
    if (c == 0xfffd && (unsigned char)*s < 0x80) buf_printf(out, "\\u%04x", (unsigned)*s);
    else if (c == 0xfffd) buf_puts(out, "\\ufffd");
    else if (c == '\t') buf_puts(out, "\\t");
    else if (c == '"' || c == '\\') buf_printf(out, "\\%c", (char)c);
    else buf_write(out, s, n);
    s += n;
    left -= n;
  }
  buf_puts(out, "\"");
}

static void json_place(Renderer *r, const Place *p) {
  buf_puts(r->out, "{\"file\":");
  json_text(r->out, p->source->path);
  buf_printf(
      r->out,
      ",\"line\":%d,\"column\":%d,\"end_line\":%d,\"end_column\":%d,\"begin\":%u,\"end\":%u,\"primary\":%s,\"text\":",
      p->line, p->column, p->end_line, p->end_column, p->label->span.begin, p->label->span.end,
      p->primary ? "true" : "false");
  json_text(r->out, p->label->text);
  buf_puts(r->out, "}");
}

static void json_fix(Renderer *r, const Diag *d) {
  const Source *s = sources_get(r->sources, d->fix.source);
  if (!s) return;
  buf_puts(r->out, ",\"fix\":{\"file\":");
  json_text(r->out, s->path);
  buf_printf(r->out, ",\"begin\":%u,\"end\":%u,\"text\":", d->fix.begin, d->fix.end);
  json_text(r->out, d->fix_text);
  buf_puts(r->out, "}");
}

static void render_json(Renderer *r, const Diag *d) {
  buf_printf(r->out, "{\"severity\":\"%s\",\"code\":\"E%04d\",\"message\":", is_error(r, d) ? "error" : "warning",
             diag_number(d->code));
  json_text(r->out, d->message);
  buf_puts(r->out, ",\"places\":[");
  Place p;
  bool first = true;
  for (int i = 0; i < d->labels.n; i++) {
    if (!place_of(r, d, i, &p)) continue;
    if (!first) buf_puts(r->out, ",");
    first = false;
    json_place(r, &p);
  }
  buf_puts(r->out, "],\"notes\":[");
  for (int i = 0; i < d->notes.n; i++) {
    if (i) buf_puts(r->out, ",");
    json_text(r->out, d->notes.at[i]);
  }
  buf_puts(r->out, "],\"help\":");
  if (d->help) json_text(r->out, d->help);
  else buf_puts(r->out, "null");
  json_fix(r, d);
  buf_puts(r->out, "}\n");
}

void render_diags(Buf *out, const DiagSink *sink, const Sources *sources, const RenderOptions *options) {
  Renderer r = {.out = out, .sink = sink, .sources = sources, .options = options};
  int shown = 0, more = 0;
  for (int i = 0; i < sink->all.n; i++) {
    const Diag *d = sink->all.at[i];
    if (options->quiet && !is_error(&r, d)) continue;
    if (options->format != RENDER_JSON && shown == RENDER_LIMIT) {
      more++;
      continue;
    }
    shown++;
    switch (options->format) {
    case RENDER_HUMAN: render_human(&r, d); break;
    case RENDER_SHORT: render_short(&r, d); break;
    case RENDER_JSON: render_json(&r, d); break;
    }
  }
  if (more) buf_printf(out, "nnc: %d more\n", more);
}
