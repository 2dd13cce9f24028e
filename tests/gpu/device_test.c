/* device_test.c - device_test WHAT: a GPU ($NN_LIBCUDA, else the driver's own library), asked directly.
 *
 *   describe    what it is
 *   primitives  each row of primitives.def on random data, beside its twin in the simulator: the same text for both.
 *               Moves of bits are equal, functions nearly; a row without a probe is a fault
 *   text        the text of the probes, for nvrtc_test
 *   times N     products of N x N matrices in each precision, beside cuBLAS where it is installed; random numbers
 *
 * What passes here says that the twins mean what the device does, on which all else that the simulator says rests. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "codegen/codegen.h"
#include "tests/gpu/boxes.h"
#include "tests/gpu/driver.h"
#include "tests/gpu/simulator.h"
#include "tests/gpu/translate.h"

enum { THREADS = 256, BLOCKS = 4, COUNT = THREADS * BLOCKS, INPUTS = 3 /* of 8 bytes for each thread */ };
enum {
  MAPS = 8 /* of tensors of 2 to 5 dimensions: what comes in, and what goes out */,
  SHARED = 20 << 10,
  OUTPUT = 4 /* words of each thread */
};

typedef struct Primitive {
  const char *result, *name, *parameters, *body;
} Primitive;

static const Primitive primitives[] = {
#define PRIMITIVE(result, name, parameters, body) {#result, #name, #parameters, body},
#include "codegen/cuda/primitives.def"
#undef PRIMITIVE
};
enum { PRIMITIVES = sizeof primitives / sizeof *primitives };

typedef struct Probe {
  const char *name, *type; /* type of what comes out; OUTPUT words of a thread hold it */
  const char *body; /* i: the thread of all, in: words (INPUTS * 2 * i on), out; shared: SHARED bytes of words */
  double allowed;   /* of the largest, or of its own size; 0: equal bits */
  bool on_90a;      /* only there */
} Probe;

#define FACTORS                                                                                                      \
  "float f[8]; for (int k = 0; k < 6; k++) f[k] = (float)(mine[k] & 0xffff) / 65536.0f - 0.5f;\n"                    \
  "float sum[4] = {f[0], f[1], f[2], f[3]};\n"
#define SUMS     "for (int k = 0; k < 4; k++) ((float *)out)[4 * i + k] = sum[k];"
#define WORDS(F) "u32 w[6]; for (int k = 0; k < 6; k++) w[k] = " F ";\n"

/* A tile of 64 lines and one of 64 columns, in 8192 bytes each; both groups of warps multiply them. */
#define TILES                                                                                                        \
  "u64 *barrier = (u64 *)nn_shared(); char *tile = nn_shared() + 1024;\n"                                            \
  "if (nn_thread() == 0) { nn_barrier(barrier, 256); nn_barriers_begin(); }\nnn_sync();\n"                           \
  "for (int k = 0; k < 16; k++) nn_put(tile + 1024 * k + 4 * nn_thread(), nn_pair_bf16((float)(mine[k % 6] >> k) / " \
  "4294967296.0f - 0.25f, (float)(mine[k % 5] & 255) / 256.0f - 0.5f));\n"                                           \
  "nn_written(); nn_arrive(barrier); nn_wait(barrier, 0);\n"                                                         \
  "float sum[32];\nNN_UNROLL\nfor (int k = 0; k < 32; k++) sum[k] = 0;\nnn_group_begin();\n"
#define TILE_SUMS                                                                                                    \
  "nn_group_commit(); nn_group_wait(0); NN_GROUP_SUMS_64(sum);\n"                                                    \
  "NN_UNROLL\nfor (int k = 0; k < 4; k++) ((float *)out)[4 * i + k] = sum[9 * k + 1];\n"

