/* emit.c - see emit.h. */
#include "frontend/driver/emit.h"

#include <string.h>

static const struct {
  const char *name, *ending, *what;
} kinds[] = {
#define ROW(name, ending, what) {#name, ending, what},
#include "frontend/driver/emit.def"
#undef ROW
};

const char *emit_name(EmitKind kind) { return kinds[kind].name; }
const char *emit_ending(EmitKind kind) { return kinds[kind].ending; }
const char *emit_what(EmitKind kind) { return kinds[kind].what; }

bool emit_kind_named(const char *name, size_t n, EmitKind *out) {
  for (int i = 0; i < EMIT_COUNT; i++) {
    if (strlen(kinds[i].name) != n || memcmp(kinds[i].name, name, n)) continue;
    *out = (EmitKind)i;
    return true;
  }
  return false;
}
