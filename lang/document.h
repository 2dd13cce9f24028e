/* document.h - nnc doc: what a source declares and says about it, to be read. */
#ifndef NNC_LANG_DOCUMENT_H
#define NNC_LANG_DOCUMENT_H

#include "lang/ast.h"

typedef enum DocumentFormat { DOCUMENT_MARKDOWN, DOCUMENT_HTML } DocumentFormat;

/* One page over the sources whose trees are files[0 .. n): for each the comment that it begins with, and each
 * declaration with its signature, its members and its documentation comment. HTML needs no other file. */
void document_write(Buf *out, DocumentFormat format, const char *title, const Sources *sources, Ast *const *files,
                    int n);

/* Writes a line for each declaration of the file without a documentation comment, `path:line: fn name`; how many. */
int document_missing(Buf *out, const Sources *sources, const Ast *file);

#endif
