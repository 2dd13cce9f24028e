/* fields.c - see fields.h. */
#include "codegen/fields.h"

#include "runtime/cuda.h"

#define ELEMENT_STRING(T)             NULL
#define ELEMENT_INT(T)                NULL
#define ELEMENT_REAL(T)               NULL
#define ELEMENT_INTS(T)               NULL
#define ELEMENT_BYTES(T)              NULL
#define ELEMENT_TABLES(T)             &table_##T
#define ELEMENT_KERNEL(T)             NULL
#define ELEMENT_VERB(T)               NULL
#define ELEMENT_ENDS(T)               NULL
#define ELEMENT_SERVICE(T)            NULL
#define DESCRIBE_FIELD(kind, name, T) {FIELD_##kind, #name, ELEMENT_##kind(T)},
#define DESCRIBE_TABLE(T, FIELDS)                                                                                    \
  static const FieldRow fields_##T[] = {FIELDS(DESCRIBE_FIELD)};                                                     \
  static const TableRow table_##T = {#T, sizeof(T), sizeof fields_##T / sizeof *fields_##T, fields_##T};
NNRT_TABLES(DESCRIBE_TABLE)
NNRT_CUDA_TABLES(DESCRIBE_TABLE)

/* Every field is one or two words: the description's offsets hold only if no struct is padded. */
#define WORDS_STRING               1
#define WORDS_INT                  1
#define WORDS_REAL                 1
#define WORDS_INTS                 2
#define WORDS_BYTES                2
#define WORDS_TABLES               2
#define WORDS_KERNEL               1
#define WORDS_VERB                 1
#define WORDS_ENDS                 1
#define WORDS_SERVICE              1
#define COUNT_WORDS(kind, name, T) +WORDS_##kind
#define CHECK_WORDS(T, FIELDS)     _Static_assert(sizeof(T) == 8 * (0 FIELDS(COUNT_WORDS)), "words of " #T);
NNRT_TABLES(CHECK_WORDS)
NNRT_CUDA_TABLES(CHECK_WORDS)

const TableRow *const program_table = &table_NnrtProgram, *const cuda_table = &table_NnrtCuda;

size_t field_size(FieldKind k) { return k == FIELD_INTS || k == FIELD_BYTES || k == FIELD_TABLES ? 16 : 8; }
