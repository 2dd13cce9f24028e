/* link.h - from an object to a program, by the system's C compiler and the runtime archive that nnc carries inside.
 */
#ifndef NNC_CODEGEN_LINK_H
#define NNC_CODEGEN_LINK_H

#include "lang/arena.h"

typedef struct LinkOptions {
  const char *cc;      /* the command, with options; NULL: cc */
  const char *runtime; /* a folder that holds libnnrt.a; NULL: the archive inside nnc */
  bool is_static;
  bool cuda;       /* the program runs on a GPU, too */
  bool images;     /* it reads pictures */
  bool print_only; /* print the link line on stderr, run nothing */
} LinkOptions;

/* Whether this nnc was built with what reads pictures. */
extern const bool link_has_images;

/* Links n objects to the executable `output`. NULL, or a sentence that says what to do; what the linker
 * itself had to say is on stderr already. A file at `output` may be left half written after a failure. */
const char *link_program(Arena *a, const Buf *objects, int n, const char *output, const LinkOptions *o);

#endif
