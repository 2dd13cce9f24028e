/* info.c - the verb `info`: what the program is, its tensors, and the memory that it needs, from its tables alone. */
#include "runtime/cli.h"
#include "runtime/run.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const roles[] = {"param", "frozen", "state", "optimizer", "statistic", "hyper"};

typedef struct Sums {
  int64_t parameters, model, optimizer; /* elements; bytes */
} Sums;

static Sums add_up(const NnrtProgram *p) {
  Sums s = {0};
  for (int64_t i = 0; i < p->n_variables; i++) {
    const NnrtVariable *v = &p->variables[i];
    int64_t n = 0;
    nnrt_shape_count(v->shape, (int)v->n_shape, &n);
    int64_t bytes = n * nnrt_dtype((NnrtDtype)v->dtype)->bytes;
    if (v->role == NNRT_ROLE_PARAM || v->role == NNRT_ROLE_FROZEN) s.parameters += n;
    *(v->role == NNRT_ROLE_OPTIMIZER ? &s.optimizer : &s.model) += bytes;
  }
  return s;
}

/* A graph's arena, or a thread's scratch memory, with every open dimension at `size`. */
static int64_t bytes_at(const NnrtGraph *g, int64_t size, int64_t (*f)(const NnrtGraph *g, const int64_t *open)) {
  int64_t *open = malloc(((size_t)g->n_dims + 1) * sizeof *open); /* more than are open: quotients are dims too */
  if (!open) return -1;
  for (int64_t i = 0; i < g->n_dims; i++) open[i] = size;
  int64_t bytes = f(g, open);
  free(open);
  return bytes;
}

static int64_t arena_at(const NnrtGraph *g, int64_t size) { return bytes_at(g, size, nnrt_graph_arena); }
static int64_t scratch_at(const NnrtGraph *g, int64_t size) { return bytes_at(g, size, nnrt_graph_scratch); }

static int64_t batch_of(const NnrtProgram *p, int64_t graph) {
  for (int64_t i = 0; i < p->n_train; i++)
    if (p->train[i].step == graph || p->train[i].eval == graph || p->train[i].grads == graph ||
        p->train[i].update == graph)
      return p->train[i].batch;
  return 1;
}

static void print_text(const NnrtProgram *p, Sums s) {
  char shape[128];
  printf("%s, build %s\n\n", p->name, p->build ? p->build : "");
  for (int64_t i = 0; i < p->n_variables; i++) {
    const NnrtVariable *v = &p->variables[i];
    printf("  %-10s %-32s %s%s\n", roles[v->role], v->name, nnrt_dtype((NnrtDtype)v->dtype)->name,
           nnrt_shape_text(v->shape, (int)v->n_shape, shape, sizeof shape));
  }
  printf("\n%lld parameters, %lld bytes with states; optimizer %lld bytes\n\n", (long long)s.parameters,
         (long long)s.model, (long long)s.optimizer);
  printf("  %-24s %8s %14s %9s %14s %14s\n", "graph", "sizes", "arena bytes", "launches", "FLOPs at 1",
         "each thread");
  for (int64_t i = 0; i < p->n_graphs; i++) {
    const NnrtGraph *g = &p->graphs[i];
    int64_t batch = batch_of(p, i);
    printf("  %-24s %8lld %14lld %9lld %14lld %14lld\n", g->name, (long long)batch, (long long)arena_at(g, batch),
           (long long)g->n_launches, (long long)g->flops, (long long)scratch_at(g, batch));
  }
}

static void print_json(NnrtCli *c, const NnrtProgram *p, Sums s) {
  NnrtLine *l = &c->line;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "result");
  nnrt_line_integer(l, "schema", 1);
  nnrt_line_string(l, "program", p->name);
  nnrt_line_string(l, "build", p->build ? p->build : "");
  nnrt_line_integer(l, "parameters", s.parameters);
  nnrt_line_integer(l, "model_bytes", s.model);
  nnrt_line_integer(l, "optimizer_bytes", s.optimizer);
  nnrt_line_open(l, "variables", '[');
  for (int64_t i = 0; i < p->n_variables; i++) {
    const NnrtVariable *v = &p->variables[i];
    nnrt_line_open(l, NULL, '{');
    nnrt_line_string(l, "name", v->name);
    nnrt_line_string(l, "role", roles[v->role]);
    nnrt_line_string(l, "dtype", nnrt_dtype((NnrtDtype)v->dtype)->name);
    nnrt_line_open(l, "shape", '[');
    for (int64_t k = 0; k < v->n_shape; k++) nnrt_line_integer(l, NULL, v->shape[k]);
    nnrt_line_close(l, ']');
    nnrt_line_close(l, '}');
  }
  nnrt_line_close(l, ']');
  nnrt_line_open(l, "graphs", '[');
  for (int64_t i = 0; i < p->n_graphs; i++) {
    const NnrtGraph *g = &p->graphs[i];
    nnrt_line_open(l, NULL, '{');
    nnrt_line_string(l, "name", g->name);
    nnrt_line_integer(l, "batch", batch_of(p, i));
    nnrt_line_integer(l, "arena_bytes", arena_at(g, batch_of(p, i)));
    nnrt_line_integer(l, "scratch_bytes", scratch_at(g, batch_of(p, i))); /* each thread's */
    nnrt_line_integer(l, "launches", g->n_launches);
    nnrt_line_integer(l, "flops", g->flops);
    nnrt_line_close(l, '}');
  }
  nnrt_line_close(l, ']');
  nnrt_line_close(l, '}');
  nnrt_cli_print_line(c);
}

int nnrt_verb_info(const NnrtProgram *p, NnrtCli *cli) {
  if (cli->json) print_json(cli, p, add_up(p));
  else print_text(p, add_up(p));
  return nnrt_cli_finish(cli) == NNRT_OK ? NNRT_OK : nnrt_cli_fail(cli);
}
