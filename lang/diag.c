/* diag.c - see diag.h. */
#include "lang/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  int number;
  char severity;
  const char *explanation;
} rows[] = {
#define ROW(number, name, severity, explanation) {number, severity, explanation},
#include "lang/diag.def"
#undef ROW
};

int diag_number(DiagCode c) { return rows[c].number; }
char diag_severity(DiagCode c) { return rows[c].severity; }
const char *diag_explanation(DiagCode c) { return rows[c].explanation; }
bool diag_of_shapes(DiagCode c) { return rows[c].number / 100 == 2; }

static const char *format_text(Arena *a, const char *format, va_list args) {
  Buf b = {0};
  buf_vprintf(&b, format, args);
  const char *s = arena_strndup(a, b.text ? b.text : "", b.n);
  buf_free(&b);
  return s;
}

#define FORMATTED(s, sink)                                                                                           \
  va_list args;                                                                                                      \
  va_start(args, format);                                                                                            \
  const char *s = format_text((sink)->arena, format, args);                                                          \
  va_end(args)

enum { HEADS = 4096 };

Diag *diag_add(DiagSink *s, DiagCode code, Span at, const char *format, ...) {
  FORMATTED(text, s);
  if (!s->by_place) s->by_place = NEW_ARRAY(s->arena, Diag *, HEADS);
  Diag **head = &s->by_place[(at.begin * 31 + at.end * 7 + (unsigned)code) % HEADS];
  for (Diag *d = *head; d && at.source; d = d->next)
    if (d->code == code && span_same(d->at, at)) return d;
  Diag *d = NEW(s->arena, Diag);
  d->next = *head;
  *head = d;
  d->code = code;
  d->at = at;
  d->message = text;
  d->sink = s;
  vec_push(s->arena, &d->labels, (DiagLabel){at, ""});
  vec_push(s->arena, &s->all, d);
  if (rows[code].severity == 'e' || s->warnings_are_errors) s->errors++;
  else s->warnings++;
  return d;
}

void diag_drop(DiagSink *s, int i) {
  const Diag *d = s->all.at[i];
  for (Diag **at = &s->by_place[(d->at.begin * 31 + d->at.end * 7 + (unsigned)d->code) % HEADS]; *at;
       at = &(*at)->next)
    if (*at == d) {
      *at = d->next;
      break;
    }
  for (int k = i; k + 1 < s->all.n; k++) s->all.at[k] = s->all.at[k + 1];
  s->all.n--;
  if (rows[d->code].severity == 'e' || s->warnings_are_errors) s->errors--;
  else s->warnings--;
}

Diag *diag_label(Diag *d, const char *format, ...) {
  FORMATTED(text, d->sink);
  d->labels.at[0].text = text;
  return d;
}

/* A message that came up again, in another graph of the program say, does not repeat what stands under it: the first
 * text for a place stays. */
Diag *diag_place(Diag *d, Span at, const char *format, ...) {
  FORMATTED(text, d->sink);
  for (int i = 0; i < d->labels.n; i++) {
    DiagLabel *l = &d->labels.at[i];
    if (!span_same(l->span, at)) continue;
    if (!l->text[0]) l->text = text;
    return d;
  }
  vec_push(d->sink->arena, &d->labels, (DiagLabel){at, text});
  return d;
}

void diag_lead(Diag *d, int label) {
  DiagLabel l = d->labels.at[label];
  memmove(d->labels.at + 1, d->labels.at, sizeof l * (size_t)label);
  d->labels.at[0] = l;
}

Diag *diag_note(Diag *d, const char *format, ...) {
  FORMATTED(text, d->sink);
  for (int i = 0; i < d->notes.n; i++)
    if (!strcmp(d->notes.at[i], text)) return d;
  vec_push(d->sink->arena, &d->notes, text);
  return d;
}

/* A message that came up again keeps the help that offers a text. */
Diag *diag_help(Diag *d, const char *format, ...) {
  FORMATTED(text, d->sink);
  if (!d->fix.source) d->help = text;
  return d;
}

Diag *diag_fix(Diag *d, Span at, const char *format, ...) {
  FORMATTED(text, d->sink);
  d->fix = at;
  d->fix_text = text;
  return d;
}

enum { WRITTEN = 90 }; /* bytes of a suggested text that the help shows */

Diag *diag_write(Diag *d, Span at, const char *format, ...) {
  FORMATTED(text, d->sink);
  bool is_long = strlen(text) > WRITTEN || strchr(text, '\n');
  if (d->fix.source) return d;
  if (!is_long && d->help) diag_help(d, "%s; write `%s`", d->help, text);
  else if (!is_long) diag_help(d, "write `%s`", text);
  return diag_fix(d, at, "%s", text);
}

Diag *diag_meant(Diag *d, Span at, const char *name) {
  return name ? diag_fix(diag_help(d, "did you mean `%s`?", name), at, "%s", name) : d;
}

_Noreturn void ice(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("nnc: internal error: ", stderr);
  vfprintf(stderr, format, args);
  fputs("\n", stderr);
  va_end(args);
  exit(70);
}
