/* simulator.c - fibers, meetings, schedules. See simulator.h. */
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SWITCH_START(fake, bottom, size) __sanitizer_start_switch_fiber(fake, bottom, size)
#define SWITCH_END(fake, bottom, size)   __sanitizer_finish_switch_fiber(fake, bottom, size)
#else
#define SWITCH_START(fake, bottom, size) ((void)(bottom))
#define SWITCH_END(fake, bottom, size)   ((void)0)
#endif

enum { STACK = 128 << 10, POISON = 0xff, PAGE = 4096 };

typedef enum State { READY, WAITING, ENDED } State;

typedef struct Fiber {
  void *stack_pointer;
  char *stack;
  void *fake; /* of the sanitizer */
  State state;
  const char *what; /* it waits for */
  const void *on;   /* until it is woken, or NULL: for others to come */
  void *argument;
} Fiber;

static struct {
  SimulatedLaunch launch;
  Fiber fiber[SIMULATED_THREADS];
  void *scheduler; /* its stack pointer */
  const void *scheduler_stack;
  size_t scheduler_size;
  int current, block;
  int in_block, in_warp[SIMULATED_THREADS / WARP], in_group[SIMULATED_THREADS / WARPGROUP]; /* threads that wait for
                                                                               their block, warp, group of warps */
  char *shared;
  uint64_t random;
  char report[400];
  bool failed;
} sim;

/* ---- switching ---- */

/* Keeps what a function's caller may expect to be kept, on the stack that is left. */
void simulator_switch(void **from, void *to);
__asm__(".text\n"
        ".globl simulator_switch\n"
        "simulator_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n");

static void leave_fiber(Fiber *f) {
  SWITCH_START(f->state == ENDED ? NULL : &f->fake, sim.scheduler_stack, sim.scheduler_size);
  simulator_switch(&f->stack_pointer, sim.scheduler);
  SWITCH_END(f->fake, &sim.scheduler_stack, &sim.scheduler_size);
}

static void fiber_main(void) {
  SWITCH_END(NULL, &sim.scheduler_stack, &sim.scheduler_size);
  Fiber *f = &sim.fiber[sim.current];
  sim.launch.call(sim.launch.arguments);
  f->state = ENDED;
  leave_fiber(f);
  abort();
}

static void enter_fiber(int thread) {
  void *fake = NULL;
  Fiber *f = &sim.fiber[thread];
  sim.current = thread;
  SWITCH_START(&fake, f->stack, STACK);
  simulator_switch(&sim.scheduler, f->stack_pointer);
  SWITCH_END(fake, NULL, NULL);
  (void)fake;
}

static void *map(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) abort();
  return p;
}

static void prepare_fiber(Fiber *f) {
  if (!f->stack) f->stack = map(STACK);
  void **top = (void **)(f->stack + STACK) - 2; /* the address to return to is at a multiple of 16 */
  *top = (void *)(uintptr_t)fiber_main;
  f->stack_pointer = top - 6;
  memset(f->stack_pointer, 0, 6 * sizeof *top);
  f->state = READY;
  f->what = NULL;
  f->on = NULL;
}

/* ---- meetings ---- */

int simulated_thread(void) { return sim.current; }
uint64_t simulated_seed(void) { return sim.launch.seed; }
int simulated_block(void) { return sim.block; }
int simulated_blocks(void) { return sim.launch.blocks; }
char *simulated_shared(void) { return sim.shared; }
char *simulated_at(int64_t offset) { return sim.shared + offset; }
int64_t simulated_offset(const void *at) { return (const char *)at - sim.shared; }
int64_t simulated_shared_bytes(void) { return sim.launch.shared; }
bool simulated_is_stack(const void *at) {
  const char *p = at, *stack = sim.fiber[sim.current].stack;
  return p >= stack && p < stack + STACK;
}
void *simulated_argument(int thread) { return sim.fiber[thread].argument; }

void simulated_fault(const char *what) {
  if (!sim.failed) snprintf(sim.report, sizeof sim.report, "block %d, thread %d: %s", sim.block, sim.current, what);
  sim.failed = true;
}

bool simulated_is_shared(const void *at, int64_t bytes, int64_t align) {
  const char *p = at;
  bool inside = p >= sim.shared && p + bytes <= sim.shared + sim.launch.shared;
  if (!inside) simulated_fault("an address that is not in shared memory");
  else if ((p - sim.shared) % align) simulated_fault("an address in shared memory that is not aligned");
  return inside;
}

/* Whether the threads of a group, all of which wait for it, wait for the same. */
static bool agree(int first, int last) {
  for (int i = first + 1; i < last; i++)
    if (strcmp(sim.fiber[i].what, sim.fiber[first].what) != 0) return false;
  return true;
}

static void meet(int first, int last, int *here, const char *what, void *argument, Together *op) {
  Fiber *f = &sim.fiber[sim.current];
  f->state = WAITING;
  f->what = what;
  f->argument = argument;
  if (++*here == last - first && agree(first, last)) {
    *here = 0;
    op(first, last);
    races_met(first, last);
    for (int i = first; i < last; i++) sim.fiber[i].state = READY;
  }
  leave_fiber(f);
}

