/* utf8.h - characters as UTF-8 (RFC 3629): overlong forms, surrogates and what lies beyond U+10FFFF are none. */
#ifndef NNRT_UTF8_H
#define NNRT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at `at`, which is before `end`; 0 where there is none. */
size_t nnrt_utf8_length(const char *at, const char *end);

/* The same, and which character it is. */
size_t nnrt_utf8_read(const char *at, const char *end, uint32_t *c);

/* Writes a character; returns its bytes, 1 to 4. */
size_t nnrt_utf8_write(char to[4], uint32_t c);

#endif