/* What takes more than arguments. */
static const Probe probes[] = {
    {"places", "u32", "out[4 * i] = (u32)(nn_thread() + (nn_block() << 10) + (nn_blocks() << 20));", 0, false},
    {"shared", "u32",
     "((u32 *)nn_shared())[nn_thread()] = mine[0]; nn_sync(); out[4 * i] = shared[(nn_thread() * 7 + 3) % 256];", 0,
     false},
    {"moves", "u32",
     "NN_WIDE u32 w[4]; nn_move_16(w, in + 4 * i); nn_move_8(w, in + 4 * i + 2); nn_move_4(w + 2, in + 4 * i + 1);\n"
     "nn_move_16(out + 4 * i, w);",
     0, false},
    {"group_sync", "u32",
     "shared[nn_thread()] = mine[0]; nn_group_sync(); out[4 * i] = shared[nn_thread() / 128 * 128 + (nn_thread() * 7 "
     "+ "
     "3) % 128];",
     0, false},
    {"copies", "u32",
     "u32 *to = shared + 8 * nn_thread();\n"
     "nn_copy_16(to, in + 4 * i, nn_thread() % 17); nn_copies_commit();\n"
     "nn_copy_4(to + 4, in + 4 * i + 1, nn_thread() % 5); nn_copies_commit();\n"
     "nn_copies_wait(1); out[4 * i] = to[0] ^ to[3]; out[4 * i + 1] = to[1] ^ to[2];\n"
     "nn_copies_wait(0); out[4 * i + 2] = to[4];",
     0, false},
    {"matrices", "u32",
     "for (int k = 0; k < 4; k++) shared[4 * nn_thread() + k] = in[4 * i + k];\nnn_sync();\n"
     "nn_matrices(out + 4 * i, shared + 4 * (nn_thread() ^ 5));",
     0, false},
    {"matrices_transposed", "u32",
     "for (int k = 0; k < 4; k++) shared[4 * nn_thread() + k] = in[4 * i + k];\nnn_sync();\n"
     "nn_matrices_transposed(out + 4 * i, shared + 4 * (nn_thread() ^ 9));",
     0, false},
    {"products_bf16", "f32",
     FACTORS WORDS("nn_pair_bf16(f[k], f[(k + 1) % 6])") "nn_products_bf16(sum, w, w + 4);\n" SUMS, 1e-6, false},
    {"products_f16", "f32",
     FACTORS WORDS("nn_pair_f16(f[k], f[(k + 1) % 6])") "nn_products_f16(sum, w, w + 4);\n" SUMS, 1e-6, false},
    {"products_tf32", "f32", FACTORS WORDS("nn_tf32(f[k])") "nn_products_tf32(sum, w, w + 4);\n" SUMS, 1e-6, false},
    {"put", "u32",
     "nn_put(shared + nn_thread(), mine[0]); nn_sync(); out[4 * i] = shared[(nn_thread() * 7 + 3) % 256];", 0, false},
    {"group_products", "f32",
     TILES
     "NN_GROUP_PRODUCTS_64(\"bf16\", \"0\", \"0\", sum, nn_tile_word(tile + 32, 16), nn_tile_word(tile + 8192 + 32, "
     "16));\n" TILE_SUMS,
     1e-6, true},
    {"group_products_across", "f32",
     TILES
     "NN_GROUP_PRODUCTS_64(\"f16\", \"1\", \"1\", sum, nn_tile_word(tile + 2048, 8192), nn_tile_word(tile + 8192 + "
     "2048, 8192));\n" TILE_SUMS,
     1e-6, true},
    {"group_weighted", "f32",
     TILES
     "u32 w[4];\nNN_UNROLL\nfor (int k = 0; k < 4; k++) w[k] = nn_pair_bf16((float)(mine[k] & 0xffff) / 65536.0f - "
     "0.5f, (float)(mine[k] >> 16) / 65536.0f - 0.5f);\nnn_group_begin();\n"
     "NN_GROUP_WEIGHTED_64(\"bf16\", \"0\", sum, w, nn_tile_word(tile + 8192 + 32, 16));\n" TILE_SUMS,
     1e-6, true},
    {"boxes", "u32",
     "u64 *barrier = (u64 *)nn_shared(); char *to = nn_shared() + 1024;\n"
     "if (nn_thread() == 0) {\n  nn_barrier(barrier, 1); nn_barriers_begin();\n"
     "  for (int k = 0; k < 4; k++) nn_map_begin(maps + k);\n  nn_expect(barrier, 4096);\n"
     "  nn_box_2(to, maps, barrier, 16, 3); nn_box_3(to + 1024, maps + 1, barrier, -8, 0, 1);\n"
     "  nn_box_4(to + 2048, maps + 2, barrier, 8, -2, 3, 1); nn_box_5(to + 3072, maps + 3, barrier, 0, 1, 2, 1, "
     "1);\n}\n"
     "nn_sync(); nn_wait(barrier, 0);\n"
     "for (int k = 0; k < 4; k++) out[4 * i + k] = *(u32 *)(to + 1024 * k + 4 * nn_thread());",
     0, true},
    {"matrices_put", "u32",
     "u32 w[4]; for (int k = 0; k < 4; k++) w[k] = in[4 * i + k];\n"
     "nn_matrices_put(shared + 4 * (nn_thread() ^ 5), w);\nnn_sync();\n"
     "for (int k = 0; k < 4; k++) out[4 * i + k] = shared[4 * (nn_thread() ^ 6) + k];",
     0, true},
    {"boxes_put", "u32",
     "for (int k = 0; k < 4; k += 2) nn_put_pair(shared + 4 * nn_thread() + k, in[4 * i + k], in[4 * i + k + 1]);\n"
     "nn_written(); nn_sync();\n"
     "if (nn_thread() == 0) {\n  const int b = nn_block();\n  for (int k = 4; k < 8; k++) nn_map_begin(maps + k);\n"
     "  nn_put_box_2(maps + 4, shared, 0, 32 * b); nn_boxes_commit();\n"
     "  nn_put_box_3(maps + 5, shared + 256, 0, 0, 4 * b + 1); nn_boxes_commit();\n  nn_boxes_wait(1);\n"
     "  nn_put_box_4(maps + 6, shared + 512, 0, 0, 2, b);\n"
     "  nn_put_box_5(maps + 7, shared + 768, 0, 0, 3, b % 2, b / 2); nn_boxes_commit();\n  nn_boxes_wait(0);\n}",
     0, true},
    {"registers", "u32", /* they change no value, and need a block of three groups */
     "if (nn_blocks() > 1000) { nn_registers_fewer(); nn_registers_more(); } out[4 * i] = mine[0];", 0, true},
};
enum { PROBES = sizeof probes / sizeof *probes };

