/* scalar.h - the scalar operations as a table, made from scalar.def, and their values.
 *
 * Numbers are computed in double or int64 and then rounded, or wrapped, to the element type: this is the definition
 * that the interpreter uses and the backends are compared with. */
#ifndef NNC_IR_SCALAR_H
#define NNC_IR_SCALAR_H

#include "ir/expr.h"

typedef enum ScalarRule {
  RULE_FLOAT,
  RULE_NUM,
  RULE_INT,
  RULE_COMPARE,
  RULE_BOOL,
  RULE_SELECT,
  RULE_FLOAT_TO_BOOL,
  RULE_CAST
} ScalarRule;

typedef struct ScalarRow {
  const char *name;
  int arity;
  ScalarRule rule;
  const char *derivative[3]; /* by each argument; "0": none; "-": no such argument */
  double ulp;
} ScalarRow;

extern const ScalarRow scalar_rows[SCALAR_OP_COUNT];
bool scalar_from_name(const char *name, ScalarOp *out);

/* The result's type for operands of these types; false if they do not fit the row (always for cast). */
bool scalar_type(ScalarOp op, const DType *operands, DType *result);

/* The value for float operands of type t (SELECT: of the branches; a bool operand is 0 or 1), rounded to t;
 * comparisons give 0 or 1. Not for cast. */
double scalar_fold(ScalarOp op, DType t, const double *a);
/* The same for integers and bools of type t. A division by 0 gives 0. */
int64_t scalar_fold_int(ScalarOp op, DType t, const int64_t *a);

double dtype_round(DType t, double v);     /* to the nearest value of a float type */
int64_t dtype_wrap(DType t, int64_t v);    /* into an integer type, modulo its size; bool: v != 0 */
int64_t dtype_truncate(DType t, double v); /* toward 0, held in the type's range; NaN gives 0 */

/* Element i of a dense array of type t: as double for floats, as int64 for integers and bools. */
double dtype_load_real(DType t, const void *array, int64_t i);
int64_t dtype_load_int(DType t, const void *array, int64_t i);
void dtype_store_real(DType t, void *array, int64_t i, double v); /* rounds */
void dtype_store_int(DType t, void *array, int64_t i, int64_t v); /* wraps */

#endif
