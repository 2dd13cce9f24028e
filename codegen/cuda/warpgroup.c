/* warpgroup.c - sums of products of bf16 or f16 values on sm_90a: a block is a group of four warps that brings slices
 * of K to a ring of stages in shared memory, and one or two groups that multiply them, each 64 rows of the tile. Who
 * brings and who multiplies wait for each other at barriers, one for a stage that is full and one for a stage that is
 * empty again, and never all together. A stage is given back when the products after those that read it have begun:
 * so one slice's are always going on.
 *
 * Results that lie in memory as a tensor, and take little to be made of the sums, go from registers to panels in
 * shared memory and leave in boxes, while the next tile's products go on; others go through a stage (contraction.c).
 *
 * Blocks stay and take one tile after the other; the ring does not notice. Roles, ring and the moment of release as
 * in CUTLASS's persistent warp-specialised kernels; tiles by the model of mma.c. */
#include "codegen/cuda/slice.h"
#include "ir/gpu_tile.h"

enum {
  GROUP = 128, /* threads */
  UNIT_M = 64,
  MOST_SHARED = 227 << 10, /* bytes that a block may have */
  BARRIERS = 1024,         /* bytes before the tiles, which begin at multiples of it */
  MOST_STAGES = 6,
  PANEL = 64 * ROW /* bytes: 64 lines, or 64 steps of K and 64 lines */
};

typedef struct Groups {
  Product *p;
  Text *t;
  Slices s;
  int multiply; /* groups that multiply */
  int stages;
  const Operand *by_threads[2], *in_boxes[2]; /* which operands come how, by their number or that of a map */
  int n_by_threads, n_in_boxes;
  bool copied;          /* some operand comes by copies of threads */
  const Member *direct; /* what leaves in boxes; NULL: results go through a stage */
  int results, panels;  /* where the groups' memory for it begins; 64 lines each, of a group */
  Stage stage;          /* of a group's results */
} Groups;

bool warpgroup_takes(const Product *p) {
  DType type = product_factors(p);
  return (type == DT_bf16 || type == DT_f16) && !product_mask_uses_k(p);
}

/* ---- tiles ---- */

static Groups groups_of(Product *p) {
  static const int lines_m[] = {64, 128, 0}, lines_n[] = {64, 128, 256, 0};
  product_choose_tile(p, lines_m, lines_n, GPU_EDGE_OF_GROUP);
  Groups x = {.p = p, .t = p->t, .s = slices_of(p, GROUP), .multiply = p->tile_m / UNIT_M};
  x.s.brings = true;
  x.stages = (MOST_SHARED - BARRIERS) / ((p->tile_m + p->tile_n) * ROW);
  if (x.stages > MOST_STAGES) x.stages = MOST_STAGES;
  p->rows = 2, p->columns = p->tile_n / 4; /* of a thread */
  return x;
}

static const char *stage_of(Groups *x, const char *turn) { return text_printf(x->t, "(%s %% %d)", turn, x->stages); }
static const char *round_of(Groups *x, const char *turn) {
  return text_printf(x->t, "(%s / %d %% 2)", turn, x->stages);
}

/* ---- slices come ---- */

/* What was brought before the last group of copies is there, for products too. */
static void hand_over(Groups *x, int going, const char *turn) {
  if (x->copied) text_line(x->t, "nn_copies_wait(%d);", going);
  text_line(x->t, "nn_written();");
  text_line(x->t, "nn_arrive(&full[%s]);", stage_of(x, turn));
}

static const char *place_of(Groups *x, const Operand *o) {
  return text_printf(x->t, "(%s_tile + turn %% %d * %d)", o->name, x->stages, o->lines * ROW);
}

