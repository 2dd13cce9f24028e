/* constants.c - see constants.h. Walks the description of the tables (fields.h); knows no table by name. */
#include "codegen/constants.h"

#include <string.h>

#include "codegen/fields.h"

enum { BUCKETS = 1024, WORD = 8, BLOB_ALIGNMENT = 64 };

/* A constant made of n elements at a host address. */
typedef struct Made {
  struct Made *next;
  const void *host;
  int64_t n;
  FieldKind kind;
  CpuConst *address;
} Made;

typedef struct Writer {
  CpuModule *module;
  Arena *arena; /* scratch */
  Made *made[BUCKETS];
} Writer;

static CpuConst *write_row(Writer *w, const TableRow *table, const char *host);

static CpuConst *write_array(Writer *w, CpuConst **elements, int64_t n) {
  return cpu_global(w->module, NULL, cpu_array(w->module, elements, (int)n), WORD);
}

static CpuConst *write_ints(Writer *w, const int64_t *host, int64_t n) {
  CpuConst **elements = NEW_ARRAY(w->arena, CpuConst *, n);
  for (int64_t i = 0; i < n; i++) elements[i] = cpu_int(w->module, host[i]);
  return write_array(w, elements, n);
}

static CpuConst *write_rows(Writer *w, const TableRow *table, const char *host, int64_t n) {
  CpuConst **rows = NEW_ARRAY(w->arena, CpuConst *, n);
  for (int64_t i = 0; i < n; i++) rows[i] = write_row(w, table, host + (size_t)i * table->size);
  return write_array(w, rows, n);
}

static CpuConst *make(Writer *w, const FieldRow *f, const void *host, int64_t n) {
  switch (f->kind) {
  case FIELD_INTS: return write_ints(w, host, n);
  case FIELD_BYTES: return cpu_bytes(w->module, host, (size_t)n, BLOB_ALIGNMENT);
  case FIELD_TABLES: return write_rows(w, f->element, host, n);
  default: ice("constants: field %s holds no array", f->name);
  }
}

/* The address of n elements like those at `host`, made at most once. An empty array is NULL. */
static CpuConst *write_pointed(Writer *w, const FieldRow *f, const void *host, int64_t n) {
  if (n == 0) return cpu_null(w->module);
  Made **bucket = &w->made[((uintptr_t)host >> 4) % BUCKETS];
  for (Made *m = *bucket; m; m = m->next)
    if (m->host == host && m->n == n && m->kind == f->kind) return m->address;
  CpuConst *address = make(w, f, host, n);
  Made *m = NEW(w->arena, Made);
  *m = (Made){*bucket, host, n, f->kind, address};
  *bucket = m;
  return address;
}

/* Writes a field's value, or its count and its pointer; returns how many. */
static int write_field(Writer *w, const FieldRow *f, const char *host, CpuConst **out) {
  int64_t integer;
  double real;
  const void *pointer;
  memcpy(&integer, host, WORD);
  memcpy(&real, host, WORD);
  memcpy(&pointer, host, WORD);
  switch (f->kind) {
  case FIELD_INT: out[0] = cpu_int(w->module, integer); return 1;
  case FIELD_REAL: out[0] = cpu_double(w->module, real); return 1;
  case FIELD_STRING: out[0] = cpu_string(w->module, pointer); return 1;
  case FIELD_ENDS:
  case FIELD_SERVICE: out[0] = pointer ? cpu_symbol(w->module, pointer) : cpu_string(w->module, NULL); return 1;
  case FIELD_KERNEL:
  case FIELD_VERB:
    if (!pointer) ice("constants: field %s names no function", f->name);
    out[0] = cpu_symbol(w->module, pointer);
    return 1;
  case FIELD_INTS:
  case FIELD_BYTES:
  case FIELD_TABLES:
    memcpy(&pointer, host + WORD, WORD);
    out[0] = cpu_int(w->module, integer);
    out[1] = write_pointed(w, f, pointer, integer);
    return 2;
  }
  ice("constants: field %s has no kind", f->name);
}

static CpuConst *write_row(Writer *w, const TableRow *table, const char *host) {
  CpuConst **words = NEW_ARRAY(w->arena, CpuConst *, table->size / WORD);
  int n = 0;
  for (int i = 0; i < table->n; i++) {
    n += write_field(w, &table->fields[i], host, words + n);
    host += field_size(table->fields[i].kind);
  }
  return cpu_struct(w->module, words, n);
}

static void write_table(CpuModule *m, const char *name, const TableRow *table, const void *host) {
  Arena *arena = arena_new();
  Writer *w = NEW(arena, Writer);
  w->module = m;
  w->arena = arena;
  cpu_global(m, name, write_row(w, table, host), WORD);
  arena_free(arena);
}

void constants_write(CpuModule *m, const NnrtProgram *program) {
  write_table(m, "nnrt_program", program_table, program);
}

void constants_write_cuda(CpuModule *m, const NnrtCuda *cuda) { write_table(m, "nnrt_cuda", cuda_table, cuda); }
