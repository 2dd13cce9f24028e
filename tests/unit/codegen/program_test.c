/* program_test.c - a whole program made by hand is compiled, linked and run, and does what it does on the
 * interpreter: the same losses step by step, the same evaluation, the same predictions. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/compile.h"
#include "codegen/interpreted.h"
#include "codegen/link.h"
#include "tests/unit/codegen/sample.h"

static char folder[] = "/tmp/nnc_program_XXXXXX";

static int setup(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  sample_data(folder, 100);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

static void pipeline_runs(Compilation *c) {
  bool ok = compile_passes(c);
  for (int i = 0; i < c->diags->all.n; i++) print_error("%s\n", c->diags->all.at[i]->message);
  assert_true(ok);
}

/* Compiles the sample program to `folder`/name. */
static void build(const char *name, int level, const char *only) {
  Arena *a = arena_new();
  DiagSink diags = {.arena = a};
  const CompileOptions o = {
      .passes = {.level = level, .verify = true}, .march = "native", .only = only, .version = "test"};
  Compilation *c = compile_begin(a, sample_program(a), &diags, &o);
  pipeline_runs(c);
  assert_null(compile_schedules(c));
  assert_null(compile_code(c));
  Buf object = {0};
  assert_null(cpu_module_write(c->modules.at[0], CPU_OBJECT, &object));
  const LinkOptions link = {0};
  const char *error = link_program(a, &object, 1, arena_printf(a, "%s/%s", folder, name), &link);
  if (error) fail_msg("%s", error);
  buf_free(&object);
  compile_end(c);
  arena_free(a);
}

/* The child's part: in `folder`, stdout to the file `name`.out. */
static void redirect(const char *name) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s.out", folder, name);
  if (chdir(folder) != 0 || !freopen(path, "w", stdout)) _exit(99);
}

static int count(char **argv) {
  int n = 0;
  while (argv[n]) n++;
  return n;
}

static void interpret_program(char **argv) {
  Arena *a = arena_new();
  DiagSink diags = {.arena = a};
  Program *p = sample_program(a);
  const CompileOptions o = {.passes = {.level = 1, .verify = true}};
  pipeline_runs(compile_begin(a, p, &diags, &o));
  const TablesOptions tables = {.cpu = "", .build = "test"};
  exit(nnrt_main(interpreted_program(a, p, &tables), count(argv), argv));
}

/* Runs the program called `name` (NULL: the interpreter), its stdout in `output`.out; returns the exit code. */
static int run(const char *name, const char *output, char **argv) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    char path[300];
    redirect(output);
    if (!name) interpret_program(argv);
    snprintf(path, sizeof path, "./%s", name);
    execv(path, argv);
    _exit(98);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

enum { MAX_NUMBERS = 1000 };

/* Every number after `key` (each number, where key is "") in a file of `folder`. */
static int numbers(const char *file, const char *key, double *out) {
  char path[300], *line = NULL;
  snprintf(path, sizeof path, "%s/%s", folder, file);
  FILE *f = fopen(path, "r");
  if (!f) fail_msg("no file %s", path);
  size_t room = 0;
  int n = 0;
  while (n < MAX_NUMBERS && getline(&line, &room, f) > 0) {
    const char *at = strstr(line, key);
    if (at && sscanf(at + strlen(key), "%lf", &out[n]) == 1) n++;
  }
  free(line);
  fclose(f);
  return n;
}

static void same_numbers(const char *file_a, const char *file_b, const char *key, int expected) {
  double a[MAX_NUMBERS], b[MAX_NUMBERS], largest = 0;
  int n = numbers(file_a, key, a);
  assert_int_equal(n, numbers(file_b, key, b));
  if (expected) assert_int_equal(n, expected);
  for (int i = 0; i < n; i++) largest = fmax(largest, fabs(a[i]));
  for (int i = 0; i < n; i++)
    if (!(fabs(a[i] - b[i]) <= 1e-5 * largest))
      fail_msg("%s %s: number %d is %.9g and %.9g", file_a, key, i, a[i], b[i]);
}

static void train(const char *name, char *run_dir) {
  char *argv[] = {"sample", "train", "--steps", "20", "--no-shuffle", "--run-dir", run_dir, NULL};
  assert_int_equal(run(name, run_dir, argv), 0);
}

static void test_training_is_the_interpreters(void **state) {
  (void)state;
  build("sample0", 0, NULL);
  build("sample2", 2, NULL);
  train(NULL, "interpreted");
  train("sample0", "at0");
  train("sample2", "at2");
  same_numbers("interpreted/metrics.jsonl", "at0/metrics.jsonl", "\"loss\": ", 0);
  same_numbers("interpreted/metrics.jsonl", "at2/metrics.jsonl", "\"loss\": ", 0);
  double losses[MAX_NUMBERS];
  int n = numbers("at2/metrics.jsonl", "\"loss\": ", losses);
  assert_true(n >= 20);
  assert_true(losses[19] < 0.5 * losses[0]); /* it learns */
}

static void test_evaluation_and_prediction(void **state) {
  (void)state;
  char *eval[] = {"sample", "eval", "--json", "--weights", "at2/last.safetensors", NULL};
  assert_int_equal(run(NULL, "eval_interpreted", eval), 0);
  assert_int_equal(run("sample2", "eval2", eval), 0);
  same_numbers("eval_interpreted.out", "eval2.out", "\"loss\": ", 1);
  char *predict[] = {"sample", "predict", "points.csv", "--weights", "at2/last.safetensors", "--format", "csv", NULL};
  assert_int_equal(run(NULL, "predict_interpreted", predict), 0);
  assert_int_equal(run("sample2", "predict2", predict), 0);
  same_numbers("predict_interpreted.out", "predict2.out", "", 100);
}

static void test_only_the_entry(void **state) {
  (void)state;
  build("only", 2, "predict");
  char *predict[] = {"sample", "predict", "points.csv", "--weights", "at2/last.safetensors", "--format", "csv", NULL};
  assert_int_equal(run("only", "predict_only", predict), 0);
  same_numbers("predict_only.out", "predict2.out", "", 100);
  char *no_verb[] = {"sample", "train", NULL};
  assert_int_equal(run("only", "no_verb", no_verb), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_training_is_the_interpreters),
                                     cmocka_unit_test(test_evaluation_and_prediction),
                                     cmocka_unit_test(test_only_the_entry)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
