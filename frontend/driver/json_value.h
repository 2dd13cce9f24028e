/* json_value.h - values of a JSON text by their names, in whatever order they stand: over runtime/json.h, for files
 * that hold more than is wanted of them. A value is a reader that stands before it. */
#ifndef NNC_DRIVER_JSON_VALUE_H
#define NNC_DRIVER_JSON_VALUE_H

#include "lang/arena.h"
#include "runtime/json.h"

/* Goes over a value; false where it is cut off. */
bool json_skip(NnrtJson *j);
/* The object's value of that name; false: there is none, it is null, or `object` is none. */
bool json_member(const NnrtJson *object, const char *name, NnrtJson *value);
/* A text, in the arena; NULL: it is another value. */
const char *json_text(Arena *a, const NnrtJson *value);
/* Is it `true`? */
bool json_true(const NnrtJson *value);
/* The member as a text; NULL: there is none. */
const char *json_member_text(Arena *a, const NnrtJson *object, const char *name);
bool json_member_true(const NnrtJson *object, const char *name);

#endif
