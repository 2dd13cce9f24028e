/* closest.h - the name that was probably meant. */
#ifndef NNC_LANG_CLOSEST_H
#define NNC_LANG_CLOSEST_H

/* Of the names, the one closest to `name`, or NULL when none is close enough to be a slip. */
const char *name_closest(const char *name, const char *const *names, int n);

#endif
