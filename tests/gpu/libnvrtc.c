/* libnvrtc.c - stands for NVRTC in tests: what it makes of a text is the text, which the simulated driver takes.
 * SIMULATED_NVRTC=refuses or =dies says what it does instead. */
#include <stdlib.h>
#include <string.h>

typedef struct Program {
  size_t n;
  char text[];
} Program;

int nvrtcVersion(int *major, int *minor);
int nvrtcCreateProgram(Program **p, const char *text, const char *name, int n, const char *const *a,
                       const char *const *b);
int nvrtcCompileProgram(Program *p, int n, const char *const *options);
int nvrtcGetProgramLogSize(Program *p, size_t *n);
int nvrtcGetProgramLog(Program *p, char *log);
int nvrtcGetCUBINSize(Program *p, size_t *n);
int nvrtcGetCUBIN(Program *p, char *code);
int nvrtcGetPTXSize(Program *p, size_t *n);
int nvrtcGetPTX(Program *p, char *code);
int nvrtcDestroyProgram(Program **p);

int nvrtcVersion(int *major, int *minor) {
  *major = 99; /* of no NVRTC: what it makes is not to be taken from a cache for one */
  *minor = 0;
  return 0;
}

int nvrtcCreateProgram(Program **p, const char *text, const char *name, int n, const char *const *a,
                       const char *const *b) {
  (void)name, (void)n, (void)a, (void)b;
  size_t bytes = strlen(text) + 1;
  *p = malloc(sizeof **p + bytes);
  if (!*p) return 1;
  (*p)->n = bytes;
  memcpy((*p)->text, text, bytes);
  return 0;
}

static const char refusal[] = "error: refused because the test asked for it";

static int is_asked_for(const char *what) {
  const char *asked = getenv("SIMULATED_NVRTC");
  return asked && !strcmp(asked, what);
}

int nvrtcCompileProgram(Program *p, int n, const char *const *options) {
  (void)p, (void)n, (void)options;
  if (is_asked_for("dies")) _Exit(1);
  return is_asked_for("refuses");
}

int nvrtcGetProgramLogSize(Program *p, size_t *n) {
  (void)p;
  *n = sizeof refusal;
  return 0;
}

int nvrtcGetProgramLog(Program *p, char *log) {
  (void)p;
  memcpy(log, is_asked_for("refuses") ? refusal : "", is_asked_for("refuses") ? sizeof refusal : 1);
  return 0;
}

int nvrtcGetCUBINSize(Program *p, size_t *n) {
  *n = p->n;
  return 0;
}

int nvrtcGetCUBIN(Program *p, char *code) {
  memcpy(code, p->text, p->n);
  return 0;
}

int nvrtcGetPTXSize(Program *p, size_t *n) { return nvrtcGetCUBINSize(p, n); }
int nvrtcGetPTX(Program *p, char *code) { return nvrtcGetCUBIN(p, code); }

int nvrtcDestroyProgram(Program **p) {
  free(*p);
  *p = NULL;
  return 0;
}
