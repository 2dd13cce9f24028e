/* reader_csv_texts.c - tables in which columns are texts, cut into tokens as they are read. All else is
 * reader_csv.c's, which sees the table at the beginning of what is this reader's own. */
#include "runtime/csv.h"
#include "runtime/source.h"

#include <stdlib.h>
#include <string.h>

typedef struct Texts { /* a column */
  int column;          /* -1: not found */
  NnrtTokens tokens;
  int64_t *start; /* [rows + 1] of each row's */
  int64_t rows, longest;
} Texts;

typedef struct Csv {
  NnrtCsv table;
  const NnrtSource *source;
  NnrtVocabulary vocabulary;
  const NnrtColumn **columns; /* of texts, that fields read */
  Texts *texts;               /* of each */
  int n;
} Csv;

/* ---- opening ---- */

/* The columns of the data's fields that are texts; how many. */
static int text_columns(const NnrtSourceOptions *o, const NnrtColumn **to) {
  int n = 0;
  for (int64_t i = 0; i < o->n_fields; i++)
    for (int64_t k = 0; k < o->fields[i].n_raw; k++) {
      if (!o->fields[i].raw[k].text) continue;
      if (to) to[n] = &o->fields[i].raw[k];
      n++;
    }
  return n;
}

static bool is_column(const NnrtCsv *c, const NnrtColumn *wanted, int column) {
  if (wanted->from >= 0) return wanted->from == column;
  return c->names && strcmp(c->names[column], wanted->name) == 0;
}

static bool is_text(void *cx, const NnrtCsv *c, int column) {
  const Csv *own = cx;
  for (int i = 0; i < own->n; i++)
    if (is_column(c, own->columns[i], column)) return true;
  return false;
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

static int take_cell(void *cx, const NnrtCsv *c, int column, const NnrtCell *cell, NnrtError *e) {
  Csv *own = cx;
  int status = NNRT_OK;
  for (int i = 0; status == NNRT_OK && i < own->n; i++) {
    Texts *t = &own->texts[i];
    if (!is_column(c, own->columns[i], column)) continue;
    t->column = column;
    if (!t->start) t->start = calloc((size_t)c->rows + 1, sizeof *t->start);
    if (!t->start) return nnrt_fail_memory(e, (unsigned long long)c->rows * 8, own->source->files[0].path);
    status = cut(own, cell, &t->tokens, e);
    t->start[++t->rows] = t->tokens.n;
    int64_t n = t->tokens.n - t->start[t->rows - 1];
    if (n > t->longest) t->longest = n;
  }
  return status;
}

static int open_csv(NnrtSource *s, NnrtError *e) {
  Csv *own = s->own = calloc(1, sizeof *own);
  if (!own) return nnrt_fail_memory(e, sizeof *own, "a source");
  own->source = s;
  own->n = text_columns(&s->options, NULL);
  own->columns = calloc((size_t)own->n + 1, sizeof *own->columns);
  own->texts = calloc((size_t)own->n + 1, sizeof *own->texts);
  if (!own->columns || !own->texts) return nnrt_fail_memory(e, (size_t)own->n * sizeof *own->texts, "a source");
  text_columns(&s->options, own->columns);
  nnrt_vocabulary_open(&own->vocabulary, s->options.vocabulary);
  NnrtCsvTexts texts = {.cx = own, .is_text = is_text, .take = take_cell};
  for (int i = 0; i < own->n; i++) {
    own->texts[i].column = -1;
    texts.named |= own->columns[i]->from < 0;
  }
  int status = nnrt_csv_open(&own->table, s->files[0].path, &texts, e);
  s->count = own->table.rows;
  return status;
}

static void close_csv(NnrtSource *s) {
  Csv *own = s->own;
  for (int i = 0; own->texts && i < own->n; i++) {
    free(own->texts[i].tokens.at);
    free(own->texts[i].start);
  }
  free(own->texts);
  free(own->columns);
  nnrt_csv_close(&own->table);
}

/* ---- reading ---- */

/* The texts of a column. */
static const Texts *texts_of(const NnrtSource *s, int column) {
  const Csv *own = s->own;
  for (int i = 0; i < own->n; i++)
    if (own->texts[i].column == column) return &own->texts[i];
  return NULL;
}

static int view_csv(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  int status = nnrt_reader_csv.view(s, c, v, e);
  const Texts *t = status == NNRT_OK && c->text ? texts_of(s, v->first) : NULL;
  if (!t) return status;
  *v = (NnrtView){.first = v->first, .width = t->longest, .rank = 1, .shape = {t->longest}, .ragged = true};
  return NNRT_OK;
}

static void place_csv(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  nnrt_reader_csv.place(s, v, example, v->ragged ? 0 : i, text);
}

static int64_t length_csv(const NnrtSource *s, const NnrtView *v, int64_t example) {
  const Texts *t = texts_of(s, v->first);
  return t->start[example + 1] - t->start[example];
}

static int read_csv(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                    NnrtError *e) {
  if (!v->ragged) return nnrt_reader_csv.read(s, v, first, n, t, to, e);
  const Texts *texts = texts_of(s, v->first);
  int64_t row = v->width * nnrt_dtype(t)->bytes;
  int status = NNRT_OK;
  for (int64_t i = 0; status == NNRT_OK && i < n; i++)
    status = nnrt_source_fill(s, v, first + i, NNRT_I32, texts->tokens.at + texts->start[first + i],
                              length_csv(s, v, first + i), t, (char *)to + i * row, e);
  return status;
}

const NnrtReader nnrt_reader_csv_texts = {.name = "csv",
                                          .single = true,
                                          .open = open_csv,
                                          .close = close_csv,
                                          .view = view_csv,
                                          .read = read_csv,
                                          .place = place_csv,
                                          .length = length_csv};
