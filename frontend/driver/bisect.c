/* bisect.c - see bisect.h. The optional passes' runs are numbered over all graphs in the order in which they happen;
 * a trial allows the first k of them. With 0 all is well, with all of them it is not: between, halving finds the one
 * run that makes the difference. (As LLVM's -opt-bisect-limit.) */
#include "frontend/driver/bisect.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/driver/output.h"
#include "frontend/driver/values.h"
#include "ir/scalar.h"
#include "runtime/philox.h"

enum { BATCH = 2, OPEN = 4 }; /* examples; what another open dimension is */

typedef struct Bisection {
  Session *session;
  const Options *options;
  Interpretation first; /* parameters and states as they begin */
  const char *folder;   /* for the programs that a command is given */
} Bisection;

typedef struct Trial {
  Session session; /* its arena is the trial's own */
  PassLimit limit;
  Graph *g;
  Interpretation in;
  const char *fault; /* why it could not be evaluated */
} Trial;

static void trial_begin(Trial *t, const Bisection *b, int allowed) {
  Arena *a = arena_new();
  *t =
      (Trial){.session = {.arena = a, .strings = b->session->strings, .sources = {.arena = a}, .diags = {.arena = a}},
              .limit = {.left = allowed}};
}

static int runs_taken(const Trial *t, int allowed) { return allowed - t->limit.left; }

/* ---- a graph, interpreted ---- */

static int64_t open_dim(void *cx, DimAtom *symbol) { return symbol == cx ? BATCH : OPEN; }

/* Integers are 0 and 1, which any bound but 1 allows. Floats of inputs are within [-1, 1), of what is made from data,
 * as a standard deviation is, within (0, 1]. */
static Tensor drawn(Arena *a, const Graph *g, const Node *n, uint64_t number) {
  Tensor x = {.dtype = n->dtype, .rank = n->rank};
  for (int d = 0; d < n->rank; d++) x.extent[d] = dim_evaluate(n->shape[d], open_dim, g->batch);
  int64_t count = tensor_count(&x);
  x.data = NEW_ARRAY(a, char, (count + 1) * dtype_bytes(n->dtype));
  for (int64_t i = 0; i < count; i++) {
    double u = nnrt_draw_f64(nnrt_mix64(VALUES_SEED), number, 0, (uint64_t)i);
    if (!dtype_is_float(n->dtype)) dtype_store_int(n->dtype, x.data, i, u < 0.5);
    else dtype_store_real(n->dtype, x.data, i, n->kind == NODE_input ? 2 * u - 1 : 1 - u);
  }
  return x;
}

static void give_sources(Trial *t, const Bisection *b, Interpretation *given) {
  Arena *a = t->session.arena;
  *given = (Interpretation){.arena = a};
  for (int i = 0; i < b->first.given.n; i++) vec_push(a, &given->given, b->first.given.at[i]);
  for (int i = 0; i < t->g->nodes.n; i++) {
    const Node *n = t->g->nodes.at[i];
    bool source = n->kind == NODE_input || n->kind == NODE_param || n->kind == NODE_state;
    if (!source || values_find(given, n->name)) continue;
    uint64_t number = 0; /* of its name, so that passes do not change it */
    for (const char *c = n->name; *c; c++) number = number * 31 + (unsigned char)*c;
    vec_push(a, &given->given, (Binding){n->name, drawn(a, t->g, n, number)});
  }
  if (t->g->batch) vec_push(a, &given->dims, (DimBinding){t->g->batch, BATCH});
}

/* Elaborates the program anew, for passes change a graph, and runs the first `allowed` on graph number `which`. */
static void trial_interpret(Trial *t, const Bisection *b, int which, int allowed) {
  BuildOptions o = b->options->build;
  Program *p = NULL;
  trial_begin(t, b, allowed);
  o.meaning.f64 = true;
  o.compile.passes.limit = &t->limit;
  if (build_load(&t->session, &o, &p)) ice("a program that was read cannot be read again");
  Compilation *c = compile_begin(t->session.arena, p, &t->session.diags, &o.compile);
  t->g = c->graphs.at[which];
  /* sources are those of the graph as it was: a pass may drop one */
  Interpretation given;
  give_sources(t, b, &given);
  if (!pipeline_run(t->g, &t->session.diags, &o.compile.passes)) t->fault = "a pass refuses it";
  else t->fault = values_evaluate(t->g, &t->in, &given);
}

typedef struct Difference {
  const char *name;
  Span at;
  int64_t element, count;
  double was, is;
} Difference;

/* The element that differs most, as a share of the tensor's largest. What is not finite without passes may be better
 * with them: not compared. */