/* The tile has to be open: boxes are told by where it begins. */
static void choose_ways(Groups *x) {
  const Operand *both[] = {&x->s.a, &x->s.b};
  x->n_by_threads = x->n_in_boxes = 0;
  for (int i = 0; i < 2; i++) {
    if (box_of(&x->s, both[i], &x->t->how.maps[x->n_in_boxes])) x->in_boxes[x->n_in_boxes++] = both[i];
    else x->by_threads[x->n_by_threads++] = both[i];
  }
  x->t->how.n_maps = x->n_in_boxes;
  x->copied = false;
  for (int i = 0; i < x->n_by_threads; i++) x->copied |= slice_is_copied(x->by_threads[i]);
}

/* Across K a box is a panel of 64 lines. */
static void bring_boxes(Groups *x, int number) {
  Text *t = x->t;
  const Operand *o = x->in_boxes[number];
  const CudaMap *m = &t->how.maps[number];
  int panels = o->way == ACROSS_K ? o->lines / 64 : 1;
  for (int i = 0; i < panels; i++) {
    const char *at = text_printf(t, "(int)(%s + %d)", m->coordinate[0], i * 64);
    for (int d = 1; d < m->rank; d++) at = text_printf(t, "%s, (int)(%s)", at, m->coordinate[d]);
    text_line(t, "nn_box_%d(%s + %d, map%d, &full[%s], %s);", m->rank, place_of(x, o), i * PANEL, number,
              stage_of(x, "turn"), at);
  }
}

static void begin_boxes(Groups *x) {
  Text *t = x->t;
  int bytes = 0;
  for (int i = 0; i < x->n_in_boxes; i++) bytes += x->in_boxes[i]->lines * ROW;
  if (x->n_in_boxes == 0) return;
  text_open(t, "if (nn_thread() == 0)");
  text_line(t, "nn_expect(&full[%s], %d);", stage_of(x, "turn"), bytes);
  for (int i = 0; i < x->n_in_boxes; i++) bring_boxes(x, i);
  text_close(t);
}

static void open_tiles(Groups *x) {
  text_line(x->t, "int turn = 0;"); /* slices of all tiles */
  product_tiles(x->p);
  x->s.a.first = x->p->m0;
  x->s.b.first = x->p->n0;
}

static void bring_slice(Groups *x) {
  Text *t = x->t;
  text_line(t, "nn_wait(&empty[%s], 1 - %s);", stage_of(x, "turn"), round_of(x, "turn"));
  begin_boxes(x);
  if (x->n_by_threads == 0) return;
  for (int i = 0; i < x->n_by_threads; i++)
    slice_begin(&x->s, x->by_threads[i], "slice", place_of(x, x->by_threads[i]));
  if (x->copied) text_line(t, "nn_copies_commit();");
  text_open(t, "if (turn > 0)");
  hand_over(x, 1, "(turn - 1)");
  text_close(t);
}

static void bring(Groups *x) {
  Text *t = x->t;
  open_tiles(x);
  choose_ways(x);
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int slice = 0; slice < %s; slice++, turn++)", slices_count(&x->s));
  bring_slice(x);
  text_close(t);
  text_close(t);
  if (x->n_by_threads == 0) return;
  text_open(t, "if (turn > 0)");
  hand_over(x, 0, "(turn - 1)");
  text_close(t);
}

/* ---- and are multiplied ---- */

/* The operand's tile from step of K `step` on; the part of this group, if it is the left one. */
static const char *tile_word(Groups *x, const Operand *o, const char *from) {
  bool across = o->way == ACROSS_K;
  return text_printf(x->t, "nn_tile_word(%s + step * %d, %d)", from, across ? 16 * ROW : 2 * CHUNK,
                     across ? PANEL : CHUNK);
}