/* ---- probes of functions ---- */

static const char *word_type(const char *type) {
  if (!strcmp(type, "float")) return "f32";
  return !strcmp(type, "double") ? "f64" : !strcmp(type, "i64") || !strcmp(type, "u64") ? "u64" : "u32";
}

/* The next parameter's type; its name in *name. NULL: there is none. */
static const char *next_parameter(Arena *a, const char **at, const char **name) {
  *at += strspn(*at, "(, ");
  size_t n = strcspn(*at, ",)");
  if (n == 0 || !strncmp(*at, "void)", 5)) return NULL;
  const char *both = arena_strndup(a, *at, n), *space = strrchr(both, ' ');
  *at += n;
  *name = space + 1;
  return arena_strndup(a, both, (size_t)(space - both));
}

/* Each argument from the thread's own words; a warp has one mask. False where it takes a pointer, or nothing. */
static bool probe_of(Arena *a, const Primitive *p, Probe *out) {
  Buf call = {0};
  const char *at = p->parameters, *type, *name;
  int n = 0;
  for (; (type = next_parameter(a, &at, &name)); n++) {
    if (strchr(name, '*') || strchr(type, '*')) n = -100;
    if (!strcmp(name, "mask")) buf_puts(&call, ", 1 << i / 32 % 5");
    else buf_printf(&call, ", *(const %s *)(in + 6 * i + 2 * %d)", type, n);
  }
  bool is_function = n > 0 && strcmp(p->result, "void") != 0;
  if (is_function)
    *out = (Probe){p->name + 3, word_type(p->result),
                   arena_printf(a, "*(%s *)(out + 4 * i) = %s(%s);", p->result, p->name, call.text + 2),
                   strstr(p->body, "__") || strstr(p->body, "asm") ? 0
                   : strcmp(p->result, "float")                    ? 1e-14
                                                                   : 1e-6,
                   false};
  buf_free(&call);
  return is_function;
}

typedef Vec(Probe) Probes;

static Probes all_probes(Arena *a) {
  Probes all = {0};
  for (int i = 0; i < PROBES; i++) vec_push(a, &all, probes[i]);
  for (int i = 0; i < PRIMITIVES; i++) {
    Probe p;
    if (probe_of(a, &primitives[i], &p)) vec_push(a, &all, p);
  }
  return all;
}

/* As a kernel's text does (program.c), so that nvrtc_test counts a probe's instructions too. */
static void write_planned(Buf *text, const Probe *p) {
  if (strstr(p->body, "nn_products_") || strstr(p->body, "NN_GROUP_PRODUCTS") || strstr(p->body, "NN_GROUP_WEIGHTED"))
    buf_printf(text, "\n/* probe_%s: 1 products */", p->name);
}

