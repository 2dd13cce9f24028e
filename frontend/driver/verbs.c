/* verbs.c - the table of verbs, and the small ones. */
#include "frontend/driver/verbs.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const Verb verbs[] = {
#define VERB(name, function, arguments, purpose) {name, arguments, purpose, function},
#include "frontend/driver/verbs.def"
};
const int verb_count = (int)(sizeof verbs / sizeof *verbs);

/* Prints a text in lines of at most 100 columns. */
static void print_wrapped(const char *text) {
  int column = 0;
  while (*text) {
    size_t n = strcspn(text, " ");
    if (column && column + 1 + (int)n > 100) {
      putchar('\n');
      column = 0;
    }
    if (column) putchar(' ');
    printf("%.*s", (int)n, text);
    column += (int)n + (column > 0);
    text += n;
    while (*text == ' ') text++;
  }
  putchar('\n');
}

int verb_explain(Session *s, Options *o, int nwords, const char *const *words) {
  if (nwords != 1)
    return driver_error(EXIT_USAGE,
                        "`nnc explain` takes the number of a message, E0201, or a file and perhaps a line, mlp.nn:5");
  if (strpbrk(words[0], "./")) return explain_file(s, o, words[0]);
  const char *digits = words[0] + (toupper((unsigned char)words[0][0]) == 'E');
  char *end;
  long number = strtol(digits, &end, 10);
  if (*end || end == digits)
    return driver_error(EXIT_USAGE, "`%s` is not the number of a message, as E0201 is", words[0]);
  for (int c = 0; c < DIAG_COUNT; c++) {
    if (diag_number((DiagCode)c) != number) continue;
    printf("E%04ld (%s)\n\n", number, diag_severity((DiagCode)c) == 'e' ? "error" : "warning");
    print_wrapped(diag_explanation((DiagCode)c));
    return 0;
  }
  return driver_error(EXIT_USAGE, "there is no message E%04ld", number);
}
