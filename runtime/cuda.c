/* cuda.c - runs on an NVIDIA GPU, by the driver's library, which is loaded when the program starts (cuda_open.c).
 *
 * A program without a GPU pays nothing for this file: it is not linked. One with a GPU is linked so that calls of
 * some functions of the runtime come here instead (codegen/link.c: --wrap); `__real_` is the function itself. The
 * device has a copy of the model's variables and of the arena, at the same offsets. A run copies its inputs there,
 * launches its kernels, and copies its outputs back to where the host reads them; the variables stay until the host
 * asks. The launches of a run are one CUDA graph, replayed as long as its sizes do not change.
 *
 * A training's steps are under way while the host makes the next batch (NnrtRun.late): each has a place in a ring of
 * pinned memory for what goes in and what comes out. A stream of its own copies the inputs to the device while the
 * step before computes, and the host asks for the outputs two steps later. */
#include "runtime/cuda_driver.h"
#include "runtime/run.h"
#include "runtime/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCKS = 4096 };

typedef struct Mirror { /* of a model, on the device */
  struct Mirror *next;
  const NnrtModel *model;
  Address variables, arena;
  int64_t arena_bytes, arenas;         /* how many there were */
  bool host_is_newer, device_is_newer; /* the variables */
} Mirror;

enum { LATE = 2, RING = LATE + 1, REPLAYS = 4 /* of a run */, ROOM = 256, NO_TIMING = 2, NOT_READY = 600 };
enum { MOST_STAGED = 64 << 20 /* bytes: larger inputs are copied from where they are */ };

typedef struct HostMemory { /* pinned, or what the host waits for: there is no more that can be pinned */
  char *at;
  bool pinned;
} HostMemory;

typedef struct Stage { /* of a run under way */
  HostMemory in, out;  /* in: none for large inputs */
  Address staged;      /* inputs on the device, before the step before them is done with its own */
  void *copied, *done; /* events: the inputs are there; the outputs are here */
} Stage;

typedef struct Replay { /* the launches of a run, with the sizes that it was bound to */
  struct Replay *next;
  const NnrtRun *run;
  const NnrtGraph *graph;
  Mirror *mirror;
  int64_t *dims, arena; /* arena: the number of the mirror's */
  Address *buffers;     /* of graph->buffers */
  Address inputs;       /* of graph->inputs, one after the other: its own memory */
  int64_t in_bytes;
  Stage ring[RING];       /* none before a run is late */
  int64_t goes;           /* late ones */
  void *exec;             /* NULL: a loop may end early, or kernels are checked, so each is launched */
  Address maps, *at_maps; /* of tensors: all, and where each is */
} Replay;

static struct {
  Address scratch;
  int64_t scratch_bytes;
  Mirror *mirrors;
  Replay *replays, *going;
} own;

static void download(void *to, Address from, int64_t bytes) {
  if (bytes > 0)
    nnrt_gpu_must(nnrt_gpu.cuMemcpyDtoHAsync_v2(to, from, (size_t)bytes, nnrt_gpu.stream), "a copy from the device");
}

static void finish(void) { nnrt_gpu_must(nnrt_gpu.cuStreamSynchronize(nnrt_gpu.stream), "a kernel"); }

/* ---- a model on the device ---- */

static Mirror *mirror_of(const NnrtModel *m) {
  for (Mirror *x = own.mirrors; x; x = x->next)
    if (x->model == m) return x;
  return NULL;
}

static Mirror *make_mirror(const NnrtModel *m) {
  Mirror *x = mirror_of(m);
  if (!x) {
    x = nnrt_gpu_needed(calloc(1, sizeof *x), "the model");
    *x = (Mirror){.next = own.mirrors, .model = m, .host_is_newer = true};
    x->variables = nnrt_gpu_allocate(m->total, "the model");
    own.mirrors = x;
  }
  if (x->host_is_newer) nnrt_gpu_upload(x->variables, m->block, m->total);
  x->host_is_newer = false;
  if (x->arena_bytes >= m->arena_bytes && x->arena) return x;
  if (x->arena) nnrt_gpu_must(nnrt_gpu.cuMemFree_v2(x->arena), "the arena");
  x->arena = nnrt_gpu_allocate(m->arena_bytes, "the arena");
  x->arena_bytes = m->arena_bytes;
  x->arenas++;
  return x;
}