static void multiply(Groups *x) {
  Text *t = x->t;
  const Operand *a = &x->s.a, *b = &x->s.b;
  text_line(t, "nn_wait(&full[%s], %s);", stage_of(x, "turn"), round_of(x, "turn"));
  text_line(t, "char *left_now = left_tile + turn %% %d * %d + (nn_thread() / %d - 1) * %d;", x->stages,
            a->lines * ROW, GROUP, PANEL);
  text_line(t, "char *right_now = right_tile + turn %% %d * %d;", x->stages, b->lines * ROW);
  text_line(t, "nn_group_begin();");
  text_line(t, "NN_UNROLL");
  text_line(t, "for (int step = 0; step < %d; step++) NN_GROUP_PRODUCTS_%d(\"%s\", \"%d\", \"%d\", sum, %s, %s);",
            STEPS, b->lines, dtype_name(x->s.type), a->way == ACROSS_K, b->way == ACROSS_K,
            tile_word(x, a, "left_now"), tile_word(x, b, "right_now"));
  text_line(t, "nn_group_commit();");
}

/* The stage before, when no more than this many slices' products go on. */
static void give_back(Groups *x, int going, const char *when) {
  text_line(x->t, "nn_group_wait(%d);", going); /* never in a branch: the assembler would wait by itself */
  text_line(x->t, "if (%s && nn_thread() %% %d == 0) nn_arrive(&empty[%s]);", when, GROUP, stage_of(x, "(turn - 1)"));
}

/* ---- and leave ---- */

/* Of a panel of the group's rows the first coordinate, from which the others follow. */
static bool choose_direct(Groups *x) {
  CudaMap *map = &x->t->how.maps[x->n_in_boxes];
  const char *first = text_printf(x->t, "%s + (nn_thread() / %d - 1) * %d", x->p->m0, GROUP, UNIT_M);
  x->direct = product_direct(x->p);
  if (x->direct && !box_of_result(x->p, x->direct, UNIT_M, first, x->p->n0, map)) x->direct = NULL;
  x->t->how.n_maps = x->n_in_boxes + (x->direct != NULL);
  return x->direct != NULL;
}

static int panel_columns(const Groups *x) {
  return ROW
  / dtype_bytes(x->direct->node->dtype);
}

/* Column c of the panel's, row r of the thread's; beyond the end, what is read is that of the last one. */
static void bind_position(Groups *x, const char *r, const char *c) {
  Text *t = x->t;
  const Product *p = x->p;
  const Slots *slots[] = {&p->m, &p->n};
  const char *at[] = {
      text_printf(t, "%s + nn_thread() / 32 * 16 - %d + nn_thread() %% 32 / 4 + %s * 8", p->m0, UNIT_M, r),
      text_printf(t, "%s + panel * %d + nn_thread() %% 4 * 2 + %s", p->n0, panel_columns(x), c)};
  for (int i = 0; i < 2; i++) {
    const char *name = text_name(t, 'x'), *type = text_index_type(slots[i]->volume),
               *end = text_dim(t, slots[i]->volume);
    text_line(t, "const %s %s = %s < %s ? %s : %s - 1;", type, name, at[i], end, at[i], end);
    text_positions(t, name, slots[i]->n, slots[i]->var, slots[i]->extent);
  }
}

/* v[2]: of row r, in columns 2 t and 2 t + 1 of the panel's eight number `eight`. */
static void make_pair(Groups *x, const char *r, const char *eight) {
  Text *t = x->t;
  text_line(t, "float v[2];");
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int e = 0; e < 2; e++)");
  bind_position(x, r, text_printf(t, "(%s) * 8 + e", eight));
  product_results(x->p, text_printf(t, "sum[(panel * %d + %s) * 4 + %s * 2 + e]", panel_columns(x) / 8, eight, r),
                  "v[e]");
  text_close(t);
}

/* Columns of two bytes, sixteen at a time, as four matrices. */
static void put_narrow(Groups *x) {
  Text *t = x->t;
  text_open(t, "for (int j = 0; j < %d; j += 2)", panel_columns(x) / 8);
  text_line(t, "u32 word[4];");
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int i = 0; i < 4; i++)");
  make_pair(x, "(i % 2)", "j + i / 2");
  text_line(t, "word[i] = nn_pair_%s(v[0], v[1]);", dtype_name(x->direct->node->dtype));
  text_close(t);
  text_line(t,
            "nn_matrices_put(nn_chunk(to, nn_thread() %% %d / 32 * 16 + nn_thread() %% 16, j + nn_thread() %% 32 / "
            "16), word);",
            GROUP);
  text_close(t);
}

