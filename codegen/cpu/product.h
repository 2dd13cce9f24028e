/* product.h - what the parts of the contraction generator share: emit_contraction.c (units, blocks, tiles),
 * emit_pack.c (operands brought into the order in which tiles read them), emit_finish.c (what follows the sums) and
 * emit_pieces.c (vectors in one piece). Nobody else includes it. */
#ifndef NNC_CODEGEN_CPU_PRODUCT_H
#define NNC_CODEGEN_CPU_PRODUCT_H

#include "codegen/cpu/emit.h"

enum {
  MAX_SLOTS = 32,
  MAX_ROWS = 24,
  MAX_VECTORS = 4,
  TOGETHER = 4 /* vectors that are packed at once */,
  MAX_LINES = 16,
  UNROLL = 4 /* of the loop over K in whole tiles */
};

/* How an operand gets to the tiles. A vector of the packed copy holds neighbours along the index that the tensor's
 * memory runs with: the line (rows of A, columns of B) or K. */
typedef enum PackWay {
  PACK_none, /* plain and straight: read where it lies */
  PACK_copy, /* as PACK_lines, of a straight operand whose lines are neighbours; of B, all panels of a unit at once */
  PACK_lines, /* [K][lines of a panel]: of B, nr vectors; of A, the rows of one tile */
  PACK_k      /* [lines][K]; of B then transposed square by square into [K][nr vectors] */
} PackWay;

typedef struct Slots { /* the indices of one role, as one flat index and each on its own */
  int n;
  const int *slot;
  Var *flat;
  Var *var[MAX_SLOTS];      /* its own */
  int64_t place[MAX_SLOTS]; /* of one step of it in the flat index */
  Dim *extent[MAX_SLOTS];
} Slots;

typedef struct Operand { /* of one side, over M, K (A) or K, N (B) */
  Expr *value;           /* over the flat indices */
  Expr *by_lines, *by_k; /* with the indices that are not in lanes each on its own */
  Slots *line;
  PackWay way;
  Form *address;            /* straight: position in the tensor; else NULL */
  int64_t stride, k_stride; /* as tiles read it */
  int64_t straight_k;       /* of the tensor */
  bool in_panels;           /* straight within each panel of columns only, which lie as tiles read them */
  Value buffer;
} Operand;

typedef struct Product {
  Emit *e;
  const Contraction *c;
  const Member *main, **members; /* the sum, and with the maps after it */
  int nmembers;
  struct Product *first, *next; /* those side by side; NULL: the last */
  bool in_turn;                 /* of the first: each panel of columns by one after the other */
  const struct Product *packed; /* whose panel of B has this one's too; NULL: it has its own */
  int64_t b_first;              /* then: k of that panel for this one's first, */
  int64_t b_steps[UNROLL];      /* and from each to the next, over and over */
  const Node *node;
  DType t;
  int64_t size; /* bytes of an element */
  Form **at;    /* by slot, over the flat indices */
  Var **batch;
  Slots m, n, k; /* k.flat: of the slots from c->k_cut on, in one block of K; those before it are bound one by one */
  Operand a, b;
  bool turned;     /* the result's fastest index is in M: sums are transposed when they are finished */
  bool blocked;    /* K comes in several blocks: sums wait in `partial` */
  int64_t kc;      /* elements of the largest block of K */
  int64_t pitch;   /* of packed lines along K */
  int64_t k_inner; /* elements of K at one value of slot c->k_cut */
  int64_t mc, nc;
  Value partial; /* [mc][nc] */
  Value columns; /* B, PACK_k: the lines of one panel before they are transposed; NULL: straight from the tensor */
  Value m_from, m_to, n_from, n_to, k_from, k_to;
  Value same_rows, same_columns; /* as in the unit before: what is packed of a whole block stays */
  int epilogue;                  /* size of the maps */
  Value spill;                   /* memory for one tile */
  bool in_pieces;                /* the result's vectors are finished in pieces */
} Product;

typedef struct Tile { /* of one panel: `rows` rows and `vectors` vectors from (m0, n0) on */
  Product *p;
  int rows, vectors;
  bool masked; /* the last columns: not all lanes exist */
  Value m0, n0;
  Value mask[MAX_VECTORS];
  int64_t b_row; /* elements from one k of B to the next */
  Value acc[MAX_ROWS * MAX_VECTORS];
} Tile;

