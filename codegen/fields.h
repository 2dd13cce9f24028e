/* fields.h - the tables of runtime/nnrt.h described as data, from the same lists of fields as their structs: how a
 * writer walks them without knowing any. */
#ifndef NNC_CODEGEN_FIELDS_H
#define NNC_CODEGEN_FIELDS_H

#include <stddef.h>

typedef enum FieldKind {
  FIELD_STRING,
  FIELD_INT,
  FIELD_REAL,
  FIELD_INTS, /* this and the next two: a count, then a pointer */
  FIELD_BYTES,
  FIELD_TABLES,
  FIELD_KERNEL,
  FIELD_VERB,
  FIELD_ENDS,
  FIELD_SERVICE
} FieldKind;

typedef struct FieldRow FieldRow;

typedef struct TableRow {
  const char *name;
  size_t size; /* of the struct */
  int n;
  const FieldRow *fields; /* in order, each one or two words, so offsets follow */
} TableRow;

struct FieldRow {
  FieldKind kind;
  const char *name;
  const TableRow *element; /* TABLES: of what; else NULL */
};

extern const TableRow *const program_table, *const cuda_table; /* NnrtProgram, NnrtCuda */

/* Bytes of a field in its struct. */
size_t field_size(FieldKind k);

#endif
