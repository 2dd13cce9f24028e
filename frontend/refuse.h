/* refuse.h - parts of the language that the tree has and elaboration does not look at. */
#ifndef NNC_FRONTEND_REFUSE_H
#define NNC_FRONTEND_REFUSE_H

#include "lang/ast.h"
#include "lang/diag.h"

/* A message for each such part of a file's tree. */
void refuse_ignored(DiagSink *sink, const Ast *file);

#endif
