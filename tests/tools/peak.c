/* peak.c - peak FILE COMMAND WORDS...: runs the command and writes its largest resident set, in bytes, to FILE. Its
 * exit code is the command's. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  pid_t child = fork();
  if (child == 0) {
    execv(argv[2], argv + 2);
    _exit(127);
  }
  int status = 0;
  struct rusage used;
  if (child < 0 || wait4(child, &status, 0, &used) < 0) return 1;
  FILE *f = fopen(argv[1], "w");
  if (!f || fprintf(f, "%lld\n", 1024LL * used.ru_maxrss) < 0 || fclose(f) != 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
