/* emit.h - what --emit can name. */
#ifndef NNC_FRONTEND_DRIVER_EMIT_H
#define NNC_FRONTEND_DRIVER_EMIT_H

#include "lang/arena.h"

/* ROW(name, file name's ending, what it is). Kinds before exe that have no ending are texts, for stdout unless a path
 * is given. */
typedef enum EmitKind {
#define ROW(name, ending, what) EMIT_##name,
#include "frontend/driver/emit.def"
#undef ROW
  EMIT_COUNT
} EmitKind;
bool emit_kind_named(const char *name, size_t n, EmitKind *out);
const char *emit_name(EmitKind kind);
const char *emit_ending(EmitKind kind); /* NULL for a text */
const char *emit_what(EmitKind kind);   /* a few words */

typedef struct EmitRequest {
  EmitKind kind;
  const char *path; /* NULL: by the kind; "-": stdout */
} EmitRequest;

#endif
