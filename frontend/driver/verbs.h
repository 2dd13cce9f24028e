/* verbs.h - what nnc can do. A verb gets the words after its name, and the options; it returns nnc's exit code.
 * Mistakes in the user's program go to the session's sink, which main() renders; others to stderr by driver_error. */
#ifndef NNC_FRONTEND_DRIVER_VERBS_H
#define NNC_FRONTEND_DRIVER_VERBS_H

#include "frontend/driver/options.h"

typedef struct Verb {
  const char *name, *arguments, *purpose;
  int (*run)(Session *s, Options *o, int nwords, const char *const *words);
} Verb;

extern const Verb verbs[];
extern const int verb_count;

int verb_compile(Session *s, Options *o, int nwords, const char *const *words);
int verb_check(Session *s, Options *o, int nwords, const char *const *words);
int verb_run(Session *s, Options *o, int nwords, const char *const *words);
int verb_test(Session *s, Options *o, int nwords, const char *const *words);
int verb_fmt(Session *s, Options *o, int nwords, const char *const *words);
int verb_doc(Session *s, Options *o, int nwords, const char *const *words);
int verb_explain(Session *s, Options *o, int nwords, const char *const *words);

/* `nnc explain FILE` and FILE:LINE. */
int explain_file(Session *s, Options *o, const char *place);

#endif