static bool tensors_differ(const Tensor *a, const Tensor *b, Difference *d) {
  double scale = 1e-3, most = 0;
  d->count = tensor_count(a);
  for (int64_t i = 0; i < d->count; i++)
    if (isfinite(values_element(a, i))) scale = fmax(scale, fabs(values_element(a, i)));
  for (int64_t i = 0; i < d->count; i++) {
    double x = values_element(a, i), y = values_element(b, i), by = fabs(x - y) / scale;
    if (!isfinite(x) || by <= most) continue;
    if (isnan(by)) by = INFINITY;
    *d = (Difference){d->name, d->at, i, d->count, x, y};
    most = by;
  }
  return most > 1e-8; /* sums of many terms in another order */
}

/* What the caller of the graph sees: outputs and what is stored. */
static bool trials_differ(const Trial *a, const Trial *b, Difference *d) {
  for (int i = 0; i < a->g->outputs.n; i++) {
    const Output *o = &a->g->outputs.at[i];
    const Tensor *other = values_output(b->g, &b->in, o->name);
    *d = (Difference){.name = o->name, .at = o->node->span};
    if (other && tensors_differ(&a->in.values[o->node->id], other, d)) return true;
  }
  for (int i = 0; i < a->g->stores.n && i < b->g->stores.n; i++) {
    const Node *s = a->g->stores.at[i], *other = b->g->stores.at[i];
    *d = (Difference){.name = s->in[1]->name, .at = s->in[1]->span};
    if (tensors_differ(&a->in.values[s->id], &b->in.values[other->id], d)) return true;
  }
  return false;
}

static void print_difference(const Trial *t, const Difference *d) {
  printf("pass %s breaks graph %s: `%s`", t->limit.pass, t->g->name, d->name);
  if (d->count > 1) printf(", element %lld,", (long long)d->element);
  printf(" is %.9g before it and %.9g after\n", d->was, d->is);
  const Span at = sources_user_place(&t->session.sources, d->at);
  const Source *s = sources_get(&t->session.sources, at.source);
  int line, column;
  if (!s) return;
  source_position(s, at.begin, &line, &column);
  printf("  --> %s:%d:%d\n", s->path, line, column);
}

/* Trial `bad` differs from `base`, which has no pass: finds the first that does, and says so. */
static void halve_graph(const Bisection *b, int which, const Trial *base, int bad) {
  int good = 0;
  Difference d;
  while (bad - good > 1) {
    Trial t;
    int middle = good + (bad - good) / 2;
    trial_interpret(&t, b, which, middle);
    if (t.fault || trials_differ(base, &t, &d)) bad = middle;
    else good = middle;
    arena_free(t.session.arena);
  }
  Trial before, after;
  trial_interpret(&before, b, which, bad - 1);
  trial_interpret(&after, b, which, bad);
  if (after.fault) printf("pass %s breaks graph %s: %s\n", after.limit.pass, after.g->name, after.fault);
  else if (trials_differ(&before, &after, &d) || trials_differ(base, &after, &d)) print_difference(&after, &d);
  arena_free(before.session.arena);
  arena_free(after.session.arena);
}

/* 1 if the passes break this graph. */
static int bisect_graph(const Bisection *b, int which) {
  Trial base, whole;
  Difference d;
  trial_interpret(&base, b, which, 0);
  trial_interpret(&whole, b, which, INT_MAX);
  bool broken = !base.fault && (whole.fault || trials_differ(&base, &whole, &d));
  if (base.fault) printf("graph %s cannot be evaluated: %s\n", base.g->name, base.fault);
  if (broken) halve_graph(b, which, &base, runs_taken(&whole, INT_MAX));
  arena_free(base.session.arena);
  arena_free(whole.session.arena);
  return broken;
}

static int bisect_graphs(Bisection *b) {
  BuildOptions o = b->options->build;
  Program *p = NULL;
  o.meaning.f64 = true;
  o.compile.passes = (PipelineOptions){0};
  int status = build_load(b->session, &o, &p);
  if (status) return status;
  const char *error = values_first(b->session, p, &o.compile.passes, &b->first);
  if (error) return driver_error(EXIT_PROGRAM, "the first parameters cannot be computed: %s", error);
  int broken = 0, n = compile_begin(b->session->arena, p, &b->session->diags, &o.compile)->graphs.n;
  for (int i = 0; i < n; i++) broken += bisect_graph(b, i);
  if (broken) return EXIT_PROGRAM;
  printf("no pass changes what the %d graphs compute\n", n);
  puts("what becomes of them as code is not looked at here; a command that tests the program can tell:");
  printf("  nnc --bisect %s -- COMMAND      # $PROGRAM is the program; exit 0 says that it is well\n", o.file);
  return 0;
}

/* ---- a program, tested by a command ---- */

/* Its exit code, or EXIT_ENVIRONMENT after a message. What it writes goes to stderr. */
static int run_command(const Bisection *b, const char *program) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    setenv("PROGRAM", program, 1);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execvp(b->options->rest[0], b->options->rest);
    driver_error(EXIT_ENVIRONMENT, "cannot run %s: %s", b->options->rest[0], strerror(errno));
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) return driver_error(EXIT_ENVIRONMENT, "cannot run a command");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Builds with the first `allowed` runs and asks the command. In *t what was run; 0: well, 1: not, -1 after a message.
 */
