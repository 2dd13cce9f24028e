/* cli.c - nnrt_main: finds the verb, parses its options, runs it; and what verbs share in speaking. See cli.h. */
#include "runtime/cli.h"
#include "runtime/checkpoint.h"
#include "runtime/closest.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what verbs share ---- */

void nnrt_cli_print_line(NnrtCli *c) {
  if (c->line.text) {
    fwrite(c->line.text, 1, c->line.n, stdout);
    putchar('\n');
    fflush(stdout);
  }
  nnrt_line_reset(&c->line);
}

int nnrt_cli_fail(NnrtCli *c) {
  if (!c->error.text[0]) return c->error.status;
  fprintf(stderr, "%s: %s\n", c->program->name, c->error.text);
  if (c->json) {
    nnrt_line_reset(&c->line);
    nnrt_line_open(&c->line, NULL, '{');
    nnrt_line_string(&c->line, "event", "error");
    nnrt_line_integer(&c->line, "status", c->error.status);
    nnrt_line_string(&c->line, "message", c->error.text);
    nnrt_line_close(&c->line, '}');
    nnrt_cli_print_line(c);
  }
  return c->error.status == NNRT_EINVAL ? 70 : c->error.status;
}

/* Has whoever read our output gone? */
static bool reader_left(void) {
  struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int nnrt_cli_finish(NnrtCli *c) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return NNRT_OK;
  if (reader_left()) return nnrt_fail(&c->error, NNRT_EFAIL, "%s", ""); /* `predict | head`: nothing to say */
  return nnrt_fail(&c->error, NNRT_EFAIL, "standard output cannot be written: no space left, or closed");
}

int nnrt_cli_pool(NnrtCli *c, NnrtPool **pool) {
  int64_t threads;
  int status = nnrt_cli_natural(c, NNRT_OPT_THREADS, 1, 0, &threads);
  return status != NNRT_OK ? status : nnrt_pool_open(pool, threads > 256 ? 256 : (int)threads, &c->error);
}

char *nnrt_cli_run_file(const NnrtCli *c, const char *run, const char *file, char *text, size_t room) {
  if (run) snprintf(text, room, "%s/%s", run, file);
  else snprintf(text, room, "runs/%s/latest/%s", c->program->name, file);
  return text;
}

static bool has_variables(const NnrtProgram *p) {
  for (int64_t i = 0; i < p->n_variables; i++)
    if (p->variables[i].role != NNRT_ROLE_OPTIMIZER) return true;
  return false;
}

static int load_file(NnrtCli *c, NnrtModel *m, const char *path, NnrtOrigin *origin) {
  NnrtSafetensors s;
  int status = nnrt_safetensors_open(&s, path, &c->error);
  if (status != NNRT_OK) return status;
  status = nnrt_checkpoint_load(m, &s, NNRT_LOAD_MODEL, &c->error);
  if (origin) origin->read(origin, &s);
  nnrt_safetensors_close(&s);
  return status;
}

static bool has_training(const NnrtProgram *p) {
  for (int64_t i = 0; i < p->n_verbs; i++)
    if (strcmp(p->verbs[i].name, "train") == 0) return true;
  return false;
}

int nnrt_cli_load(NnrtCli *c, NnrtModel *m, NnrtOrigin *origin) {
  if (c->load) return c->load(c, m);
  const char *weights = nnrt_cli_text(c, NNRT_OPT_WEIGHTS), *run = nnrt_cli_text(c, NNRT_OPT_RUN_DIR);
  if (!weights && !has_variables(c->program)) return NNRT_OK;
  if (weights) return load_file(c, m, weights, origin);
  char path[4096];
  nnrt_cli_run_file(c, run, "best.safetensors", path, sizeof path);
  if (access(path, F_OK) != 0) nnrt_cli_run_file(c, run, "last.safetensors", path, sizeof path);
  if (access(path, F_OK) != 0 && !has_training(c->program))
    return nnrt_fail(&c->error, NNRT_EDATA, "%s: no weights: this program does not train, --weights FILE names some",
                     path);
  if (access(path, F_OK) != 0)
    return nnrt_fail(&c->error, NNRT_EDATA, "%s: no weights: `%s train` makes them, --weights FILE names others",
                     path, c->program->name);
  return load_file(c, m, path, origin);
}