/* The host's variables as the device has them. */
static void fetch(const NnrtModel *m) {
  Mirror *x = mirror_of(m);
  if (!x || !x->device_is_newer) return;
  download(m->block, x->variables, m->total);
  finish();
  x->device_is_newer = false;
}

static void host_changed(const NnrtModel *m) {
  Mirror *x = mirror_of(m);
  if (x) x->host_is_newer = true;
}

int __real_nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e);
int __wrap_nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e);
int __wrap_nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e) {
  fetch(m);
  host_changed(m);
  return __real_nnrt_model_init(m, graph, seed, e);
}

int __real_nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e);
int __wrap_nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e);
int __wrap_nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e) {
  fetch(m);
  host_changed(m);
  return __real_nnrt_checkpoint_load(m, s, what, e);
}

int __real_nnrt_states_load(NnrtModel *m, const int64_t *which, int64_t n, const NnrtSafetensors *s, NnrtError *e);
int __wrap_nnrt_states_load(NnrtModel *m, const int64_t *which, int64_t n, const NnrtSafetensors *s, NnrtError *e);
int __wrap_nnrt_states_load(NnrtModel *m, const int64_t *which, int64_t n, const NnrtSafetensors *s, NnrtError *e) {
  fetch(m);
  host_changed(m);
  return __real_nnrt_states_load(m, which, n, s, e);
}

int __real_nnrt_states_save(const NnrtModel *m, const int64_t *which, int64_t n, const char *path, NnrtError *e);
int __wrap_nnrt_states_save(const NnrtModel *m, const int64_t *which, int64_t n, const char *path, NnrtError *e);
int __wrap_nnrt_states_save(const NnrtModel *m, const int64_t *which, int64_t n, const char *path, NnrtError *e) {
  fetch(m);
  return __real_nnrt_states_save(m, which, n, path, e);
}

int __real_nnrt_training_keep_best(NnrtTraining *t);
int __wrap_nnrt_training_keep_best(NnrtTraining *t);
int __wrap_nnrt_training_keep_best(NnrtTraining *t) {
  fetch(&t->model);
  return __real_nnrt_training_keep_best(t);
}

int __real_nnrt_training_save(NnrtTraining *t);
int __wrap_nnrt_training_save(NnrtTraining *t);
int __wrap_nnrt_training_save(NnrtTraining *t) {
  fetch(&t->model);
  return __real_nnrt_training_save(t);
}

/* ---- a run ---- */

static int64_t poly(const int64_t *terms, int64_t n, const NnrtRun *r) { return nnrt_poly(terms, n, r->dims); }

static int64_t bytes_of(const NnrtRun *r, int64_t buffer) {
  return poly(r->graph->buffers[buffer].bytes, r->graph->buffers[buffer].n_bytes, r);
}

static bool is_same(const Replay *x, const NnrtRun *r, const Mirror *m) {
  return x->run == r && x->graph == r->graph && x->mirror == m && x->arena == m->arenas &&
         !memcmp(x->dims, r->dims, (size_t)r->graph->n_dims * sizeof *r->dims);
}

static bool is_input(const NnrtRun *r, int64_t buffer) { return r->graph->buffers[buffer].place == NNRT_INPUT; }

static int64_t room_for(const NnrtRun *r, int64_t buffer) { return (bytes_of(r, buffer) + ROOM - 1) / ROOM * ROOM; }

typedef void EachBuffer(void *cx, int64_t buffer, int64_t at);

/* Calls f for each input's buffer, and its place where they lie one after the other; returns their bytes. */
static int64_t each_input(const NnrtRun *r, EachBuffer *f, void *cx) {
  int64_t at = 0;
  for (int64_t i = 0; i < r->graph->n_buffers; i++) {
    if (!is_input(r, i)) continue;
    if (f) f(cx, i, at);
    at += room_for(r, i);
  }
  return at;
}

/* The same of outputs. They lie in the host's arena where the device has them in its own. */
static int64_t each_output(const NnrtRun *r, EachBuffer *f, void *cx) {
  int64_t at = 0;
  for (int64_t i = 0; i < r->graph->n_outputs; i++) {
    int64_t b = r->graph->outputs[i].buffer;
    if (b < 0 || is_input(r, b) || r->graph->buffers[b].place == NNRT_CONST) continue;
    if (f) f(cx, b, at);
    at += room_for(r, b);
  }
  return at;
}

