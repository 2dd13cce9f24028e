/* parse.h - text to tree. The scanner is lex.re, the grammar grammar.y. */
#ifndef NNC_LANG_PARSE_H
#define NNC_LANG_PARSE_H

#include "lang/ast.h"
#include "lang/diag.h"

/* Parses a source. The mistakes go to the sink (several per run, one for a cause); what was understood is returned: a
 * FILE node, never NULL. Nothing should be checked further when the sink has errors from here on names that are
 * missing from the tree; it is safe to walk. Memory: the tree in `arena`, names in `names`. */
Ast *parse_source(Arena *arena, StrTable *names, const Sources *sources, uint32_t source, DiagSink *sink);

/* --emit=tokens: what the grammar is given, one token a line: line:column, kind, text, the documentation before it.
 */
void tokens_print(Buf *out, Arena *arena, StrTable *names, const Sources *sources, uint32_t source, DiagSink *sink);

#endif
