/* arena.c - see arena.h. Chunks double up to 4 MiB; a large request gets a chunk of its own. */
#include "lang/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct Chunk Chunk;
struct Chunk {
  Chunk *next;
  size_t used, size;
  _Alignas(16) char data[];
};

struct Arena {
  Chunk *top;
  size_t next_size;
};

static void *checked(void *p) {
  if (!p) {
    fputs("nnc: out of memory\n", stderr);
    exit(70);
  }
  return p;
}

Arena *arena_new(void) {
  Arena *a = checked(calloc(1, sizeof *a));
  a->next_size = 16384;
  return a;
}

void arena_free(Arena *a) {
  if (!a) return;
  for (Chunk *c = a->top, *next; c; c = next) {
    next = c->next;
    free(c);
  }
  free(a);
}

enum { PAGE = 4096, LARGE = 1 << 18 };

/* The pages of a large chunk at once: a fault for each would take longer than what is done in them. Advice only. */
static void populate(void *p, size_t n) {
  uintptr_t from = ((uintptr_t)p + PAGE - 1) / PAGE * PAGE, to = ((uintptr_t)p + n) / PAGE * PAGE;
#ifdef MADV_POPULATE_WRITE
  if (n >= LARGE) (void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
#endif
}

static Chunk *chunk_new(size_t size) {
  Chunk *c = checked(calloc(1, sizeof *c + size));
  populate(c, sizeof *c + size);
  c->size = size;
  return c;
}

/* A block as large as a chunk lies in a chunk of its own, below the one that others go on to fill. */
static void *alloc_alone(Arena *a, size_t bytes) {
  Chunk *c = chunk_new(bytes), **below = a->top ? &a->top->next : &a->top;
  c->used = bytes;
  c->next = *below;
  *below = c;
  return c->data;
}

void *arena_alloc(Arena *a, size_t bytes) {
  if (bytes > SIZE_MAX / 2) checked(NULL);
  bytes = (bytes + 15) & ~(size_t)15;
  Chunk *c = a->top;
  if (!c || c->size - c->used < bytes) {
    if (bytes >= LARGE || bytes > a->next_size) return alloc_alone(a, bytes);
    c = chunk_new(a->next_size);
    if (a->next_size < (size_t)4 << 20) a->next_size *= 2;
    c->next = a->top;
    a->top = c;
  }
  void *p = c->data + c->used;
  c->used += bytes;
  return p;
}

void arena_drop(Arena *a, const void *block, size_t bytes) {
  if (bytes < LARGE) return;
  for (Chunk **c = &a->top; *c; c = &(*c)->next)
    if ((const void *)(*c)->data == block) {
      Chunk *gone = *c;
      if (gone->used != ((bytes + 15) & ~(size_t)15)) return; /* others lie behind it */
      *c = gone->next;
      free(gone);
      return;
    }
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
  char *p = arena_alloc(a, n + 1);
  if (n) memcpy(p, s, n);
  return p;
}

char *arena_printf(Arena *a, const char *format, ...) {
  Buf b = {0};
  va_list args;
  va_start(args, format);
  buf_vprintf(&b, format, args);
  va_end(args);
  char *p = arena_strndup(a, b.text, b.n);
  buf_free(&b);
  return p;
}

void *vec_grow(Arena *a, void *at, int n, int *capacity, size_t size) {
  if (*capacity > INT32_MAX / 2) checked(NULL);
  *capacity = *capacity ? 2 * *capacity : 2;
  void *p = arena_alloc(a, (size_t)*capacity * size);
  if (n) memcpy(p, at, (size_t)n * size);
  return p;
}

void buf_write(Buf *b, const void *bytes, size_t n) {
  if (b->n + n + 1 > b->capacity) {
    b->capacity = b->capacity * 2 > b->n + n + 64 ? b->capacity * 2 : b->n + n + 64;
    b->text = checked(realloc(b->text, b->capacity));
  }
  if (n) memcpy(b->text + b->n, bytes, n);
  b->n += n;
  b->text[b->n] = 0;
}

void buf_puts(Buf *b, const char *s) { buf_write(b, s, strlen(s)); }

void buf_vprintf(Buf *b, const char *format, va_list args) {
  char small[512];
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(small, sizeof small, format, args);
  if (n >= 0 && (size_t)n < sizeof small) {
    buf_write(b, small, (size_t)n);
  } else if (n >= 0) {
    char *big = checked(malloc((size_t)n + 1));
    vsnprintf(big, (size_t)n + 1, format, again);
    buf_write(b, big, (size_t)n);
    free(big);
  }
  va_end(again);
}

void buf_printf(Buf *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  buf_vprintf(b, format, args);
  va_end(args);
}

void buf_free(Buf *b) {
  free(b->text);
  *b = (Buf){0};
}
