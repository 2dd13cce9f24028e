/* arena.h - memory for one phase. Objects are not freed alone; an arena lives at least as long as all that points
 * into it. Also the growing array used everywhere, and a growing text buffer for printers. */
#ifndef NNC_LANG_ARENA_H
#define NNC_LANG_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *a);

/* Zeroed memory, aligned to 16 bytes. Never returns NULL: when memory is out the process ends with a message. */
void *arena_alloc(Arena *a, size_t bytes);
/* Says that nobody points into a block any more, as of a table that has grown. Only a large one is given back. */
void arena_drop(Arena *a, const void *block, size_t bytes);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define NEW(a, T)          ((T *)arena_alloc((a), sizeof(T)))
#define NEW_ARRAY(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

/* A growing array in an arena: `Vec(Node *) nodes;`, `vec_push(a, &v, x)`, `v.at[i]`, `v.n`. */
#define Vec(T)                                                                                                       \
  struct {                                                                                                           \
    T *at;                                                                                                           \
    int n, capacity;                                                                                                 \
  }
void *vec_grow(Arena *a, void *at, int n, int *capacity, size_t size); /* used by vec_push only */
#define vec_push(a, v, ...)                                                                                          \
  ((v)->at = (v)->n == (v)->capacity ? vec_grow((a), (v)->at, (v)->n, &(v)->capacity, sizeof *(v)->at) : (v)->at,    \
   (v)->at[(v)->n++] = __VA_ARGS__)

/* A text that grows, on the heap; `text` is NUL-terminated once anything was written (NULL before). */
typedef struct Buf {
  char *text;
  size_t n, capacity;
} Buf;

void buf_write(Buf *b, const void *bytes, size_t n);
void buf_puts(Buf *b, const char *s);
void buf_printf(Buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(Buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void buf_free(Buf *b);

#endif
