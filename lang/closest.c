/* closest.c - see closest.h. Damerau-Levenshtein distance, adjacent swaps only. */
#include "lang/closest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 64, SHORT = 3 /* letters that a name may be cut to */ };

static int min(int a, int b) { return a < b ? a : b; }

static bool same_letter(char a, char b) { return tolower((unsigned char)a) == tolower((unsigned char)b); }

/* Within a word: `one` is not `one_hot`. */
static bool is_cut(const char *name, size_t n, const char *whole) {
  for (size_t i = 0; i < n; i++)
    if (!whole[i] || !same_letter(name[i], whole[i])) return false;
  return n >= SHORT && whole[n] != '_';
}

int name_distance(const char *name, const char *other) {
  size_t m = strnlen(name, LONGEST + 1), n = strnlen(other, LONGEST + 1);
  if (m > LONGEST || n > LONGEST) return strcmp(name, other) ? LONGEST : 0;
  if (is_cut(name, m, other)) return 0;
  int d[LONGEST + 1][LONGEST + 1];
  for (size_t i = 0; i <= m; i++) d[i][0] = (int)i;
  for (size_t j = 0; j <= n; j++) d[0][j] = (int)j;
  for (size_t i = 1; i <= m; i++)
    for (size_t j = 1; j <= n; j++) {
      int other_letter = !same_letter(name[i - 1], other[j - 1]);
      d[i][j] = min(d[i - 1][j - 1] + other_letter, 1 + min(d[i - 1][j], d[i][j - 1]));
      if (i > 1 && j > 1 && same_letter(name[i - 1], other[j - 2]) && same_letter(name[i - 2], other[j - 1]))
        d[i][j] = min(d[i][j], 1 + d[i - 2][j - 2]);
    }
  return d[m][n];
}

const char *name_closest(const char *name, const char *const *names, int n) {
  int best = ((int)strnlen(name, LONGEST) + 1) / 3; /* a slip changes about a third of the letters at most */
  const char *found = NULL;
  for (int i = 0; i < n; i++) {
    int d = name_distance(name, names[i]);
    if (d < best || (d == best && !found)) best = d, found = names[i];
  }
  return found;
}
