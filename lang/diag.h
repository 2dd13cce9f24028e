/* diag.h - the sink for a user's mistakes, and ice() for ours.
 * Every message has a row in diag.def: number, name, severity, and the text that `nnc explain` prints. Analysis goes
 * on after a message. Rendering (human, short, json) is frontend/render.c. */
#ifndef NNC_LANG_DIAG_H
#define NNC_LANG_DIAG_H

#include "lang/source.h"

typedef enum DiagCode {
#define ROW(number, name, severity, explanation) DIAG_##name,
#include "lang/diag.def"
#undef ROW
  DIAG_COUNT
} DiagCode;

typedef struct DiagLabel {
  Span span;
  const char *text; /* "" for none */
} DiagLabel;

typedef struct Diag {
  DiagCode code;
  Span at;                 /* where it was found, whichever place is shown first */
  const char *message;     /* one line, no full stop */
  Vec(DiagLabel) labels;   /* the first is the primary place */
  Vec(const char *) notes; /* printed as "note: ..." */
  const char *help;        /* NULL, or a suggestion */
  Span fix;                /* where `fix_text` would go, when help is a text to put in; source 0: none */
  const char *fix_text;
  struct Diag *next; /* of those with the same hash of code and place */
  struct DiagSink *sink;
} Diag;

typedef struct DiagSink {
  Arena *arena;
  Vec(Diag *) all;
  Diag **by_place; /* heads of lists; NULL until the first message */
  int errors, warnings;
  bool warnings_are_errors;
} DiagSink;

/* Adds a message. Two messages of one code at one place become one (the first is returned again). */
Diag *diag_add(DiagSink *s, DiagCode code, Span at, const char *format, ...) __attribute__((format(printf, 4, 5)));
void diag_drop(DiagSink *s, int i); /* takes back message number i */
/* Text beside the primary place, further places, notes, the help line. All return the same Diag. */
Diag *diag_label(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes the place number `label` the primary one. */
void diag_lead(Diag *d, int label);
Diag *diag_place(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
Diag *diag_note(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
Diag *diag_help(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What is to be put at `at`, for programs: the text alone compiles. The help says it too. */
Diag *diag_fix(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The help "write `...`", after what the help says already, and the fix. */
Diag *diag_write(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The help "did you mean `name`?", and the fix; nothing for NULL. */
Diag *diag_meant(Diag *d, Span at, const char *name);

/* The row's fields. Severity is 'e' or 'w'. */
int diag_number(DiagCode c);
char diag_severity(DiagCode c);
const char *diag_explanation(DiagCode c);
/* Whether it is about dimensions, shapes and what is read of them: the rows from 200 on. */
bool diag_of_shapes(DiagCode c);

/* A mistake of the compiler's own: prints the message and aborts with exit code 70. */
_Noreturn void ice(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
