/* format.h - nnc fmt: one look for all sources. */
#ifndef NNC_LANG_FORMAT_H
#define NNC_LANG_FORMAT_H

#include "lang/diag.h"

/* Writes the source's text in the one look: indentation, spaces and empty lines; tokens, comments and line breaks
 * stay as they are, so the program's meaning does. Formatting the result again changes nothing. The source must have
 * been parsed without a mistake. */
void format_source(Buf *out, Arena *arena, StrTable *names, const Sources *sources, uint32_t source);

#endif
