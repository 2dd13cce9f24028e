/* build.h - shorthand over LLVM's builder: every function works on a scalar and on a vector of any length, and takes
 * its types from its operands. `Value` is one scalar or one vector. */
#ifndef NNC_CODEGEN_CPU_BUILD_H
#define NNC_CODEGEN_CPU_BUILD_H

#include "codegen/cpu/module.h"

typedef LLVMValueRef Value;
typedef LLVMTypeRef Type;

typedef struct Build { /* one function that is being written */
  CpuModule *m;
  LLVMContextRef c;
  LLVMBuilderRef b;
  Value function;
  Type i1, i8, i16, i32, i64, f32, f64, ptr, none;
} Build;

void build_open(Build *b, CpuModule *m);
void build_close(Build *b);

/* ---- types ---- */
int lanes_of(Value v);                    /* 0 for a scalar */
Type with_lanes(Type element, int lanes); /* lanes 0: the element itself */
Type element_of(Type t);
int bits_of(Type t);              /* of one element */
Type like(Type element, Value v); /* vectors of v's length */
Type int_like(Build *b, Value v); /* integers as wide as v's elements, as many */

/* ---- constants, as many lanes as `of` ---- */
Value real_like(Value of, double x);
Value int_const(Type t, int64_t x);                          /* t may be a vector */
Value int_like_const(Value of, int64_t x);                   /* of an integer value */
Value iota(Build *b, Type element, int lanes, int64_t step); /* 0, step, 2*step, ... */
Value index64(Build *b, int64_t x);                          /* scalar i64 */

/* ---- shape ---- */
Value splat(Build *b, Value scalar, int lanes);            /* scalar itself for lanes 0; a vector stays */
void agree(Build *b, Value *x, Value *y);                  /* splats a scalar beside a vector */
Value shuffle(Build *b, Value v, const int *lanes, int n); /* -1: undefined */
Value shuffle_two(Build *b, Value x, Value y, const int *lanes, int n); /* y's lanes are numbered after x's */
Value slice(Build *b, Value v, int first, int n);
Value lane(Build *b, Value v, int i);

/* ---- arithmetic. `contract` ones may be fused into fma where the target has it ---- */
Value fadd(Build *b, Value x, Value y);
Value fsub(Build *b, Value x, Value y);
Value fmul(Build *b, Value x, Value y);
Value fdivide(Build *b, Value x, Value y);
Value fneg(Build *b, Value x);
Value contracted(Value v);
Value fmuladd(Build *b, Value x, Value y, Value z);    /* x*y + z */
Value poly(Build *b, Value x, const double *c, int n); /* c[0] + c[1]*x + ... */
Value fabs_(Build *b, Value x);
Value intrinsic(Build *b, const char *name, Type *over, int nover, Value *args, int n);
Value load_masked(Build *b, Type vector, Value pointer, unsigned align, Value mask); /* 0 where it does not hold */
void store_masked(Build *b, Value v, Value pointer, unsigned align, Value mask);
Value unary(Build *b, const char *name, Value x); /* an intrinsic T -> T overloaded on T */
Value iadd(Build *b, Value x, Value y);
Value isub(Build *b, Value x, Value y);
Value imul(Build *b, Value x, Value y);
Value choose(Build *b, Value p, Value x, Value y); /* p scalar or vector; x, y agree */
Value fcmp(Build *b, LLVMRealPredicate p, Value x, Value y);
Value icmp(Build *b, LLVMIntPredicate p, Value x, Value y);
Value both(Build *b, Value x, Value y); /* and; either may be NULL */
Value either(Build *b, Value x, Value y);
Value inverted(Build *b, Value x);
Value to_bits(Build *b, Value x);                                   /* float as an integer of its width */
Value from_bits(Build *b, Value x, Value of);                       /* back, as of's type */
Value any_lane(Build *b, Value p);                                  /* scalar i1 */
Value convert_int(Build *b, Value x, Type element, bool is_signed); /* wider or narrower */

/* A function of the module that is not seen outside, made by `body` when it is first asked for. */
typedef Value (*HelperBody)(Build *b, Value *args);
Value call_helper(Build *b, const char *name, HelperBody body, Value *args, int n);

#endif