static void place_input(void *cx, int64_t buffer, int64_t at) {
  Replay *x = cx;
  x->buffers[buffer] = x->inputs + (Address)at;
}

static void place(Replay *x, const NnrtRun *r) {
  const NnrtModel *m = r->model;
  x->in_bytes = each_input(r, NULL, NULL);
  if (x->in_bytes) x->inputs = nnrt_gpu_allocate(x->in_bytes, "the inputs");
  each_input(r, place_input, x);
  for (int64_t i = 0; i < r->graph->n_buffers; i++) {
    const NnrtBuffer *b = &r->graph->buffers[i];
    switch ((NnrtPlace)b->place) {
    case NNRT_INPUT: break;
    case NNRT_PARAM:
    case NNRT_STATE:
      x->buffers[i] = x->mirror->variables + (Address)((char *)m->variables[b->index] - (char *)m->block);
      break;
    case NNRT_CONST: x->buffers[i] = nnrt_gpu.constants[b->index]; break;
    case NNRT_ARENA: x->buffers[i] = x->mirror->arena + (Address)poly(b->offset, b->n_offset, r); break;
    }
  }
}

static HostMemory host_memory(int64_t bytes) {
  void *at = NULL;
  size_t n = (size_t)(bytes > 0 ? bytes : 1);
  if (!nnrt_gpu.cuMemHostAlloc(&at, n, 0)) return (HostMemory){at, true};
  return (HostMemory){nnrt_gpu_needed(malloc(n), "a batch"), false};
}

static void drop_memory(HostMemory m) {
  if (m.pinned) nnrt_gpu_must(nnrt_gpu.cuMemFreeHost(m.at), "pinned memory");
  else free(m.at);
}

static void drop_stage(Stage *s) {
  if (!s->done) return;
  drop_memory(s->in);
  drop_memory(s->out);
  if (s->staged) nnrt_gpu_must(nnrt_gpu.cuMemFree_v2(s->staged), "the inputs");
  nnrt_gpu_must(nnrt_gpu.cuEventDestroy_v2(s->copied), "an event");
  nnrt_gpu_must(nnrt_gpu.cuEventDestroy_v2(s->done), "an event");
}

static const NnrtCudaLaunch *launch_of(const NnrtRun *r, int64_t i) {
  return &nnrt_gpu_launches(&nnrt_cuda.graphs[r->graph - r->model->program->graphs])[i];
}

/* ---- maps of tensors, of which kernels copy boxes ---- */

typedef struct Map {
  _Alignas(64) char bytes[128];
} Map;

/* Elements side by side first; rows of 128 bytes whose chunks are exchanged; outside is 0. One without elements is
 * not asked for any. */
static void encode(const NnrtRun *r, const NnrtCudaMap *m, Address base, Map *out) {
  enum { RANK = 5, CHUNKS_EXCHANGED = 3, LINES_OF_128 = 2 };
  uint64_t extent[RANK], step[RANK];
  unsigned box[RANK], ones[RANK];
  for (int64_t d = 0; d < m->n_dims; d++) {
    int64_t n = poly(m->dims[d].extent, m->dims[d].n_extent, r);
    extent[d] = n > 0 ? (uint64_t)n : 1;
    if (d) step[d - 1] = (uint64_t)poly(m->dims[d].step, m->dims[d].n_step, r);
    box[d] = (unsigned)m->dims[d].box;
    ones[d] = 1;
  }
  nnrt_gpu_must(nnrt_gpu.cuTensorMapEncodeTiled(out, (int)m->type, (unsigned)m->n_dims,
                                                (void *)(uintptr_t)(base + (Address)m->first), extent, step, box,
                                                ones, 0, CHUNKS_EXCHANGED, LINES_OF_128, 0),
                "a map");
}

/* Calls put for each map of the graph's kernels; how many there are. */
static int64_t each_map(const NnrtRun *r, const Replay *x, Map *out) {
  int64_t n = 0;
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    const NnrtCudaLaunch *l = launch_of(r, i);
    for (int64_t j = 0; j < l->n_maps; j++, n++)
      if (out) encode(r, &l->maps[j], x->buffers[r->graph->launches[i].buffers[l->maps[j].operand]], &out[n]);
  }
  return n;
}

