/* elaborate.h - from trees to a Program: names, types, lifting, index notation, and the graphs. */
#ifndef NNC_FRONTEND_ELABORATE_H
#define NNC_FRONTEND_ELABORATE_H

#include "ir/program.h"
#include "lang/diag.h"

typedef struct Definition { /* -D NAME=value */
  const char *name, *value;
} Definition;

typedef struct VocabularyFiles {
  const char *vocabulary;     /* NULL: every byte is a token */
  const char *merges;         /* of byte pairs; NULL: none */
  bool lower;                 /* of word pieces: capitals and marks do not count */
  const char *begin, *end;    /* tokens before and after each text; NULL: none */
  const char *const *special; /* tokens for which a text is searched before it is cut */
  int n_special;
} VocabularyFiles;

typedef struct Vocabulary {
  const char *tokenizer; /* how texts are cut, by name */
  const void *block;     /* as programs carry it */
  size_t bytes;
  int tokens;
  bool whole; /* the vocabulary's file says how texts are cut: a tokenizer.json */
} Vocabulary;

/* Reads a tokenizer's files; NULL, or a sentence that says what is wrong with them. */
typedef const char *VocabularyReader(Arena *a, const VocabularyFiles *files, Vocabulary *out);

typedef struct ElaborateOptions {
  bool f64;            /* --precision f64: every f32 of the program is f64 */
  bool products_given; /* --precision: products are as `products` says, whatever the source does */
  DType products;      /* what factors of products are rounded to, in all graphs; f64: they are not */
  int ndefinitions;
  const Definition *definitions;
  const char *folder; /* where data files with relative paths are looked for; NULL: where the program runs */
  VocabularyReader *vocabulary; /* NULL: texts are not read */
  bool images;                  /* pictures can be read */
  bool check_grads;             /* `test` blocks bring what finite differences are held against: frontend/test.c */
  bool check_library;           /* check the library's generic code too (tests) */
} ElaborateOptions;

/* Parses and elaborates the file at `path` (its text is given) with all that it imports. Mistakes go to the sink; the
 * program is to be used only if the sink has no error. Never NULL. All memory is the arena's. */
Program *elaborate_program(Arena *a, StrTable *strings, Sources *sources, DiagSink *diags, Str path, const char *text,
                           size_t n, const ElaborateOptions *options);

#endif