void simulated_meeting(bool whole_block, const char *what, void *argument, Together *op) {
  int warp = sim.current / WARP;
  if (whole_block) meet(0, sim.launch.threads, &sim.in_block, what, argument, op);
  else meet(warp * WARP, (warp + 1) * WARP, &sim.in_warp[warp], what, argument, op);
}

void simulated_group_meeting(const char *what, void *argument, Together *op) {
  int group = sim.current / WARPGROUP;
  meet(group * WARPGROUP, (group + 1) * WARPGROUP, &sim.in_group[group], what, argument, op);
}

/* ---- waiting for what others do ---- */

void simulated_wait(const void *on, const char *what) {
  Fiber *f = &sim.fiber[sim.current];
  f->state = WAITING;
  f->what = what;
  f->on = on;
  leave_fiber(f);
}

void simulated_wake(const void *on) {
  for (int i = 0; i < sim.launch.threads; i++) {
    Fiber *f = &sim.fiber[i];
    if (f->state != WAITING || f->on != on) continue;
    f->state = READY;
    f->on = NULL;
  }
}

/* ---- schedules ---- */

static uint64_t next_random(void) {
  sim.random ^= sim.random << 13, sim.random ^= sim.random >> 7, sim.random ^= sim.random << 17;
  return sim.random;
}

static int first_ready(int from, int to, int by) {
  for (int i = from; i != to; i += by)
    if (sim.fiber[i].state == READY) return i;
  return -1;
}

/* The first that can run, of the threads from a random one on. */
static int random_ready(void) {
  int n = sim.launch.threads, start = (int)(next_random() % (uint64_t)n);
  int found = first_ready(start, n, 1);
  return found >= 0 ? found : first_ready(0, start, 1);
}

/* In the warp that ran last, as long as it can. */
static int ready_in_warp(void) {
  int first = sim.current / WARP * WARP, found = first_ready(first, first + WARP, 1);
  return found >= 0 ? found : random_ready();
}

static int next_fiber(void) {
  switch (sim.launch.seed % 4) {
  case 0: return first_ready(0, sim.launch.threads, 1);
  case 1: return ready_in_warp();
  case 2: return first_ready(sim.launch.threads - 1, -1, -1);
  default: return random_ready();
  }
}

static void report(void) {
  int n = snprintf(sim.report, sizeof sim.report, "block %d is stuck:", sim.block);
  for (int i = 0; i < sim.launch.threads; i++) {
    const Fiber *f = &sim.fiber[i], *before = i ? f - 1 : NULL;
    if (before && before->state == f->state && (f->state == ENDED || !strcmp(before->what, f->what))) continue;
    if ((size_t)n < sizeof sim.report)
      n += snprintf(sim.report + n, sizeof sim.report - (size_t)n, " from thread %d on %s%s;", i,
                    f->state == ENDED ? "ended" : "waiting at ", f->state == ENDED ? "" : f->what);
  }
  sim.failed = true;
}

static void run_block(int block) {
  sim.block = block;
  races_block(block);
  simulated_copies_begin(sim.launch.threads);
  simulated_groups_begin();
  simulated_boxes_begin();
  memset(sim.shared, POISON, (size_t)sim.launch.shared);
  for (int i = 0; i < sim.launch.threads; i++) prepare_fiber(&sim.fiber[i]);
  sim.current = sim.in_block = 0;
  memset(sim.in_warp, 0, sizeof sim.in_warp);
  memset(sim.in_group, 0, sizeof sim.in_group);
  for (int i; (i = next_fiber()) >= 0 || simulated_boxes_come();)
    if (i >= 0) enter_fiber(i);
  for (int i = 0; i < sim.launch.threads && !sim.failed; i++)
    if (sim.fiber[i].state != ENDED) report();
  if (!sim.failed) simulated_boxes_end();
}

/* Blocks in order, in the opposite one, or from any of them on. */
static int block_number(int i) {
  int n = sim.launch.blocks, from = (int)(sim.launch.seed % (uint64_t)n);
  int b = (i + from) % n;
  return sim.launch.seed & 1 ? n - 1 - b : b;
}

const char *simulate(const SimulatedLaunch *launch) {
  sim.launch = *launch;
  sim.random = launch->seed * 2654435761u + 88172645463325252u;
  sim.failed = false;
  races_begin();
  size_t whole = ((size_t)launch->shared + PAGE) / PAGE * PAGE, used = ((size_t)launch->shared + 15) / 16 * 16;
  char *memory = map(whole + PAGE);
  if (mprotect(memory + whole, PAGE, PROT_NONE)) abort();
  sim.shared = memory + whole - used;
  for (int i = 0; i < launch->blocks && !sim.failed; i++) run_block(block_number(i));
  munmap(memory, whole + PAGE);
  return sim.failed ? sim.report : NULL;
}