static void make_maps(const NnrtRun *r, Replay *x) {
  int64_t n = each_map(r, x, NULL), bytes = n * (int64_t)sizeof(Map);
  if (n == 0) return;
  Map *maps = nnrt_gpu_needed(aligned_alloc(sizeof(Map), (size_t)bytes), "maps");
  each_map(r, x, maps);
  x->maps = nnrt_gpu_allocate(bytes, "maps");
  x->at_maps = nnrt_gpu_needed(calloc((size_t)n, sizeof *x->at_maps), "maps");
  for (int64_t i = 0; i < n; i++) x->at_maps[i] = x->maps + (Address)(i * (int64_t)sizeof(Map));
  nnrt_gpu_upload(x->maps, maps, bytes);
  finish();
  free(maps);
}

static void drop(Replay *x) {
  if (x->maps) nnrt_gpu_must(nnrt_gpu.cuMemFree_v2(x->maps), "maps");
  free(x->at_maps);
  for (int i = 0; i < RING; i++) drop_stage(&x->ring[i]);
  if (x->inputs) nnrt_gpu_must(nnrt_gpu.cuMemFree_v2(x->inputs), "the inputs");
  if (x->exec) nnrt_gpu_must(nnrt_gpu.cuGraphExecDestroy(x->exec), "a graph");
  free(x->dims);
  free(x->buffers);
  free(x);
}

/* Those of other sizes stay, as a short last batch comes again in each epoch; but not all that there ever were. */
static void drop_old(const NnrtRun *r, const Mirror *m) {
  int kept = 0;
  for (Replay **at = &own.replays; *at;) {
    Replay *x = *at;
    bool fits = x->graph == r->graph && x->mirror == m && x->arena == m->arenas;
    if (x->run != r || (fits && ++kept < REPLAYS)) {
      at = &x->next;
      continue;
    }
    *at = x->next;
    drop(x);
  }
}

static Replay *find_replay(const NnrtRun *r, const Mirror *m) {
  for (Replay *x = own.replays; x; x = x->next)
    if (is_same(x, r, m)) return x;
  return NULL;
}

static Replay *make_replay(const NnrtRun *r, Mirror *m) {
  Replay *x = find_replay(r, m);
  if (x) return x;
  finish();
  drop_old(r, m);
  x = nnrt_gpu_needed(calloc(1, sizeof *x), "a run");
  *x = (Replay){.next = own.replays, .run = r, .graph = r->graph, .mirror = m, .arena = m->arenas};
  x->dims = nnrt_gpu_needed(calloc((size_t)r->graph->n_dims + 1, sizeof *x->dims), "a run");
  x->buffers = nnrt_gpu_needed(calloc((size_t)r->graph->n_buffers + 1, sizeof *x->buffers), "a run");
  memcpy(x->dims, r->dims, (size_t)r->graph->n_dims * sizeof *x->dims);
  place(x, r);
  make_maps(r, x);
  own.replays = x;
  return x;
}

static int64_t blocks_of(const NnrtRun *r, const NnrtCudaLaunch *l) {
  int64_t parts = poly(l->parts, l->n_parts, r), most = l->stays ? nnrt_gpu.processors : MOST_BLOCKS;
  return parts < most ? parts : most;
}

/* Before a graph is captured, in which nothing may be allocated; one that was captured keeps the old memory. */
static void reserve_scratch(const NnrtRun *r) {
  int64_t most = 0;
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    const NnrtCudaLaunch *l = launch_of(r, i);
    int64_t bytes = poly(l->scratch, l->n_scratch, r) * blocks_of(r, l);
    if (bytes > most) most = bytes;
  }
  if (most <= own.scratch_bytes) return;
  own.scratch = nnrt_gpu_allocate(most, "scratch memory");
  own.scratch_bytes = most;
}

void __real_nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step);
void __wrap_nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step);

static void launch(const NnrtRun *r, int64_t i, int64_t step) {
  const NnrtCudaLaunch *l = launch_of(r, i);
  const NnrtLaunch *row = &r->graph->launches[i];
  const char *name = row->name ? row->name : l->symbol;
  int64_t blocks = blocks_of(r, l);
  void **arguments = nnrt_gpu.arguments;
  int n = 0;
  if (blocks <= 0) return;
  for (int64_t b = 0; b < row->n_buffers; b++) arguments[n++] = &own.going->buffers[row->buffers[b]];
  for (int d = 0; d < r->n_open; d++) arguments[n++] = &r->dims[d];
  arguments[n++] = &step;
  arguments[n++] = &own.scratch;
  for (int64_t j = 0; j < l->n_maps; j++) arguments[n++] = &own.going->at_maps[l->maps[j].number];
  for (int64_t j = 0; j < l->n_numbers; j++) arguments[n++] = (void *)(uintptr_t)&l->numbers[j];
  void *f = nnrt_gpu.functions[r->graph - r->model->program->graphs][i];
  nnrt_gpu_must(nnrt_gpu.cuLaunchKernel(f, (unsigned)blocks, 1, 1, (unsigned)l->threads, 1, 1, (unsigned)l->shared,
                                        nnrt_gpu.stream, arguments, NULL),
                name);
  if (nnrt_gpu.checks) nnrt_gpu_must(nnrt_gpu.cuStreamSynchronize(nnrt_gpu.stream), name);
}

