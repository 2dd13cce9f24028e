/* json_read.c - the pull reader of json.h. */
#include "runtime/json.h"
#include "runtime/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nnrt_json_begin(NnrtJson *j, const char *text, size_t n, const char *file, NnrtError *e) {
  *j = (NnrtJson){.begin = text, .at = text, .end = text + n, .file = file, .part = "header, ", .error = e};
}

bool nnrt_json_refuse(NnrtJson *j, const char *format, ...) {
  if (j->status != NNRT_OK) return false;
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  j->status =
      nnrt_fail(j->error, NNRT_EDATA, "%s: %sbyte %zu: %s", j->file, j->part, (size_t)(j->at - j->begin), text);
  return false;
}

bool nnrt_json_duplicate(NnrtJson *j, const char *key) { return nnrt_json_refuse(j, "\"%.100s\" stands twice", key); }

static void skip_space(NnrtJson *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

/* The next character after white space, 0 at the end. */
static char peek(NnrtJson *j) {
  skip_space(j);
  return j->at < j->end ? *j->at : 0;
}

static bool expect(NnrtJson *j, char c) {
  if (j->status != NNRT_OK) return false;
  if (peek(j) != c) return nnrt_json_refuse(j, "'%c' is missing", c);
  j->at++;
  return true;
}

static bool enter(NnrtJson *j, char bracket) {
  if (!expect(j, bracket)) return false;
  if (++j->depth > NNRT_JSON_DEPTH) return nnrt_json_refuse(j, "nested more than %d deep", NNRT_JSON_DEPTH);
  j->fresh = true;
  return true;
}

/* Takes the comma that is due, or the closing bracket: true where a further element follows. */
static bool next(NnrtJson *j, char close) {
  if (j->status != NNRT_OK) return false;
  if (peek(j) == close) {
    j->at++;
    j->depth--;
    j->fresh = false;
    return false;
  }
  if (!j->fresh && !expect(j, ',')) return false;
  j->fresh = false;
  return true;
}

bool nnrt_json_object(NnrtJson *j) { return enter(j, '{'); }
bool nnrt_json_array(NnrtJson *j) { return enter(j, '['); }
bool nnrt_json_element(NnrtJson *j) { return next(j, ']'); }

bool nnrt_json_key(NnrtJson *j, char *to, size_t room, size_t *length) {
  return next(j, '}') && nnrt_json_string(j, to, room, length) && expect(j, ':');
}

static bool hex4(NnrtJson *j, uint32_t *v) {
  if (j->end - j->at < 4) return nnrt_json_refuse(j, "an escape is cut off");
  *v = 0;
  for (int i = 0; i < 4; i++) {
    char c = *j->at;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return nnrt_json_refuse(j, "an escape that is not four hexadecimal digits");
    *v = *v << 4 | (uint32_t)digit;
    j->at++;
  }
  return true;
}

/* After "\u". Writes up to 4 bytes of UTF-8, *n of them. */
static bool unicode_escape(NnrtJson *j, char *to, size_t *n) {
  uint32_t c, low;
  if (!hex4(j, &c)) return false;
  if (c >= 0xD800 && c < 0xDC00 && j->end - j->at >= 2 && j->at[0] == '\\' && j->at[1] == 'u') {
    j->at += 2;
    if (!hex4(j, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return nnrt_json_refuse(j, "half of a surrogate pair");
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  }
  if (c >= 0xD800 && c < 0xE000) return nnrt_json_refuse(j, "half of a surrogate pair");
  if (c == 0) return nnrt_json_refuse(j, "a NUL in a string");
  *n = nnrt_utf8_write(to, c);
  return true;
}

static bool simple_escape(NnrtJson *j, char *to) {
  static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
  const char *p = *j->at ? strchr(from, *j->at) : NULL;
  if (!p) return nnrt_json_refuse(j, "an escape that does not exist");
  *to = into[p - from];
  j->at++;
  return true;
}

/* One character of a string, up to 4 bytes of UTF-8. */
static bool string_character(NnrtJson *j, char *to, size_t *n) {
  if ((unsigned char)*j->at < 32) return nnrt_json_refuse(j, "a control character in a string");
  if (*j->at != '\\') {
    *n = nnrt_utf8_length(j->at, j->end);
    if (*n == 0) return nnrt_json_refuse(j, "bytes that are not UTF-8");
    memcpy(to, j->at, *n);
    j->at += *n;
    return true;
  }
  if (++j->at == j->end) return nnrt_json_refuse(j, "an escape is cut off");
  *n = 1;
  if (*j->at != 'u') return simple_escape(j, to);
  j->at++;
  return unicode_escape(j, to, n);
}

bool nnrt_json_string(NnrtJson *j, char *to, size_t room, size_t *length) {
  if (!expect(j, '"')) return false;
  size_t n = 0;
  for (;;) {
    if (j->at == j->end) return nnrt_json_refuse(j, "a string without its end");
    if (*j->at == '"') break;
    char piece[4];
    size_t bytes = 0;
    if (!string_character(j, piece, &bytes)) return false;
    if (n + bytes >= room) return nnrt_json_refuse(j, "a string of more than %zu bytes", room - 1);
    memcpy(to + n, piece, bytes);
    n += bytes;
  }
  j->at++;
  to[n] = 0;
  if (length) *length = n;
  return true;
}

bool nnrt_json_natural(NnrtJson *j, int64_t *v) {
  if (j->status != NNRT_OK) return false;
  char first = peek(j);
  if (first < '0' || first > '9') return nnrt_json_refuse(j, "a natural number is missing");
  const char *start = j->at;
  for (*v = 0; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++)
    if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *j->at - '0', v))
      return nnrt_json_refuse(j, "a number that does not fit in 63 bits");
  if (first == '0' && j->at - start > 1) return nnrt_json_refuse(j, "a number that begins with 0");
  if (j->at < j->end && strchr(".eE", *j->at) && *j->at)
    return nnrt_json_refuse(j, "a number that is not an integer");
  return true;
}

int nnrt_json_finish(NnrtJson *j) {
  if (j->status == NNRT_OK && peek(j) != 0) nnrt_json_refuse(j, "something after the end");
  if (j->status == NNRT_OK && j->at != j->end) nnrt_json_refuse(j, "a NUL after the end");
  return j->status;
}
