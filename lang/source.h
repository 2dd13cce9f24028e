/* source.h - the texts that a compilation reads, and places in them. */
#ifndef NNC_LANG_SOURCE_H
#define NNC_LANG_SOURCE_H

#include "lang/str.h"

/* A place: bytes [begin, end) of source number `source` (1 is the first; 0 means no place). A place in the library
 * that a program's value comes from also says whose: `use` is the number of the user's place that led there, 0 for
 * none. */
typedef struct Span {
  uint32_t source, begin, end, use;
} Span;

typedef struct Source {
  Str path;         /* as the user named it; "<stdlib>/nn.nn" for the library's own files */
  const char *text; /* NUL-terminated copy */
  size_t n;
  uint32_t *line_starts; /* byte offsets of line beginnings */
  int lines;
  bool library; /* part of the standard library */
} Source;

typedef struct Sources {
  Arena *arena;
  Vec(Source *) all; /* source number i is all.at[i - 1] */
  Vec(Span) uses;    /* use number i is uses.at[i - 1] */
} Sources;

/* Adds a copy of the text; returns its number. Texts over 1 GiB are the caller's to refuse. */
uint32_t sources_add(Sources *s, Str path, const char *text, size_t n);
Source *sources_get(const Sources *s, uint32_t number); /* NULL for 0 or an unknown number */

/* Line and column (both from 1, columns count UTF-8 characters) of a byte offset. */
void source_position(const Source *s, uint32_t offset, int *line, int *column);

/* The same for many offsets close to each other, in time that does not depend on the lines' lengths. Begins as
 * {.source = s, .line = 1, .column = 1}. */
typedef struct PositionCursor {
  const Source *source;
  uint32_t offset;
  int line, column;
} PositionCursor;
void position_seek(PositionCursor *c, uint32_t offset);

/* The number of a place of the user's, for Span.use; and the user's place for a span: its own, or that of its use. */
uint32_t sources_use(Sources *s, Span at);
Span sources_user_place(const Sources *s, Span at);

bool span_same(Span a, Span b); /* the same place, for whatever use */
bool span_holds(Span outer, Span inner);
Span span_join(Span a, Span b); /* from the beginning of a to the end of b; the other, where one is no place */

#endif