void __wrap_nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step) {
  if (nnrt_gpu.on && own.going) launch(r, i, step);
  else __real_nnrt_run_launch(r, i, step);
}

static bool may_end_early(const NnrtGraph *g) {
  for (int64_t i = 0; i < g->n_loops; i++)
    if (g->loops[i].ends) return true;
  return false;
}

void __real_nnrt_run_go(NnrtRun *r);
void __wrap_nnrt_run_go(NnrtRun *r);

static void capture(NnrtRun *r, Replay *x) {
  void *graph = NULL;
  nnrt_gpu_must(nnrt_gpu.cuStreamBeginCapture_v2(nnrt_gpu.stream, 0), "a graph");
  __real_nnrt_run_go(r);
  nnrt_gpu_must(nnrt_gpu.cuStreamEndCapture(nnrt_gpu.stream, &graph), "a graph");
  nnrt_gpu_must(nnrt_gpu.cuGraphInstantiateWithFlags(&x->exec, graph, 0), "a graph");
  nnrt_gpu_must(nnrt_gpu.cuGraphDestroy(graph), "a graph");
}

/* ---- runs under way ---- */

typedef struct Going {
  NnrtRun *run;
  Replay *replay;
  Stage *stage; /* NULL: the host waits */
} Going;

static void send_input(void *cx, int64_t buffer, int64_t at) {
  const Going *g = cx;
  const void *from = g->run->inputs[g->run->graph->buffers[buffer].index];
  int64_t bytes = bytes_of(g->run, buffer);
  if (!g->stage || !g->stage->in.at) nnrt_gpu_upload(g->replay->buffers[buffer], from, bytes);
  else if (bytes > 0 && from) memcpy(g->stage->in.at + at, from, (size_t)bytes);
}

static void get_output(void *cx, int64_t buffer, int64_t at) {
  const Going *g = cx;
  download(g->stage ? (void *)(g->stage->out.at + at) : g->run->buffers[buffer], g->replay->buffers[buffer],
           bytes_of(g->run, buffer));
}

static void take_output(void *cx, int64_t buffer, int64_t at) {
  const Going *g = cx;
  memcpy(g->run->buffers[buffer], g->stage->out.at + at, (size_t)bytes_of(g->run, buffer));
}

static void open_ring(const NnrtRun *r, Replay *x) {
  for (int i = 0; i < RING && !x->ring[i].done; i++) {
    Stage *s = &x->ring[i];
    s->out = host_memory(each_output(r, NULL, NULL));
    if (x->in_bytes && x->in_bytes <= MOST_STAGED) {
      s->in = host_memory(x->in_bytes);
      s->staged = nnrt_gpu_allocate(x->in_bytes, "a batch");
    }
    nnrt_gpu_must(nnrt_gpu.cuEventCreate(&s->copied, NO_TIMING), "an event");
    nnrt_gpu_must(nnrt_gpu.cuEventCreate(&s->done, NO_TIMING), "an event");
  }
}

static void wait_for(void *event) {
  int status = nnrt_gpu.cuEventQuery(event);
  nnrt_gpu_must(status == NOT_READY ? nnrt_gpu.cuEventSynchronize(event) : status, "a step");
}

static Stage *next_stage(const NnrtRun *r, Replay *x) {
  if (!r->late) return NULL;
  open_ring(r, x);
  Stage *s = &x->ring[x->goes++ % RING];
  if (x->goes > RING)
    wait_for(s->done); /* whose memory this was: it has arrived, if not more than LATE are under way */
  return s;
}

