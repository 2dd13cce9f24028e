/* reader_csv_cells.c - tables whose rows differ in what they hold: columns of texts, cut into tokens as they are
 * read, and columns of numbers of which a row has the first so many. All else is reader_csv.c's, which sees the table
 * at the beginning of what is this reader's own. */
#include "runtime/csv.h"
#include "runtime/source.h"

#include <stdlib.h>
#include <string.h>

typedef struct Cells { /* what fields read of each row, as NnrtView.first counts them */
  const NnrtColumn *wanted;
  int column;        /* the first; -1: not found */
  NnrtTokens tokens; /* of texts, all rows' */
  double *numbers;   /* or of columns that a row may lack */
  int64_t n, room;
  int64_t *start; /* [rows + 1] of each row's */
  int64_t rows, longest;
  bool lacks; /* the row at hand has no more */
} Cells;

typedef struct Csv {
  NnrtCsv table;
  const NnrtSource *source;
  NnrtVocabulary vocabulary;
  Cells *cells;
  int n;
} Csv;

/* ---- opening ---- */

static bool same_cells(const NnrtColumn *a, const NnrtColumn *b) {
  if (a->from >= 0 || b->from >= 0) return a->from == b->from && a->to == b->to;
  return strcmp(a->name, b->name) == 0;
}

static void add_cells(Csv *own, const NnrtColumn *c) {
  for (int i = 0; i < own->n; i++)
    if (same_cells(own->cells[i].wanted, c)) return;
  own->cells[own->n++] = (Cells){.wanted = c, .column = -1};
}

/* Is it one of these? A field with a size of each example's own, and what asks for a length. */
static bool is_cells(const NnrtField *f, const NnrtColumn *c) {
  return c->text || c->length || (f->n_shape && f->shape[0] < 0);
}

static int find_cells(Csv *own, const NnrtSourceOptions *o, NnrtError *e) {
  size_t n = 1;
  for (int64_t i = 0; i < o->n_fields; i++) n += (size_t)o->fields[i].n_raw;
  own->cells = calloc(n, sizeof *own->cells);
  if (!own->cells) return nnrt_fail_memory(e, n * sizeof *own->cells, "a source");
  for (int64_t i = 0; i < o->n_fields; i++)
    for (int64_t k = 0; k < o->fields[i].n_raw; k++)
      if (is_cells(&o->fields[i], &o->fields[i].raw[k])) add_cells(own, &o->fields[i].raw[k]);
  return NNRT_OK;
}

static bool has_column(const NnrtCsv *c, const NnrtColumn *wanted, int column) {
  if (wanted->from >= 0) return column >= wanted->from && column < wanted->to;
  return c->names && strcmp(c->names[column], wanted->name) == 0;
}

/* What is wanted of a column; NULL: it holds a number. */
static const NnrtColumn *wanted(const Csv *own, const NnrtCsv *c, int column) {
  for (int i = 0; i < own->n; i++)
    if (has_column(c, own->cells[i].wanted, column)) return own->cells[i].wanted;
  return NULL;
}

static bool has(void *cx, const NnrtCsv *c, int column) { return wanted(cx, c, column) != NULL; }

static bool may_hold(void *cx, const NnrtCsv *c, int column, bool empty) {
  const NnrtColumn *w = wanted(cx, c, column);
  return w && (w->text || empty);
}

/* Where there is no header the longest row says how many columns there are. */
static bool may_lack(void *cx, NnrtCsv *c, int n) {
  bool more = n > c->columns, may = !more || !c->names;
  for (int k = more ? c->columns : n; may && k < (more ? n : c->columns); k++) {
    const NnrtColumn *w = wanted(cx, c, k);
    may = w && !w->text;
  }
  if (may && more) c->columns = n;
  return may;
}

/* A cell's text, "" in quotes being one, as tokens. */
static int cut(const Csv *own, const NnrtCell *cell, NnrtTokens *to, NnrtError *e) {
  const NnrtTokenizer *z = own->source->options.tokenizer;
  const char *path = own->source->files[0].path;
  if (!cell->doubled) return nnrt_tokenize(z, &own->vocabulary, cell->text, cell->n, path, cell->line, to, e);
  char *text = malloc(cell->n + 1);
  if (!text) return nnrt_fail_memory(e, cell->n, path);
  size_t n = 0;
  for (size_t i = 0; i < cell->n; i++) {
    text[n++] = cell->text[i];
    i += cell->text[i] == '"';
  }
  int status = nnrt_tokenize(z, &own->vocabulary, text, n, path, cell->line, to, e);
  free(text);
  return status;
}

/* A number, or the end of what the row has: after it there is none. */
static int take_number(const Csv *own, Cells *t, int column, const NnrtCell *cell, NnrtError *e) {
  const char *path = own->source->files[0].path, *text = cell->text;
  size_t n = cell->n;
  for (; n && (*text == ' ' || *text == '\t'); n--) text++;
  while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
  if (column == t->column) t->lacks = false;
  if (n == 0) {
    t->lacks = true;
    return NNRT_OK;
  }
  if (t->lacks)
    return nnrt_fail(e, NNRT_EDATA, "%s:%lld: column %d has a number, and one before it is empty", path,
                     (long long)cell->line, column);
  if (t->n == t->room) {
    t->room = t->room ? 2 * t->room : 64;
    double *more = realloc(t->numbers, (size_t)t->room * sizeof *more);
    if (!more) return nnrt_fail_memory(e, (unsigned long long)t->room * sizeof *more, path);
    t->numbers = more;
  }
  if (nnrt_number(text, n, &t->numbers[t->n++])) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s:%lld: column %d: \"%.*s\" is not a number", path, (long long)cell->line, column,
                   (int)(n < 40 ? n : 40), text);
}

