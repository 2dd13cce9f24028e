/* closest.h - the name that was probably meant. */
#ifndef NNC_LANG_CLOSEST_H
#define NNC_LANG_CLOSEST_H

/* Letters to insert, delete, replace or swap with the next to make one of the other, whatever their case; 0 too where
 * `name` is what `other` begins with, `acc` of `accuracy`. More than 64 letters count as far apart. */
int name_distance(const char *name, const char *other);

/* Of the names, the one closest to `name`, or NULL when none is close enough to be a slip. */
const char *name_closest(const char *name, const char *const *names, int n);

#endif
