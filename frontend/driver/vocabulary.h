/* vocabulary.h - a tokenizer's files, read when a program is compiled. */
#ifndef NNC_FRONTEND_DRIVER_VOCABULARY_H
#define NNC_FRONTEND_DRIVER_VOCABULARY_H

#include "frontend/elaborate.h"

/* The reader that ElaborateOptions wants. */
VocabularyReader vocabulary_read;

#endif
