/* runtime_archive.S - libnnrt.a inside nnc. RUNTIME_ARCHIVE is its path, given by the build. */
        .section .rodata
        .balign 16
        .global nnc_runtime_archive
nnc_runtime_archive:
        .incbin RUNTIME_ARCHIVE
        .global nnc_runtime_archive_end
nnc_runtime_archive_end:
        .byte 0
        .section .note.GNU-stack, "", @progbits
