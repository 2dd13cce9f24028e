/* constants.c - see constants.h. Walks the description of the tables (codegen/fields.h); knows no table by name. */
#include "codegen/cpu/constants.h"

#include <llvm-c/Core.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/fields.h"
#include "lang/arena.h"
#include "lang/diag.h"

enum { BUCKETS = 1024, BLOB_ALIGNMENT = 64 };

/* A constant made of what lies at a host address. The same address is given for different tables only when one is the
 * first field of the other, which holds no array: the count and the kind tell those apart. */
typedef struct Made {
  struct Made *next;
  const void *host;
  int64_t n;
  FieldKind kind;
  LLVMValueRef global;
} Made;

typedef struct Writer {
  LLVMModuleRef module;
  LLVMContextRef context;
  LLVMTypeRef i8, i64, real, pointer;
  Arena *arena; /* scratch */
  Made *made[BUCKETS];
} Writer;

static LLVMValueRef write_row(Writer *w, const TableRow *table, const char *host);
static LLVMTypeRef row_type(Writer *w, const TableRow *table);

static LLVMValueRef word(Writer *w, int64_t v) { return LLVMConstInt(w->i64, (unsigned long long)v, true); }

/* A private constant, merged with equal ones by the linker where its section allows. */
static LLVMValueRef private_global(Writer *w, LLVMTypeRef type, LLVMValueRef value, unsigned alignment) {
  LLVMValueRef g = LLVMAddGlobal(w->module, type, "");
  LLVMSetInitializer(g, value);
  LLVMSetGlobalConstant(g, true);
  LLVMSetLinkage(g, LLVMPrivateLinkage);
  LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
  LLVMSetAlignment(g, alignment);
  return g;
}

static LLVMValueRef write_array(Writer *w, LLVMTypeRef element, LLVMValueRef *values, int64_t n) {
  LLVMValueRef array = LLVMConstArray2(element, values, (uint64_t)n);
  return private_global(w, LLVMArrayType2(element, (uint64_t)n), array, 8);
}

static LLVMValueRef write_ints(Writer *w, const int64_t *host, int64_t n) {
  LLVMValueRef *values = NEW_ARRAY(w->arena, LLVMValueRef, n);
  for (int64_t i = 0; i < n; i++) values[i] = word(w, host[i]);
  return write_array(w, w->i64, values, n);
}

static LLVMValueRef write_bytes(Writer *w, const char *host, int64_t n, bool terminated, unsigned alignment) {
  LLVMValueRef value = LLVMConstStringInContext2(w->context, host, (size_t)n, !terminated);
  return private_global(w, LLVMArrayType2(w->i8, (uint64_t)n + terminated), value, alignment);
}

static LLVMValueRef write_rows(Writer *w, const TableRow *table, const char *host, int64_t n) {
  LLVMValueRef *rows = NEW_ARRAY(w->arena, LLVMValueRef, n);
  for (int64_t i = 0; i < n; i++) rows[i] = write_row(w, table, host + (size_t)i * table->size);
  return write_array(w, row_type(w, table), rows, n);
}

static LLVMValueRef make(Writer *w, const FieldRow *f, const char *host, int64_t n) {
  switch (f->kind) {
  case FIELD_STRING: return write_bytes(w, host, n, true, 1);
  case FIELD_INTS: return write_ints(w, (const int64_t *)(const void *)host, n);
  case FIELD_BYTES: return write_bytes(w, host, n, false, BLOB_ALIGNMENT);
  case FIELD_TABLES: return write_rows(w, f->element, host, n);
  default: ice("constants: field %s holds no array", f->name);
  }
}

/* The constant for n elements at `host`, made at most once. An empty array is NULL. */
static LLVMValueRef write_pointed(Writer *w, const FieldRow *f, const void *host, int64_t n) {
  if (!host || (n == 0 && f->kind != FIELD_STRING)) return LLVMConstNull(w->pointer);
  Made **bucket = &w->made[((uintptr_t)host >> 3) % BUCKETS];
  for (Made *m = *bucket; m; m = m->next)
    if (m->host == host && m->n == n && m->kind == f->kind) return m->global;
  LLVMValueRef global = make(w, f, host, n);
  Made *m = NEW(w->arena, Made);
  *m = (Made){*bucket, host, n, f->kind, global};
  *bucket = m;
  return global;
}

