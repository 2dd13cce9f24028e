/* closest.c - see closest.h. */
#include "runtime/closest.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 63 };

/* Levenshtein's distance, in one row. */
static int distance(const char *a, const char *b) {
  int n = (int)strlen(b), row[LONGEST + 1];
  if (n > LONGEST || strlen(a) > LONGEST) return LONGEST;
  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[n];
}

void nnrt_closest_try(NnrtClosest *c, const char *name, const char *candidate) {
  int d = distance(name, candidate);
  if (c->name && d >= c->distance) return;
  c->name = candidate;
  c->distance = d;
}

const char *nnrt_closest_text(const NnrtClosest *c, const char *name, char text[96]) {
  text[0] = 0;
  if (c->name && 3 * c->distance <= (int)strlen(name) + 2) snprintf(text, 96, ", did you mean \"%.60s\"?", c->name);
  return text;
}