/* ---- emit_pieces.c ---- */
typedef struct Pieces {
  Emit *e;
  Var *lane;
  Var *const *inner; /* indices of loops that are within a piece: a jump must not depend on them */
  int ninner;
  Vec(Atom *) jumps; /* the divisions at whose multiples an address jumps; none: it never does */
  bool hopeless;     /* pieces would be short, or differ within their loops */
  Var *first;        /* within a piece: the index at its first lane */
  Value mask;        /* its lanes; loop.advance is their number */
  int depth;         /* the scope of a piece */
  Loop loop;
} Pieces;

bool read_uses(const Expr *read, const Var *v);
/* Elements that lie one after the other, MAX_STEP apart at most, in memory as v grows; in vectors of neighbours. */
int64_t run_along(const Form *f, const Var *v);
void pieces_reads(Pieces *q, Expr *x);             /* the addresses that x reads; the lane is not bound yet */
void pieces_address(Pieces *q, const Form *flat);  /* NULL counts as hopeless */
void pieces_open(Pieces *q, Value from, Value to); /* for each piece of [from, to) */
void pieces_close(Pieces *q);
Form *pieces_form(Pieces *q, Form *f); /* within a piece: f in straight steps from its first lane on */
Expr *pieces_expr(Pieces *q, Expr *x);

/* ---- emit_pack.c ---- */
void place_operands(Product *p); /* decides how A and B are read; sets all of Operand but the buffer */
void pack_a(Product *p);         /* the block [m_from, m_to) x [k_from, k_to) */
void pack_rows(Product *first);  /* those of all that stand side by side */
void pack_all_b(Product *p);
void pack_b(Product *p, Value n0, int vectors, bool masked); /* the panel of columns from n0 on */
int64_t packed_a_bytes(const Product *p);
int64_t packed_b_bytes(const Product *p);
int64_t columns_bytes(const Product *p);
int64_t panel_step(const Product *p, int64_t width);
int64_t panel_rows(const Product *p); /* of A, PACK_lines: [K][lanes] hold so many rows */

/* ---- emit_square.c ---- */

typedef struct Square { /* lanes x lanes elements; `from` and `to` do not overlap */
  Value from;
  int64_t stride; /* elements from one row to the next */
  Value last;     /* rows after this one are read as this one; NULL: all are there */
  Value count;    /* lanes from here on are not read, and 0; NULL: all are there */
  Value to;
  int64_t to_stride;
} Square;

void emit_square(Product *p, const Square *s); /* to[j][i] = from[i][j] */

/* ---- emit_shared.c ---- */
void share_panels(Product *first); /* whose panels of B have what others, side by side, need of it */

/* ---- emit_finish.c ---- */
bool finished_in_pieces(Product *p); /* whether addresses of the result jump within its vectors */
void finish_tile(Tile *t);
/* Lines in which a tile's rows will be stored: they are on their way while it runs through K. Where one kernel writes
 * every other element and another one the rest, each line is fetched twice, and never written whole. */
typedef struct ResultLines {
  int n;
  Value at[MAX_LINES]; /* of row 0 */
  int64_t row[MAX_LINES];
} ResultLines;
void find_result_lines(Product *p, ResultLines *l, Value n0, int vectors); /* of the panel at n0 */
void fetch_result(Tile *t, const ResultLines *l);
/* Of sums that waited in p->partial. */
Value partial_at(Tile *t, Value m, int j);
void finish_panel(Product *p, Value n0, int vectors, bool masked);
void finish_squares(Product *p);

/* ---- emit_contraction.c ---- */
int64_t partial_pitch(const Product *p);
Value at_element(Product *p, Value base, Value index);
Value at_number(Product *p, Value base, int64_t index);
Value vector_load(Product *p, Value pointer, unsigned align);
void vector_store(Product *p, Value v, Value pointer);
Value masked_load(Product *p, Value pointer, Value mask);
void masked_store(Product *p, Value v, Value pointer, Value mask);
Value plus(Product *p, Value x, int64_t n);
Value less(Product *p, Value x, Value y);
Value first_lanes(Product *p, Value count);    /* a mask: lane < count */
Value lanes_left(Product *p, Value n0, int j); /* of vector j of a panel that ends at n_to */

typedef struct LastPanel { /* of columns, where they are no multiple of a panel's */
  int vectors;             /* 0: there is none */
  bool masked;
  bool alone; /* no whole panel comes before it */
  bool alike; /* as wide as the others, which are masked as well */
} LastPanel;

LastPanel last_panel(const Product *p);
bool has_mask_registers(const Product *p);
/* The element of a straight operand at one place of its line and of K. */
Value address_at(Product *p, const Operand *o, Value line, Value k);

#endif