/* ---- help ---- */

static bool on_command_line(const NnrtCli *c, int id) {
  for (int i = 0; i < c->n_given; i++)
    if ((int)c->given[i].id == id) return true;
  return false;
}

void nnrt_cli_help(const NnrtCli *c) {
  printf("usage: %s %s%s [options]\n\n", c->program->name, c->verb->name, c->kind == 'p' ? " FILE..." : "");
  if (c->verb->purpose) printf("%s\n\n", c->verb->purpose);
  for (int id = 0; id < NNRT_OPT_COUNT; id++) {
    const NnrtOption *o = nnrt_option(id);
    if (!strchr(o->verbs, c->kind)) continue;
    char left[64], source[32];
    snprintf(left, sizeof left, "%s%c%s--%s %s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
             o->letter ? ", " : "  ", o->name, o->argument ? o->argument : "");
    printf("  %-26s %s", left, o->help);
    const char *v = nnrt_cli_text(c, (NnrtOptionId)id),
               *s = nnrt_train_cli.source ? nnrt_train_cli.source(c, id, source) : NULL;
    if (v && id != NNRT_OPT_HELP)
      printf(" [%s, %s]", *v ? v : "yes", on_command_line(c, id) ? "command line" : "environment");
    else if (s) printf(" [%s, source]", s);
    else if (o->fallback) printf(" [%s]", o->fallback);
    putchar('\n');
  }
}

static void list_verbs(const NnrtProgram *p, FILE *to) {
  fprintf(to, "usage: %s VERB [options]   (VERB --help shows them)\n\n", p->name);
  for (int64_t i = 0; i < p->n_verbs; i++)
    fprintf(to, "  %-10s %s\n", p->verbs[i].name, p->verbs[i].purpose ? p->verbs[i].purpose : "");
}

/* ---- main ---- */

static char verb_kind(const NnrtVerbRow *v) {
  static const char *const names[] = {"train", "eval", "bench", "info"};
  for (int i = 0; i < 4 && v->entry < 0; i++)
    if (strcmp(v->name, names[i]) == 0) return names[i][0];
  return 'p';
}

static int wrong_verb(const NnrtProgram *p, const char *name) {
  NnrtClosest near = {0};
  char hint[96];
  for (int64_t i = 0; i < p->n_verbs; i++) nnrt_closest_try(&near, name, p->verbs[i].name);
  if (!*nnrt_closest_text(&near, name, hint)) snprintf(hint, sizeof hint, "; `%.60s --help` lists them", p->name);
  fprintf(stderr, "%s: there is no verb \"%s\"%s\n", p->name, name, hint);
  return NNRT_EUSAGE;
}

static int run_verb(const NnrtProgram *p, const NnrtVerbRow *v, int argc, char **argv) {
  NnrtCli c;
  int status = nnrt_cli_parse(&c, p, v, verb_kind(v), argc, argv);
  if (status == NNRT_OK && nnrt_cli_flag(&c, NNRT_OPT_HELP)) {
    nnrt_cli_help(&c);
    status = nnrt_cli_finish(&c);
  } else {
    if (status == NNRT_OK) status = nnrt_check_processor(p, &c.error);
    if (status == NNRT_OK) status = v->run(p, &c);
    else status = nnrt_cli_fail(&c);
  }
  nnrt_cli_free(&c);
  return status;
}

int nnrt_main(const NnrtProgram *p, int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, which nnrt_cli_finish reports */
  if (argc < 2) {
    list_verbs(p, stderr);
    return NNRT_EUSAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    list_verbs(p, stdout);
    return NNRT_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("%s %s\n", p->name, p->build);
    return NNRT_OK;
  }
  for (int64_t i = 0; i < p->n_verbs; i++)
    if (strcmp(p->verbs[i].name, argv[1]) == 0) return run_verb(p, &p->verbs[i], argc - 2, argv + 2);
  return wrong_verb(p, argv[1]);
}