/* Goes on with what the row has: a row begins with the first of the columns. */
static int take_cell(void *cx, const NnrtCsv *c, int column, const NnrtCell *cell, NnrtError *e) {
  Csv *own = cx;
  int status = NNRT_OK;
  for (int i = 0; status == NNRT_OK && i < own->n; i++) {
    Cells *t = &own->cells[i];
    if (!has_column(c, t->wanted, column)) continue;
    if (t->wanted->from < 0 || column == t->wanted->from) t->column = column, t->rows++;
    if (!t->start) t->start = calloc((size_t)c->rows + 1, sizeof *t->start);
    if (!t->start) return nnrt_fail_memory(e, (unsigned long long)c->rows * 8, own->source->files[0].path);
    status = t->wanted->text ? cut(own, cell, &t->tokens, e) : take_number(own, t, column, cell, e);
    t->start[t->rows] = t->wanted->text ? t->tokens.n : t->n;
    int64_t n = t->start[t->rows] - t->start[t->rows - 1];
    if (n > t->longest) t->longest = n;
  }
  return status;
}

static int open_csv(NnrtSource *s, NnrtError *e) {
  Csv *own = s->own = calloc(1, sizeof *own);
  if (!own) return nnrt_fail_memory(e, sizeof *own, "a source");
  own->source = s;
  int status = find_cells(own, &s->options, e);
  if (status != NNRT_OK) return status;
  if (s->options.vocabulary) nnrt_vocabulary_open(&own->vocabulary, s->options.vocabulary);
  NnrtCsvCells cells = {.cx = own, .has = has, .may_hold = may_hold, .may_lack = may_lack, .take = take_cell};
  for (int i = 0; i < own->n; i++) cells.named |= own->cells[i].wanted->from < 0;
  status = nnrt_csv_open(&own->table, s->files[0].path, &cells, e);
  s->count = own->table.rows;
  return status;
}

static void close_csv(NnrtSource *s) {
  Csv *own = s->own;
  for (int i = 0; i < own->n; i++) {
    free(own->cells[i].tokens.at);
    free(own->cells[i].numbers);
    free(own->cells[i].start);
  }
  free(own->cells);
  nnrt_csv_close(&own->table);
}

/* ---- reading ---- */

static const Cells *cells_of(const NnrtSource *s, const NnrtView *v) {
  return &((const Csv *)s->own)->cells[v->first];
}

/* A column of texts is no number, and one that a row may lack is read with its length. */
static int check_number(const NnrtSource *s, const NnrtView *v, NnrtError *e) {
  const Csv *own = s->own;
  char place[256];
  for (int k = 0; k < own->n; k++) {
    const Cells *t = &own->cells[k];
    int64_t n = t->wanted->from < 0 ? 1 : t->wanted->to - t->wanted->from;
    if (t->column < 0 || v->first >= t->column + n || v->first + v->width <= t->column) continue;
    nnrt_reader_csv.place(s, v, 0, 0, place);
    return nnrt_fail(e, NNRT_EDATA, "%s %s, and another field reads it as a number", place,
                     t->wanted->text ? "has texts" : "is one that a row may lack");
  }
  return NNRT_OK;
}

static int view_csv(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  const Csv *own = s->own;
  NnrtColumn first = *c;
  int k = 0;
  while (k < own->n && !(same_cells(own->cells[k].wanted, c) && (c->text || c->length || !c->single))) k++;
  if (k < own->n && c->from >= 0) first.to = first.from + 1; /* the others a row may lack */
  int status = nnrt_reader_csv.view(s, &first, v, e);
  if (status == NNRT_OK && k == own->n) status = check_number(s, v, e);
  if (status != NNRT_OK || k == own->n) return status;
  int64_t longest = own->cells[k].longest;
  *v = (NnrtView){.first = k, .width = longest, .rank = 1, .shape = {longest}, .ragged = true};
  return NNRT_OK;
}

static void place_csv(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  NnrtView own = *v;
  const Cells *t = v->ragged ? cells_of(s, v) : NULL;
  if (t) own.first = t->column;
  nnrt_reader_csv.place(s, &own, example, t && t->wanted->text ? 0 : i, text);
}

static int64_t length_csv(const NnrtSource *s, const NnrtView *v, int64_t example) {
  const Cells *t = cells_of(s, v);
  return t->start[example + 1] - t->start[example];
}

static int read_csv(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                    NnrtError *e) {
  if (!v->ragged) return nnrt_reader_csv.read(s, v, first, n, t, to, e);
  const Cells *c = cells_of(s, v);
  int64_t row = v->width * nnrt_dtype(t)->bytes;
  int status = NNRT_OK;
  for (int64_t i = 0; status == NNRT_OK && i < n; i++) {
    int64_t at = c->start[first + i], length = c->start[first + i + 1] - at;
    char *place = (char *)to + i * row;
    status = c->wanted->text ? nnrt_source_fill(s, v, first + i, NNRT_I32, c->tokens.at + at, length, t, place, e)
                             : nnrt_source_fill(s, v, first + i, NNRT_F64, c->numbers + at, length, t, place, e);
  }
  return status;
}

const NnrtReader nnrt_reader_csv_cells = {.name = "csv",
                                          .single = true,
                                          .open = open_csv,
                                          .close = close_csv,
                                          .view = view_csv,
                                          .read = read_csv,
                                          .place = place_csv,
                                          .length = length_csv};
