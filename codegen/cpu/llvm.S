/* llvm.S - LLVM's functions as nnc calls them: jumps to where llvm.c found them in the library, in the order of llvm.def. */
#define LLVM_FUNCTION(name) .global name; .hidden name; .type name, @function; name: jmp *.Lat_##name(%rip);
        .text
#include "codegen/cpu/llvm.def"
#undef LLVM_FUNCTION

#define LLVM_FUNCTION(name) .Lat_##name: .quad 0;
        .bss
        .balign 8
        .global llvm_functions
        .hidden llvm_functions
llvm_functions:
#include "codegen/cpu/llvm.def"
        .section .note.GNU-stack, "", @progbits
