/* embedded.S - the texts that every CUDA text begins with. PRELUDE, PHILOX, TWO_OVER_PI and WARPGROUP are their paths, given by the build. */
        .section .rodata
        .global cuda_prelude, cuda_prelude_end, cuda_philox, cuda_philox_end, cuda_two_over_pi, cuda_two_over_pi_end
        .global cuda_warpgroup, cuda_warpgroup_end
cuda_prelude:
        .incbin PRELUDE
cuda_prelude_end:
cuda_philox:
        .incbin PHILOX
cuda_philox_end:
cuda_two_over_pi:
        .incbin TWO_OVER_PI
cuda_two_over_pi_end:
cuda_warpgroup:
        .incbin WARPGROUP
cuda_warpgroup_end:
        .byte 0
        .section .note.GNU-stack, "", @progbits
