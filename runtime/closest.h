/* closest.h - the name that a user probably meant. */
#ifndef NNRT_CLOSEST_H
#define NNRT_CLOSEST_H

/* Keeps the candidate that is nearest to `name` by edit distance; start with {0}. */
typedef struct NnrtClosest {
  const char *name;
  int distance;
} NnrtClosest;

void nnrt_closest_try(NnrtClosest *c, const char *name, const char *candidate);

/* The text ", did you mean \"x\"?", or "" where nothing is near (more than a third of the letters differ). */
const char *nnrt_closest_text(const NnrtClosest *c, const char *name, char text[96]);

#endif