static void write_probes(Arena *a, Buf *text, const Probes *all) {
  cuda_write_program(text, cuda_program(a, 0, NULL));
  for (int i = 0; i < all->n; i++) {
    const Probe *p = &all->at[i];
    if (p->on_90a) buf_puts(text, "\n#if defined(NN_SIMULATED) || defined(NN_WARPGROUPS)");
    write_planned(text, p);
    buf_printf(text,
               "\nNN_KERNEL(%d) probe_%s(u32 *out, const u32 *in, const NnMap *maps) {\n  const int i = nn_block() * "
               "%d + nn_thread();\n"
               "  const u32 *mine = in + 6 * i;\n  u32 *shared = (u32 *)nn_shared();\n  (void)mine, (void)shared, "
               "(void)maps;\n%s\n}\n"
               "#ifdef NN_SIMULATED\nvoid probe_%s_call(void **p) { probe_%s(*(u32 **)p[0], *(u32 **)p[1], *(NnMap "
               "**)p[2]); }\n"
               "const int probe_%s_count = 3;\n#endif\n",
               THREADS, p->name, THREADS, p->body, p->name, p->name, p->name);
    if (p->on_90a) buf_puts(text, "#endif\n");
  }
}

/* ---- comparison ---- */

static double real_of(const Probe *p, const uint32_t *words) {
  double f64;
  float f32;
  memcpy(&f64, words, sizeof f64);
  memcpy(&f32, words, sizeof f32);
  return strcmp(p->type, "f64") ? (double)f32 : f64;
}

static bool is_near(const Probe *p, const uint32_t *x, const uint32_t *y) {
  int words = !strcmp(p->type, "f64") ? 2 : 1;
  if (p->allowed == 0) return !memcmp(x, y, OUTPUT * sizeof *x);
  for (int i = 0; i < OUTPUT; i += words) {
    double a = real_of(p, x + i), b = real_of(p, y + i),
           scale = fmax(fabs(b), strstr(p->name, "products") ? 1 : 0x1p-126);
    if (isnan(a) || isnan(b) ? !(isnan(a) && isnan(b)) : a != b && !(fabs(a - b) <= p->allowed * scale)) return false;
  }
  return true;
}

/* Of all sizes and signs, with some that are special; read as any type. */
static void fill(uint32_t *words, int n) {
  static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1.0f, -1.0f, 0x1p-140f};
  uint64_t random = 88172645463325252u;
  for (int i = 0; i + 1 < n; i += 2) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    double u = ldexp((double)(random >> 11), -53), wide = i / 2 % 5 == 1 ? 16 * u - 8 : exp(60 * u - 30);
    float value = i / 2 % 5 == 0   ? (float)u
                  : i / 2 % 5 == 4 ? special[random % 8]
                                   : (float)(random % 3 ? wide : -wide);
    double f64 = (double)value * (1 + ldexp((double)(random % 4096), -50));
    if (i / 2 % 7 < 4) memcpy(&words[i], &value, 4), words[i + 1] = (uint32_t)(random >> 32);
    else memcpy(&words[i], &f64, 8);
  }
}

static void make_map(DeviceEncode *encode, int type, int rank, uint64_t base, const uint64_t *extent,
                     const uint64_t *stride, const unsigned *box, char map[CUDA_MAP_BYTES]) {
  static const unsigned ones[] = {1, 1, 1, 1, 1};
  if (encode(map, type, (unsigned)rank, (void *)(uintptr_t)base, extent, stride, box, ones, 0, 3, 2, 0))
    ice("a map that the driver refuses");
}

/* What comes in as bf16: 2 x 2 x 4 x 8 x 72, or as many of these dimensions; what goes out as f32, all of it. */
static void make_maps(DeviceEncode *encode, uint64_t in, uint64_t out, char maps[MAPS][CUDA_MAP_BYTES]) {
  static const uint64_t extent[] = {72, 8, 4, 2, 2}, stride[] = {144, 1152, 4608, 9216};
  static const uint64_t all[][5] = {{32, 128}, {32, 8, 16}, {32, 8, 4, 4}, {32, 8, 4, 2, 2}},
                        own[] = {128, 1024, 4096, 8192};
  static const unsigned box[] = {64, 8, 1, 1, 1}, words[] = {32, 8, 1, 1, 1};
  for (int i = 0; i < 4; i++) {
    make_map(encode, 9, i + 2, in, extent, stride, box, maps[i]);
    make_map(encode, 7, i + 2, out, all[i], own, words, maps[4 + i]);
  }
}

