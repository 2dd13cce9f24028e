/* str.h - interned strings: equal texts are one pointer, so names compare with ==. */
#ifndef NNC_LANG_STR_H
#define NNC_LANG_STR_H

#include "lang/arena.h"

typedef const char *Str; /* NUL-terminated, interned */
typedef struct StrTable StrTable;

StrTable *str_table_new(Arena *a);
Str str_intern(StrTable *t, const char *s, size_t n);
Str str_internz(StrTable *t, const char *s);
Str str_internf(StrTable *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
