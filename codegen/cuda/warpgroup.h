/* warpgroup.h - the part of a text that only sm_90a has: products by groups of four warps, of tiles in shared memory,
 * whose sums are in registers. They are macros: what is transposed is part of the instruction. */
#ifdef NN_WARPGROUPS

#define NN_NAMES_8  "%0, %1, %2, %3, %4, %5, %6, %7"
#define NN_NAMES_16 NN_NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define NN_NAMES_32                                                                                                  \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "   \
  "%24, %25, %26, %27, %28, %29, %30, %31"
#define NN_NAMES_64                                                                                                  \
  NN_NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, "    \
              "%51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NN_NAMES_128                                                                                                 \
  NN_NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, "    \
              "%83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, "    \
              "%102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, "     \
              "%118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define NN_SUMS_4(s, i)   "+f"(s[i]), "+f"(s[i + 1]), "+f"(s[i + 2]), "+f"(s[i + 3])
#define NN_SUMS_8(s, i)   NN_SUMS_4(s, i), NN_SUMS_4(s, i + 4)
#define NN_SUMS_16(s, i)  NN_SUMS_4(s, i), NN_SUMS_4(s, i + 4), NN_SUMS_4(s, i + 8), NN_SUMS_4(s, i + 12)
#define NN_SUMS_32(s, i)  NN_SUMS_16(s, i), NN_SUMS_16(s, i + 16)
#define NN_SUMS_64(s, i)  NN_SUMS_32(s, i), NN_SUMS_32(s, i + 32)
#define NN_SUMS_128(s, i) NN_SUMS_64(s, i), NN_SUMS_64(s, i + 64)

/* sum (64 x n, f32) += a (64 x 16) b (16 x n): goes on by itself until it is waited for. a, b: nn_tile_word; across:
 * 1 where a tile's rows are steps of K. Of thread 32 w + 4 g + t of the group: sum[4 j + i] is at row 16 w + g + i /
 * 2 * 8, column 8 j + 2 t + i % 2. */
#define NN_GROUP_PRODUCTS(n, sums, word_a, word_b, type, across_a, across_b, sum, a, b)                              \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n" n "k16.f32." type         \
               "." type " {" NN_NAMES_##sums "}, " word_a ", " word_b ", p, 1, 1, " across_a ", " across_b ";\n}"    \
               : NN_SUMS_##sums(sum, 0)                                                                              \
               : "l"(a), "l"(b))
/* The same by a (64 x 16) in registers, which stay as they are until it is waited for: its words of thread 32 w + 4 g
 * + t are those of nn_products_* for the 16 rows of warp w. */
#define NN_GROUP_WEIGHTED(n, sums, words_a, word_b, type, across_b, sum, a, b)                                       \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n" n "k16.f32." type         \
               "." type " {" NN_NAMES_##sums "}, {" words_a "}, " word_b ", p, 1, 1, " across_b ";\n}"               \
               : NN_SUMS_##sums(sum, 0)                                                                              \
               : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "l"(b))
/* The sums are read from here on. */
#define NN_GROUP_SUMS_16(sum)      asm volatile("" : NN_SUMS_8(sum, 0)::"memory")
#define NN_GROUP_SUMS_32(sum)      asm volatile("" : NN_SUMS_16(sum, 0)::"memory")
#define NN_GROUP_SUMS_64(sum)      asm volatile("" : NN_SUMS_32(sum, 0)::"memory")
#define NN_GROUP_SUMS_128(sum)     asm volatile("" : NN_SUMS_64(sum, 0)::"memory")
#define NN_GROUP_SUMS_256(sum)     asm volatile("" : NN_SUMS_128(sum, 0)::"memory")
#define NN_GROUP_PRODUCTS_16(...)  NN_GROUP_PRODUCTS("16", 8, "%8", "%9", __VA_ARGS__)
#define NN_GROUP_PRODUCTS_32(...)  NN_GROUP_PRODUCTS("32", 16, "%16", "%17", __VA_ARGS__)
#define NN_GROUP_PRODUCTS_64(...)  NN_GROUP_PRODUCTS("64", 32, "%32", "%33", __VA_ARGS__)
#define NN_GROUP_PRODUCTS_128(...) NN_GROUP_PRODUCTS("128", 64, "%64", "%65", __VA_ARGS__)
#define NN_GROUP_PRODUCTS_256(...) NN_GROUP_PRODUCTS("256", 128, "%128", "%129", __VA_ARGS__)
#define NN_GROUP_WEIGHTED_16(...)  NN_GROUP_WEIGHTED("16", 8, "%8, %9, %10, %11", "%12", __VA_ARGS__)
#define NN_GROUP_WEIGHTED_32(...)  NN_GROUP_WEIGHTED("32", 16, "%16, %17, %18, %19", "%20", __VA_ARGS__)
#define NN_GROUP_WEIGHTED_64(...)  NN_GROUP_WEIGHTED("64", 32, "%32, %33, %34, %35", "%36", __VA_ARGS__)
#define NN_GROUP_WEIGHTED_128(...) NN_GROUP_WEIGHTED("128", 64, "%64, %65, %66, %67", "%68", __VA_ARGS__)
#define NN_GROUP_WEIGHTED_256(...) NN_GROUP_WEIGHTED("256", 128, "%128, %129, %130, %131", "%132", __VA_ARGS__)

#endif