static const char *run_twin(void *code, const Probe *p, uint32_t *out, const uint32_t *in) {
  char symbol[160];
  static _Alignas(64) char maps[MAPS][CUDA_MAP_BYTES];
  void *at = maps, *arguments[] = {&out, &in, &at};
  make_maps(cuTensorMapEncodeTiled, (uintptr_t)in, (uintptr_t)out, maps);
  SimulatedLaunch l = {.arguments = arguments, .blocks = BLOCKS, .threads = THREADS, .shared = SHARED};
  snprintf(symbol, sizeof symbol, "probe_%s_call", p->name);
  *(void **)&l.call = dlsym(code, symbol);
  return l.call ? simulate(&l) : "no such probe";
}

static const char *run_device(void *module, const Probe *p, uint32_t *out, const uint32_t *in) {
  char symbol[160];
  size_t bytes_out = OUTPUT * COUNT * sizeof *out, bytes_in = 2 * INPUTS * COUNT * sizeof *in;
  static _Alignas(64) char maps[MAPS][CUDA_MAP_BYTES];
  Address to = device_memory(bytes_out), from = device_memory(bytes_in), at = device_memory(sizeof maps);
  void *arguments[] = {&to, &from, &at};
  make_maps(device_encode(), from, to, maps);
  device_write(at, maps, sizeof maps);
  snprintf(symbol, sizeof symbol, "probe_%s", p->name);
  device_write(from, in, bytes_in);
  device_write(to, out, bytes_out);
  const char *error = device_launch(module, &(Launch){symbol, BLOCKS, THREADS, SHARED, arguments});
  device_read(out, to, bytes_out);
  bool whole = device_free(to, bytes_out);
  whole = device_free(from, bytes_in) && whole;
  whole = device_free(at, sizeof maps) && whole;
  return error || whole ? error : "it wrote behind its memory";
}

static int compare(void *module, void *code, const Probe *p, const uint32_t *in) {
  static _Alignas(64) uint32_t got[OUTPUT * COUNT], want[OUTPUT * COUNT];
  memset(got, 0, sizeof got);
  memset(want, 0, sizeof want);
  const char *error = run_twin(code, p, want, in);
  if (!error) error = run_device(module, p, got, in);
  if (error) printf("%s: %s\n", p->name, error);
  for (int i = 0; i < COUNT && !error; i++) {
    const uint32_t *x = got + OUTPUT * i, *y = want + OUTPUT * i;
    if (is_near(p, x, y)) continue;
    printf("%s: thread %d: %08x %08x %08x %08x (%.9g), its twin %08x %08x %08x %08x (%.9g)\n", p->name, i, x[0], x[1],
           x[2], x[3], real_of(p, x), y[0], y[1], y[2], y[3], real_of(p, y));
    error = "";
  }
  return error != NULL;
}

static int check_primitives(Arena *a) {
  static _Alignas(64) uint32_t in[2 * INPUTS * COUNT];
  Probes all = all_probes(a);
  Buf text = {0};
  void *code, *module;
  int bad = 0;
  write_probes(a, &text, &all);
  const char *error = simulated_load(text.text, text.n, &code);
  if (!error) error = device_load(a, text.text, &module);
  if (error) ice("%s", error);
  fill(in, 2 * INPUTS * COUNT);
  for (int i = 0; i < all.n; i++)
    if (!all.at[i].on_90a || !strcmp(device_arch(), "sm_90a")) bad += compare(module, code, &all.at[i], in);
  for (int i = 0; i < PRIMITIVES; i++) {
    bool asked = false;
    for (int j = 0; j < all.n && !asked; j++) {
      const char *at = strstr(all.at[j].body, primitives[i].name);
      asked = at && at[strlen(primitives[i].name)] == '(';
    }
    if (!asked) printf("%s: no probe has it\n", primitives[i].name), bad++;
  }
  printf("%d primitives, %d probes, %d differ\n", PRIMITIVES, all.n, bad);
  device_unload(module);
  buf_free(&text);
  return bad;
}

int device_times(Arena *a, int size);

int main(int argc, char **argv) {
  Arena *a = arena_new();
  const char *what = argc > 1 ? argv[1] : "";
  int bad = 0;
  if (!strcmp(what, "text")) {
    Probes all = all_probes(a);
    Buf text = {0};
    write_probes(a, &text, &all);
    fputs(text.text, stdout);
    buf_free(&text);
  } else {
    const char *error = device_open();
    if (error) ice("%s", error);
    if (!strcmp(what, "describe")) device_describe();
    else if (!strcmp(what, "primitives")) bad = check_primitives(a);
    else if (!strcmp(what, "times")) bad = device_times(a, argc > 2 ? atoi(argv[2]) : 4096);
    else bad = 1;
  }
  arena_free(a);
  return bad != 0;
}
