/* unicode.h - what tokenizers ask of a character: unicode.def, looked up. */
#ifndef NNRT_UNICODE_H
#define NNRT_UNICODE_H

#include <stdint.h>

/* One letter a class, as unicode.py names them: L N P S V C M O. */
char nnrt_unicode_class(uint32_t c);

enum { NNRT_FOLD_MOST = 4 };

/* What is left of a character without marks and capitals; returns how many characters, 0 for a mark. */
int nnrt_unicode_fold(uint32_t c, uint32_t to[NNRT_FOLD_MOST]);

#endif
