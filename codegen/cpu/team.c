/* team.c - threads that make objects of modules, while others are still written.
 *
 * A module that is given belongs to the team: each has a context, a machine and an arena of its own, so threads share
 * nothing but the list. What is made does not depend on how many threads there are. */
#include <pthread.h>

#include "codegen/cpu/module.h"
#include "runtime/pool.h"

enum { MOST_HELPERS = 7 };

struct CpuTeam {
  Arena *arena;
  Vec(CpuModule *) modules;
  int next; /* of the modules, that nobody has begun with */
  bool complete;
  int helpers;
  pthread_t helper[MOST_HELPERS];
  pthread_mutex_t lock;
  pthread_cond_t changed;
};

CpuTeam *cpu_team_new(Arena *a) {
  CpuTeam *t = NEW(a, CpuTeam);
  t->arena = a;
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->changed, NULL);
  return t;
}

/* NULL where all are begun with and no more will come. */
static CpuModule *next_module(CpuTeam *t) {
  pthread_mutex_lock(&t->lock);
  while (t->next == t->modules.n && !t->complete) pthread_cond_wait(&t->changed, &t->lock);
  CpuModule *m = t->next < t->modules.n ? t->modules.at[t->next++] : NULL;
  pthread_mutex_unlock(&t->lock);
  return m;
}

static void *work(void *team) {
  for (CpuModule *m; (m = next_module(team));) m->error = cpu_module_write(m, CPU_OBJECT, &m->object);
  return NULL;
}

/* The caller's thread will help, too; a thread that is not to be had is done without. */
void cpu_team_give(CpuTeam *t, CpuModule *m) {
  pthread_mutex_lock(&t->lock);
  vec_push(t->arena, &t->modules, m);
  pthread_cond_signal(&t->changed);
  pthread_mutex_unlock(&t->lock);
  if (t->helpers < MOST_HELPERS && t->helpers < nnrt_processors() - 1)
    t->helpers += pthread_create(&t->helper[t->helpers], NULL, work, t) == 0;
}

const char *cpu_team_finish(CpuTeam *t) {
  pthread_mutex_lock(&t->lock);
  t->complete = true;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
  work(t);
  for (; t->helpers > 0; t->helpers--) pthread_join(t->helper[t->helpers - 1], NULL);
  for (int i = 0; i < t->modules.n; i++)
    if (t->modules.at[i]->error) return t->modules.at[i]->error;
  return NULL;
}