static void send_inputs(Going *g) {
  const Replay *x = g->replay;
  const Stage *s = g->stage;
  each_input(g->run, send_input, g);
  if (!s || !s->in.at) return;
  nnrt_gpu_must(nnrt_gpu.cuMemcpyHtoDAsync_v2(s->staged, s->in.at, (size_t)x->in_bytes, nnrt_gpu.copies), "a batch");
  nnrt_gpu_must(nnrt_gpu.cuEventRecord(s->copied, nnrt_gpu.copies), "a batch");
  nnrt_gpu_must(nnrt_gpu.cuStreamWaitEvent(nnrt_gpu.stream, s->copied, 0), "a batch");
  nnrt_gpu_must(nnrt_gpu.cuMemcpyDtoDAsync_v2(x->inputs, s->staged, (size_t)x->in_bytes, nnrt_gpu.stream), "a batch");
}

static void compute(NnrtRun *r, Replay *x) {
  if (!x->exec && !may_end_early(r->graph) && !nnrt_gpu.checks) capture(r, x);
  if (x->exec) nnrt_gpu_must(nnrt_gpu.cuGraphLaunch(x->exec, nnrt_gpu.stream), r->graph->name);
  else __real_nnrt_run_go(r);
}

void __wrap_nnrt_run_go(NnrtRun *r) {
  if (!nnrt_gpu.on) {
    __real_nnrt_run_go(r);
    return;
  }
  Mirror *m = make_mirror(r->model);
  Replay *x = own.going = make_replay(r, m);
  reserve_scratch(r);
  Going g = {r, x, next_stage(r, x)};
  send_inputs(&g);
  compute(r, x);
  each_output(r, get_output, &g);
  if (g.stage) nnrt_gpu_must(nnrt_gpu.cuEventRecord(g.stage->done, nnrt_gpu.stream), "a step");
  else finish();
  own.going = NULL;
  if (r->graph->n_stored) m->device_is_newer = true;
}

int __wrap_nnrt_run_most_late(const NnrtRun *r);
int __wrap_nnrt_run_most_late(const NnrtRun *r) {
  (void)r;
  return nnrt_gpu.on ? LATE : 0;
}

void __wrap_nnrt_run_arrive(NnrtRun *r, int back);
void __wrap_nnrt_run_arrive(NnrtRun *r, int back) {
  const Mirror *m = nnrt_gpu.on ? mirror_of(r->model) : NULL;
  Replay *x = m ? find_replay(r, m) : NULL;
  if (!x || x->goes <= back) return;
  Going g = {r, x, &x->ring[(x->goes - 1 - back) % RING]};
  wait_for(g.stage->done);
  each_output(r, take_output, &g);
}

/* ---- loops that may end early ---- */

bool __real_nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step);
bool __wrap_nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step);

static void fetch_buffer(const NnrtRun *r, int64_t b) {
  download(r->buffers[b], own.going->buffers[b], bytes_of(r, b));
}

/* Asked of the host's copy; what it writes goes back. */
bool __wrap_nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step) {
  if (!own.going) return __real_nnrt_loop_ends(r, l, steps, step);
  fetch_buffer(r, l->counts);
  for (int64_t i = 0; i < l->n_rows; i += 2) fetch_buffer(r, l->rows[i]);
  finish();
  if (!__real_nnrt_loop_ends(r, l, steps, step)) return false;
  for (int64_t i = 0; i < l->n_rows; i += 2)
    nnrt_gpu_upload(own.going->buffers[l->rows[i]], r->buffers[l->rows[i]], bytes_of(r, l->rows[i]));
  return true;
}

void __real_nnrt_model_close(NnrtModel *m);
void __wrap_nnrt_model_close(NnrtModel *m);

/* Runs of a model that is gone are not replayed: another may have its address. */
void __wrap_nnrt_model_close(NnrtModel *m) {
  for (Mirror **x = &own.mirrors; *x;) {
    Mirror *old = *x;
    if (old->model != m) {
      x = &old->next;
      continue;
    }
    for (Replay **y = &own.replays; *y;) {
      Replay *run = *y;
      if (run->mirror != old) {
        y = &run->next;
        continue;
      }
      *y = run->next;
      drop(run);
    }
    *x = old->next;
    nnrt_gpu_must(nnrt_gpu.cuMemFree_v2(old->variables), "the model");
    if (old->arena) nnrt_gpu_must(nnrt_gpu.cuMemFree_v2(old->arena), "the arena");
    free(old);
  }
  __real_nnrt_model_close(m);
}
