/* derivative_model.h - the graphs of tests/graphs, with the gradients and Hessian-vector products of a loss made from
 * their output y: sum(weights*y + y*y/2), so that second derivatives of linear maps are not 0 either. */
#ifndef NNC_TESTS_UNIT_DERIVATIVE_MODEL_H
#define NNC_TESTS_UNIT_DERIVATIVE_MODEL_H

#include "ir/graph.h"

typedef struct Case { /* a graph as text; its output 0 is y */
  const char *name, *text;
  size_t n;
} Case;

typedef Vec(Case) Cases;

/* The files NAME.graph of a folder; with GRAPH=NAME in the environment only that one. */
void cases_read(Arena *a, const char *folder, Cases *out);
/* A two-dimensional convolution of two channels, 7x8, by two kernels of k x k. */
Case case_convolution(Arena *a, int stride, int k, int pad, int dilation);

typedef struct Model {
  Arena *arena; /* freed by the user */
  Ir *ir;
  Graph *g; /* output 0 is the loss */
  Node *loss;
  Vec(Node *) inputs; /* what is differentiated by */
} Model;

/* Every input of type f64 counts. On a wrong text m.g is NULL and error says why. */
Model model_read(const Case *c, char error[256]);
/* Adds outputs 1 .. n: the gradient by each of the n inputs. */
void model_add_gradients(Model *m);
/* Adds outputs n+1 .. 2n, after the gradients: the derivative of sum(gradient * direction) by each input, where the
 * direction is a further input named "along " and the input's name. */
void model_add_products(Model *m);
/* Adds outputs 2n+1 .. 4n+1, after the products: how the loss changes along those directions, by forward mode; the
 * derivatives of that by each input, in reverse; and how each gradient changes, by forward mode. */
void model_add_tangents(Model *m);

#endif
