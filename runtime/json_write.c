/* json_write.c - the line writer of json.h. */
#include "runtime/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nnrt_line_free(NnrtLine *l) {
  free(l->text);
  *l = (NnrtLine){0};
}

void nnrt_line_reset(NnrtLine *l) {
  l->n = 0;
  l->comma = false;
  if (l->text) l->text[0] = 0;
}

static bool reserve(NnrtLine *l, size_t more) {
  if (l->failed) return false;
  if (l->n + more + 1 <= l->room) return true;
  size_t room = (l->room ? l->room : 128) * 2;
  while (room < l->n + more + 1) room *= 2;
  char *text = realloc(l->text, room);
  if (!text) {
    nnrt_line_free(l);
    l->failed = true;
    return false;
  }
  l->text = text;
  l->room = room;
  return true;
}

static void put(NnrtLine *l, const char *s, size_t n) {
  if (!reserve(l, n)) return;
  memcpy(l->text + l->n, s, n);
  l->n += n;
  l->text[l->n] = 0;
}

static void puts_line(NnrtLine *l, const char *s) { put(l, s, strlen(s)); }

void nnrt_line_raw(NnrtLine *l, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n > 0 && reserve(l, (size_t)n)) {
    vsnprintf(l->text + l->n, (size_t)n + 1, format, again);
    l->n += (size_t)n;
  }
  va_end(again);
}

static void quote(NnrtLine *l, const char *s) {
  puts_line(l, "\"");
  for (; *s; s++) {
    char escaped[8] = {*s, 0};
    if (*s == '"' || *s == '\\') snprintf(escaped, sizeof escaped, "\\%c", *s);
    else if (*s == '\n') snprintf(escaped, sizeof escaped, "\\n");
    else if ((unsigned char)*s < 32) snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)(unsigned char)*s);
    puts_line(l, escaped);
  }
  puts_line(l, "\"");
}

static void begin_value(NnrtLine *l, const char *key) {
  if (l->comma) puts_line(l, ", ");
  l->comma = true;
  if (!key) return;
  quote(l, key);
  puts_line(l, ": ");
}

void nnrt_line_open(NnrtLine *l, const char *key, char bracket) {
  begin_value(l, key);
  put(l, &bracket, 1);
  l->comma = false;
}

void nnrt_line_close(NnrtLine *l, char bracket) {
  put(l, &bracket, 1);
  l->comma = true;
}

void nnrt_line_string(NnrtLine *l, const char *key, const char *v) {
  begin_value(l, key);
  quote(l, v);
}

void nnrt_line_integer(NnrtLine *l, const char *key, int64_t v) {
  begin_value(l, key);
  nnrt_line_raw(l, "%lld", (long long)v);
}

void nnrt_line_bool(NnrtLine *l, const char *key, bool v) {
  begin_value(l, key);
  puts_line(l, v ? "true" : "false");
}

char *nnrt_real_text(double v, bool single, char *text) {
  if (isnan(v)) v = fabs(v); /* no sign */
  for (int digits = single ? 6 : 15; digits <= 17; digits++) {
    snprintf(text, 32, "%.*g", digits, v);
    if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v) break;
  }
  return text;
}

void nnrt_line_real(NnrtLine *l, const char *key, double v, bool single) {
  char text[32];
  begin_value(l, key);
  puts_line(l, isfinite(v) ? nnrt_real_text(v, single, text) : "null");
}
