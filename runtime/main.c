/* main.c - main() of a generated program; `nnrt_program` is written by nnc. An executable with its own main() does
 * not take this object from the archive. */
#include "runtime/nnrt.h"

extern const NnrtProgram nnrt_program;

int main(int argc, char **argv) { return nnrt_main(&nnrt_program, argc, argv); }
