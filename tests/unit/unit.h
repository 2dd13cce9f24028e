/* unit.h - what cmocka's header needs before it. */
#ifndef NNC_TESTS_UNIT_UNIT_H
#define NNC_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
