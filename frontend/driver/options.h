/* options.h - nnc's command line. The options are rows of options.def, the verbs rows of verbs.def. */
#ifndef NNC_FRONTEND_DRIVER_OPTIONS_H
#define NNC_FRONTEND_DRIVER_OPTIONS_H

#include "frontend/driver/build.h"
#include "frontend/render.h"

typedef enum ColorWhen { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } ColorWhen;

typedef struct Options {
  Vec(const char *) words; /* what is no option, the verb too if there is one */
  char **rest;             /* what stands after `--` */
  int nrest;
  BuildOptions build; /* its file is the verb's to set */
  Vec(Definition) definitions;
  Vec(const char *) disabled;
  bool interpret, check, grad, bisect;
  RenderFormat format;
  ColorWhen color;
  bool werror, quiet, help, version;
} Options;

/* Reads argv into *o. NULL, or a sentence about what is wrong, with the closest option where one was misspelt. What
 * *o points to is in argv or the arena. */
const char *options_parse(Options *o, Arena *a, int argc, char **argv);

/* The options with their help, by groups, for --help. */
void options_help(Buf *out);

#endif
