/* ir.c - the context that owns dims, forms and expressions, and the element types. */
#include "ir/expr.h"

#include <string.h>

enum { FIRST_FRESH_SLOT = 1000 }; /* above every position in a comprehension */

Ir *ir_new(Arena *a, StrTable *strings) {
  Ir *ir = NEW(a, Ir);
  ir->arena = a;
  ir->strings = strings;
  ir->next_slot = FIRST_FRESH_SLOT;
  return ir;
}

int ir_fresh_slot(Ir *ir) { return ir->next_slot++; }

static const struct {
  const char *name;
  int bytes;
  char kind;
} dtypes[] = {
#define ROW(name, bytes, kind) {#name, bytes, kind},
#include "ir/dtype.def"
#undef ROW
};

const char *dtype_name(DType t) { return dtypes[t].name; }
int dtype_bytes(DType t) { return dtypes[t].bytes; }
bool dtype_is_float(DType t) { return dtypes[t].kind == 'f'; }
bool dtype_is_int(DType t) { return dtypes[t].kind == 'i' || dtypes[t].kind == 'u'; }

bool dtype_from_name(const char *s, DType *out) {
  for (int i = 0; i < DT_COUNT; i++) {
    if (dtypes[i].name[0] != s[0] || strcmp(dtypes[i].name, s)) continue;
    *out = (DType)i;
    return true;
  }
  return false;
}