static int trial_program(Trial *t, const Bisection *b, int allowed) {
  BuildOptions o = b->options->build;
  Program *p = NULL;
  trial_begin(t, b, allowed);
  o.compile.passes.limit = &t->limit;
  o.emit.n = 0;
  int status = build_load(&t->session, &o, &p);
  if (!status) {
    o.output = arena_printf(t->session.arena, "%s/%s", b->folder, p->name);
    status = build_program(&t->session, &o, p);
  }
  if (!status && (status = run_command(b, o.output)) == 127) status = -1;
  else if (status) status = o.output && access(o.output, X_OK) == 0 ? 1 : -1;
  if (t->limit.pass)
    fprintf(stderr, "%d passes, %s of graph %s the last: %s\n", runs_taken(t, allowed), t->limit.pass, t->limit.graph,
            status ? "fails" : "well");
  else fprintf(stderr, "no passes: %s\n", status ? "fails" : "well");
  return status;
}

static void put_quoted(Buf *out, const char *text) {
  buf_puts(out, "'");
  for (; *text; text++) *text == '\'' ? buf_puts(out, "'\\''") : buf_write(out, text, 1);
  buf_puts(out, "' ");
}

/* The same question of a program that is no code: a script that has the interpreter run it. */
static int trial_interpreter(const Bisection *b) {
  const Options *o = b->options;
  Arena *a = b->session->arena;
  char nnc[PATH_MAX] = {0};
  if (readlink("/proc/self/exe", nnc, sizeof nnc - 1) < 0) return -1;
  Buf script = {0};
  buf_puts(&script, "#!/bin/sh\nexec ");
  put_quoted(&script, nnc);
  buf_puts(&script, "run --interpret ");
  if (o->build.meaning.f64) buf_puts(&script, "--precision=f64 ");
  for (int i = 0; i < o->definitions.n; i++)
    put_quoted(&script, arena_printf(a, "-D%s=%s", o->definitions.at[i].name, o->definitions.at[i].value));
  char *file = realpath(o->build.file, NULL);
  put_quoted(&script, file ? file : o->build.file);
  free(file);
  buf_puts(&script, "-- \"$@\"\n");
  const char *path = arena_printf(a, "%s/interpreted", b->folder);
  const char *error = output_write(a, path, script.text, script.n);
  buf_free(&script);
  if (error || chmod(path, 0755)) return -1;
  int status = run_command(b, path);
  fprintf(stderr, "interpreted: %s\n", status ? "fails" : "well");
  return status;
}

/* The program fails without any pass: whose fault is it? */
static int blame_rest(const Bisection *b) {
  if (trial_interpreter(b))
    puts("it fails without passes, and interpreted, too: the fault is the program's own, or the test's");
  else puts("it fails without passes, but not interpreted: the fault is in schedules or code, which no pass makes");
  return EXIT_PROGRAM;
}

static int halve_programs(const Bisection *b) {
  Trial t;
  int good = 0, status = trial_program(&t, b, INT_MAX), bad = runs_taken(&t, INT_MAX);
  arena_free(t.session.arena);
  if (status < 0) return EXIT_ENVIRONMENT;
  if (status == 0) return puts("the program does not fail"), 0;
  status = trial_program(&t, b, 0);
  arena_free(t.session.arena);
  if (status < 0) return EXIT_ENVIRONMENT;
  if (status > 0 || bad == 0) return blame_rest(b);
  while (bad - good > 1) {
    int middle = good + (bad - good) / 2;
    status = trial_program(&t, b, middle);
    arena_free(t.session.arena);
    if (status < 0) return EXIT_ENVIRONMENT;
    *(status ? &bad : &good) = middle;
  }
  status = trial_program(&t, b, bad);
  if (status > 0) printf("pass %s breaks graph %s\n", t.limit.pass, t.limit.graph);
  else puts("the program fails at one time and not at another: a test has to be repeatable");
  arena_free(t.session.arena);
  return EXIT_PROGRAM;
}

static int bisect_programs(Bisection *b) {
  const char *base = getenv("TMPDIR");
  char *folder = arena_printf(b->session->arena, "%s/nnc-bisect-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(folder)) return driver_error(EXIT_ENVIRONMENT, "cannot make %s: %s", folder, strerror(errno));
  b->folder = folder;
  Program *p = NULL; /* its mistakes are told once */
  int status = build_load(b->session, &b->options->build, &p);
  if (!status) {
    status = halve_programs(b);
    output_drop(arena_printf(b->session->arena, "%s/%s", folder, p->name));
  }
  output_drop(arena_printf(b->session->arena, "%s/interpreted", folder));
  rmdir(folder);
  return status;
}

int bisect_file(Session *s, Options *o) {
  Bisection b = {.session = s, .options = o};
  return o->nrest ? bisect_programs(&b) : bisect_graphs(&b);
}