static void put_words(Groups *x) {
  Text *t = x->t;
  text_open(t, "for (int i = 0; i < %d; i++)", panel_columns(x) / 8 * 2);
  make_pair(x, "(i % 2)", "i / 2");
  text_line(t,
            "nn_put_pair(nn_chunk(to, nn_thread() %% %d / 32 * 16 + nn_thread() %% 32 / 4 + i %% 2 * 8, i / 2 * 2 + "
            "nn_thread() %% 4 / 2) + "
            "nn_thread() %% 2 * 8, nn_bits_f32(v[0]), nn_bits_f32(v[1]));",
            GROUP);
  text_close(t);
}

static void put_box(Groups *x) {
  Text *t = x->t;
  const CudaMap *m = &t->how.maps[x->n_in_boxes];
  const char *at = text_printf(t, "(int)(%s + panel * %d)", m->coordinate[0], panel_columns(x));
  for (int d = 1; d < m->rank; d++) at = text_printf(t, "%s, (int)(%s)", at, m->coordinate[d]);
  text_open(t, "if (nn_thread() %% %d == 0)", GROUP);
  text_line(t, "nn_put_box_%d(map%d, to, %s);", m->rank, x->n_in_boxes, at);
  text_line(t, "nn_boxes_commit();");
  text_close(t);
}

/* A panel is filled while those before it are still read. */
static void put_panels(Groups *x) {
  Text *t = x->t;
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int panel = 0; panel < %d; panel++)", x->p->tile_n / panel_columns(x));
  text_line(t, "char *to = panels + panel %% %d * %d;", x->panels, PANEL);
  text_line(t, "if (nn_thread() %% %d == 0) nn_boxes_wait(%d);", GROUP, x->panels - 1);
  text_line(t, "nn_group_sync();");
  text_line(t, "NN_UNROLL");
  if (type_is_narrow(x->direct->node->dtype)) put_narrow(x);
  else put_words(x);
  text_line(t, "nn_written();");
  text_line(t, "nn_group_sync();");
  put_box(x);
  text_close(t);
}

static void begin_panels(Groups *x) {
  text_line(x->t, "char *panels = nn_shared() + %d + (nn_thread() / %d - 1) * %d;", x->results, GROUP,
            x->panels * PANEL);
  text_line(x->t, "if (nn_thread() %% %d == 0) nn_map_begin(map%d);", GROUP, x->n_in_boxes);
}

static void put_results(Groups *x, const char *sum) {
  Text *t = x->t;
  if (x->direct) put_panels(x);
  else
    product_finish(x->p, &x->stage,
                   text_printf(t, "nn_thread() %% %d / 32 * 16 + nn_thread() %% 32 / 4 + r * 8", GROUP),
                   "nn_thread() % 4 * 2 + c / 2 * 8 + c % 2", sum);
}

/* ---- the whole ---- */

static void multiply_tiles(Groups *x) {
  Text *t = x->t;
  if (x->direct) begin_panels(x);
  open_tiles(x);
  if (x->direct) choose_direct(x); /* told by where this tile begins */
  text_line(t, "float sum[%d];", x->p->tile_n / 2);
  static const char *const sum = "sum[c / 2 * 4 + r * 2 + c % 2]";
  product_clear(x->p, sum);
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int slice = 0; slice < %s; slice++, turn++)", slices_count(&x->s));
  multiply(x);
  give_back(x, 1, "slice > 0");
  text_close(t);
  give_back(x, 0, text_printf(t, "%s > 0", slices_count(&x->s)));
  text_line(t, "NN_GROUP_SUMS_%d(sum);", x->p->tile_n);
  put_results(x, sum);
  text_close(t);
  if (x->direct) text_line(t, "if (nn_thread() %% %d == 0) nn_boxes_wait(0);", GROUP);
}

