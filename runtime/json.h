/* json.h - as much JSON as the runtime's own files need: a pull reader over a block of bytes, which builds nothing,
 * and a writer of single lines.
 *
 * The reader is strict: RFC 8259, UTF-8 checked, escapes checked (a lone surrogate is refused), numbers only as
 * non-negative integers where one is asked for, nesting at most NNRT_JSON_DEPTH. Whoever reads an object refuses what
 * it does not know; duplicate keys are the caller's to refuse, who has the keys (nnrt_json_duplicate makes the
 * message). */
#ifndef NNRT_JSON_H
#define NNRT_JSON_H

#include "runtime/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NNRT_JSON_DEPTH = 16 };

typedef struct NnrtJson {
  const char *begin, *at, *end;
  const char *file, *part; /* for messages */
  int depth;
  bool fresh; /* just after '{' or '[': no comma is due */
  int status; /* once not NNRT_OK, all calls return it or false */
  NnrtError *error;
} NnrtJson;

void nnrt_json_begin(NnrtJson *j, const char *text, size_t n, const char *file, NnrtError *e);

/* '{' then keys until false; '[' then elements until false. After false look at j->status. */
bool nnrt_json_object(NnrtJson *j);
/* The next key into `to` (decoded, NUL-terminated, at most room bytes with the NUL; a decoded key is never longer
 * than its source, so j->end - j->at + 1 bytes always do). *length, if not NULL, is its bytes. A NUL inside a string
 * is refused. */
bool nnrt_json_key(NnrtJson *j, char *to, size_t room, size_t *length);
bool nnrt_json_array(NnrtJson *j);
bool nnrt_json_element(NnrtJson *j);

bool nnrt_json_string(NnrtJson *j, char *to, size_t room, size_t *length);
bool nnrt_json_natural(NnrtJson *j, int64_t *v); /* 0 .. 2^63-1 */

/* Nothing but white space may be left. */
int nnrt_json_finish(NnrtJson *j);

/* Sets the reader's status with "FILE: byte N: TEXT". Returns false, to be returned. */
bool nnrt_json_refuse(NnrtJson *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool nnrt_json_duplicate(NnrtJson *j, const char *key);

/* ---- writer ---- */

/* One line of JSON, growing on the heap. After a failed allocation `text` is NULL and all else does nothing. */
typedef struct NnrtLine {
  char *text;
  size_t n, room;
  bool comma, failed;
} NnrtLine;

void nnrt_line_free(NnrtLine *l);
void nnrt_line_reset(NnrtLine *l); /* empty again, memory kept */
void nnrt_line_raw(NnrtLine *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each writes the comma that is due, then `"key": value`; key NULL inside an array. */
void nnrt_line_open(NnrtLine *l, const char *key, char bracket); /* '{' or '[' */
void nnrt_line_close(NnrtLine *l, char bracket);                 /* '}' or ']' */
void nnrt_line_string(NnrtLine *l, const char *key, const char *v);
void nnrt_line_integer(NnrtLine *l, const char *key, int64_t v);
void nnrt_line_bool(NnrtLine *l, const char *key, bool v);
/* The shortest decimal that reads back as v (as f32 where `single`); null where v is not finite, as JSON has no
 * other. */
void nnrt_line_real(NnrtLine *l, const char *key, double v, bool single);

/* The same number as text; "nan", "inf", "-inf" where not finite. Returns text, which must hold 32 bytes. */
char *nnrt_real_text(double v, bool single, char *text);

#endif
