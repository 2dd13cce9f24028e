/* embedded.S - the texts that every CUDA text begins with. PRELUDE and PHILOX are their paths, given by the build. */
        .section .rodata
        .global cuda_prelude, cuda_prelude_end, cuda_philox, cuda_philox_end
cuda_prelude:
        .incbin PRELUDE
cuda_prelude_end:
cuda_philox:
        .incbin PHILOX
cuda_philox_end:
        .byte 0
        .section .note.GNU-stack, "", @progbits