static LLVMValueRef function_named(Writer *w, const char *symbol) {
  LLVMValueRef f = LLVMGetNamedFunction(w->module, symbol);
  if (f) return f;
  return LLVMAddFunction(w->module, symbol, LLVMFunctionType(LLVMVoidTypeInContext(w->context), NULL, 0, false));
}

/* Writes one field's value or its count and pointer; returns how many. */
static unsigned write_field(Writer *w, const FieldRow *f, const char *host, LLVMValueRef out[2]) {
  int64_t first;
  void *pointer;
  double number;
  memcpy(&first, host, 8);
  memcpy(&pointer, host, 8);
  memcpy(&number, host, 8);
  switch (f->kind) {
  case FIELD_INT: out[0] = word(w, first); return 1;
  case FIELD_REAL: out[0] = LLVMConstReal(w->real, number); return 1;
  case FIELD_STRING: out[0] = write_pointed(w, f, pointer, pointer ? (int64_t)strlen(pointer) : 0); return 1;
  case FIELD_KERNEL:
  case FIELD_VERB:
    if (!pointer) ice("constants: field %s names no function", f->name);
    out[0] = function_named(w, pointer);
    return 1;
  case FIELD_INTS:
  case FIELD_BYTES:
  case FIELD_TABLES:
    memcpy(&pointer, host + 8, 8);
    out[0] = word(w, first);
    out[1] = write_pointed(w, f, pointer, first);
    return 2;
  }
  ice("constants: field %s has no kind", f->name);
}

static LLVMValueRef write_row(Writer *w, const TableRow *table, const char *host) {
  LLVMValueRef *words = NEW_ARRAY(w->arena, LLVMValueRef, table->size / 8);
  unsigned n = 0;
  for (int i = 0; i < table->n; i++) {
    n += write_field(w, &table->fields[i], host, words + n);
    host += field_size(table->fields[i].kind);
  }
  return LLVMConstStructInContext(w->context, words, n, false);
}

static LLVMTypeRef row_type(Writer *w, const TableRow *table) {
  LLVMTypeRef *words = NEW_ARRAY(w->arena, LLVMTypeRef, table->size / 8);
  unsigned n = 0;
  for (int i = 0; i < table->n; i++) {
    FieldKind k = table->fields[i].kind;
    bool counted = field_size(k) == 16;
    if (counted) words[n++] = w->i64;
    words[n++] = k == FIELD_INT ? w->i64 : k == FIELD_REAL ? w->real : w->pointer;
  }
  return LLVMStructTypeInContext(w->context, words, n, false);
}

/* int main(int argc, char **argv) { return nnrt_main(&nnrt_program, argc, argv); } */
static void write_main(Writer *w, LLVMValueRef program) {
  LLVMTypeRef i32 = LLVMInt32TypeInContext(w->context);
  LLVMTypeRef type = LLVMFunctionType(i32, (LLVMTypeRef[]){w->pointer, i32, w->pointer}, 3, false);
  LLVMValueRef callee = LLVMAddFunction(w->module, "nnrt_main", type);
  LLVMTypeRef main_type = LLVMFunctionType(i32, (LLVMTypeRef[]){i32, w->pointer}, 2, false);
  LLVMValueRef f = LLVMAddFunction(w->module, "main", main_type);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(w->context);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(w->context, f, "entry"));
  LLVMValueRef arguments[] = {program, LLVMGetParam(f, 0), LLVMGetParam(f, 1)};
  LLVMBuildRet(b, LLVMBuildCall2(b, type, callee, arguments, 3, "status"));
  LLVMDisposeBuilder(b);
}

void constants_write(LLVMModuleRef module, const NnrtProgram *program) {
  LLVMContextRef context = LLVMGetModuleContext(module);
  Arena *arena = arena_new();
  Writer *w = NEW(arena, Writer);
  *w = (Writer){.module = module,
                .context = context,
                .i8 = LLVMInt8TypeInContext(context),
                .i64 = LLVMInt64TypeInContext(context),
                .real = LLVMDoubleTypeInContext(context),
                .pointer = LLVMPointerTypeInContext(context, 0),
                .arena = arena};
  LLVMValueRef row = write_row(w, &program_table, (const char *)program);
  LLVMValueRef global = LLVMAddGlobal(module, row_type(w, &program_table), "nnrt_program");
  LLVMSetInitializer(global, row);
  LLVMSetGlobalConstant(global, true);
  LLVMSetAlignment(global, 8);
  write_main(w, global);
  arena_free(arena);
}