/* Who says that a stage is full: each thread that brings something, and once for the boxes. */
static void begin_barriers(Groups *x) {
  Text *t = x->t;
  int full = (x->n_by_threads ? GROUP : 0) + (x->n_in_boxes ? 1 : 0);
  text_line(t, "u64 *full = (u64 *)nn_shared(), *empty = full + %d;", x->stages);
  text_open(t, "if (nn_thread() == 0)");
  text_open(t, "for (int i = 0; i < %d; i++)", x->stages);
  text_line(t, "nn_barrier(&full[i], %d);", full);
  text_line(t, "nn_barrier(&empty[i], %d);", x->multiply);
  text_close(t);
  text_line(t, "nn_barriers_begin();");
  for (int i = 0; i < x->n_in_boxes; i++) text_line(t, "nn_map_begin(map%d);", i);
  text_close(t);
  text_line(t, "nn_sync();");
}

/* Which operands come in boxes, and whether results leave so, is asked of a tile that is thrown away. */
static void find_ways(Groups *x) {
  Text *t = x->t;
  size_t before = t->out.n;
  open_tiles(x);
  choose_ways(x);
  choose_direct(x);
  text_close(t);
  t->out.n = before;
}

/* Two panels for each group, or as many as a tile has and there is room for. */
static int64_t place_panels(Groups *x, int tiles) {
  int all = x->p->tile_n / panel_columns(x), room = (MOST_SHARED - tiles) / x->multiply / PANEL;
  x->panels = all < 2 || room < 2 ? 1 : 2;
  if (room < 1) ice("there is no room for results");
  x->results = tiles;
  return x->panels * PANEL;
}

/* A group's results go through memory of its own behind the tiles: what is there is not read by other units. */
static int64_t place_results(Groups *x, int tiles) {
  Text *t = x->t;
  if (x->direct) return place_panels(x, tiles);
  x->stage = product_stage(x->p, UNIT_M, (MOST_SHARED - tiles) / x->multiply, "");
  int64_t each = stage_bytes(x->p, &x->stage);
  const char *group = text_printf(t, "(nn_thread() / %d - 1)", GROUP);
  x->stage.threads = GROUP;
  x->stage.thread = text_printf(t, "nn_thread() %% %d", GROUP);
  x->stage.first = text_printf(t, "%s * %d", group, UNIT_M);
  x->stage.sync = "nn_group_sync();";
  x->stage.memory = text_printf(t, "nn_shared() + %d + %s * %d", tiles, group, (int)each);
  return each;
}

void warpgroup_text(Product *p) {
  Text *t = p->t;
  Groups x = groups_of(p);
  int left = x.stages * p->tile_m * ROW;
  int tiles = BARRIERS + left + x.stages * p->tile_n * ROW;
  find_ways(&x);
  t->how.products = STEPS;
  t->how.stays = true;
  t->how.threads = GROUP * (1 + x.multiply);
  int64_t each = place_results(&x, tiles);
  t->how.shared = tiles + x.multiply * each;
  text_line(t, "char *left_tile = nn_shared() + %d, *right_tile = left_tile + %d;", BARRIERS, left);
  begin_barriers(&x);
  bool exchanges = x.multiply == 2 && p->tile_n > 128; /* else an equal share is enough for the sums */
  text_open(t, "if (nn_thread() < %d)", GROUP);
  if (exchanges) text_line(t, "nn_registers_fewer();");
  if (x.n_by_threads == 0) text_open(t, "if (nn_thread() == 0)");
  bring(&x);
  if (x.n_by_threads == 0) text_close(t);
  text_close(t);
  text_open(t, "else");
  if (exchanges) text_line(t, "nn_registers_more();");
  multiply_tiles(&x);
  text_close(t);
}
