/* closest.c - see closest.h. Damerau-Levenshtein distance, adjacent swaps only. */
#include "lang/closest.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64 };

static int min(int a, int b) { return a < b ? a : b; }

/* Letters to insert, delete, replace or swap to make one of the other; more than 64 letters count as far apart. */
static int distance(const char *a, const char *b) {
  size_t m = strnlen(a, LONGEST + 1), n = strnlen(b, LONGEST + 1);
  if (m > LONGEST || n > LONGEST) return strcmp(a, b) ? LONGEST : 0;
  int d[LONGEST + 1][LONGEST + 1];
  for (size_t i = 0; i <= m; i++) d[i][0] = (int)i;
  for (size_t j = 0; j <= n; j++) d[0][j] = (int)j;
  for (size_t i = 1; i <= m; i++)
    for (size_t j = 1; j <= n; j++) {
      d[i][j] = min(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]), 1 + min(d[i - 1][j], d[i][j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = min(d[i][j], 1 + d[i - 2][j - 2]);
    }
  return d[m][n];
}

const char *name_closest(const char *name, const char *const *names, int n) {
  int best = ((int)strnlen(name, LONGEST) + 1) / 3; /* a slip changes about a third of the letters at most */
  const char *found = NULL;
  for (int i = 0; i < n; i++) {
    int d = distance(name, names[i]);
    if (d < best || (d == best && !found)) best = d, found = names[i];
  }
  return found;
}
