/* csv.c - see csv.h. Two passes over the mapped text: the first counts rows and fields, so that the table is
 * allocated once and exactly; the second parses. */
#include "runtime/csv.h"
#include "runtime/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Reader {
  NnrtCsv *c;
  const char *path;
  const char *at, *end;
  int64_t line; /* of `at` */
  const NnrtCsvCells *cells;
  NnrtError *e;
} Reader;

/* One field: [text, text+n), inside its quotes where it has them. */
typedef struct FieldText {
  const char *text;
  size_t n;
  bool quoted, doubled; /* doubled: "" inside stands for one quote */
  bool last;            /* of its row */
} FieldText;

static int refuse(Reader *r, int64_t line, const char *what) {
  return nnrt_fail(r->e, NNRT_EDATA, "%s:%lld: %s", r->path, (long long)line, what);
}

/* "column 3" or "column "y"" (where there is a header). */
static const char *column_text(const NnrtCsv *c, int column, char text[96]) {
  if (c->names && column < c->columns) snprintf(text, 96, "column \"%.60s\"", c->names[column]);
  else snprintf(text, 96, "column %d", column);
  return text;
}

/* Takes the end of a row, if it is here: "\n", "\r\n" or the end of the file. */
static bool take_end(Reader *r) {
  if (r->at == r->end) return true;
  if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n') r->at++;
  if (*r->at != '\n') return false;
  r->at++;
  r->line++;
  return true;
}

static int take_quoted(Reader *r, FieldText *f) {
  int64_t line = r->line;
  f->text = ++r->at;
  for (;; r->at++) {
    if (r->at == r->end) return refuse(r, line, "a quote is never closed");
    if (*r->at == '\n') r->line++;
    if (*r->at != '"') continue;
    if (r->at + 1 == r->end || r->at[1] != '"') break;
    f->doubled = true;
    r->at++;
  }
  f->n = (size_t)(r->at++ - f->text);
  f->quoted = true;
  return NNRT_OK;
}

static int take_field(Reader *r, FieldText *f) {
  *f = (FieldText){.text = r->at};
  int64_t line = r->line;
  if (r->at < r->end && *r->at == '"') {
    int status = take_quoted(r, f);
    if (status != NNRT_OK) return status;
  } else {
    while (r->at < r->end && *r->at != ',' && *r->at != '\n' && *r->at != '"') r->at++;
    if (r->at > f->text && (r->at == r->end || *r->at == '\n') && r->at[-1] == '\r') r->at--;
    f->n = (size_t)(r->at - f->text);
  }
  if (memchr(f->text, 0, f->n)) return refuse(r, line, "a NUL byte: not a text file");
  if (r->at < r->end && *r->at == ',') r->at++;
  else if (take_end(r)) f->last = true;
  else if (*r->at == '\r' && r->at + 1 == r->end) r->at++, f->last = true; /* a lone CR closes the file */
  else return refuse(r, line, "a quote stands inside a field");
  return NNRT_OK;
}

static bool at_blank(const Reader *r) {
  const char *p = r->at;
  if (p < r->end && *p == '\r') p++;
  return p == r->end || *p == '\n';
}

/* Goes to the next row that is not blank; false at the end. */
static bool next_row(Reader *r) {
  while (r->at < r->end && at_blank(r)) {
    if (*r->at == '\r') r->at++;
    if (!take_end(r) || r->at == r->end) break;
  }
  return r->at < r->end;
}

static void trim(FieldText *f) {
  if (f->quoted) return;
  while (f->n && (*f->text == ' ' || *f->text == '\t')) f->text++, f->n--;
  while (f->n && (f->text[f->n - 1] == ' ' || f->text[f->n - 1] == '\t')) f->n--;
}

/* ---- the first pass ---- */

/* The first row: how many fields, and whether it is a header (any field that should be a number is none). */
static int read_first(Reader *r, bool *header, size_t *bytes) {
  FieldText f;
  *header = r->cells && r->cells->named;
  for (*bytes = 0, r->c->columns = 0, f.last = false; !f.last; r->c->columns++) {
    int status = take_field(r, &f);
    if (status != NNRT_OK) return status;
    double v;
    trim(&f);
    bool number = nnrt_number(f.text, f.n, &v);
    if (!number && !(r->cells && r->cells->may_hold(r->cells->cx, r->c, r->c->columns, f.n == 0))) *header = true;
    *bytes += f.n + 1;
    if (r->c->columns == 1 << 24) return refuse(r, r->line, "more than 16 million columns");
  }
  return NNRT_OK;
}

static void copy_name(char *to, const FieldText *f) {
  for (size_t i = 0; i < f->n; i++) {
    *to++ = f->text[i];
    if (f->doubled && f->text[i] == '"') i++;
  }
  *to = 0;
}

static int read_names(Reader *r, size_t bytes) {
  NnrtCsv *c = r->c;
  c->text = malloc(bytes);
  c->names = calloc((size_t)c->columns, sizeof *c->names);
  if (!c->text || !c->names) return nnrt_fail_memory(r->e, bytes, r->path);
  char *to = c->text;
  for (int k = 0; k < c->columns; k++) {
    FieldText f;
    int status = take_field(r, &f);
    if (status != NNRT_OK) return status;
    trim(&f);
    copy_name(c->names[k] = to, &f);
    to += f.n + 1;
  }
  return NNRT_OK;
}

/* The rows from here on, each of which must have the table's number of fields. */
static int count_rows(Reader *r) {
  NnrtCsv *c = r->c;
  FieldText f;
  for (c->rows = 0; next_row(r); c->rows++) {
    int64_t line = r->line;
    int n = 0;
    for (f.last = false; !f.last; n++) {
      int status = take_field(r, &f);
      if (status != NNRT_OK) return status;
    }
    if (n != c->columns && !(r->cells && r->cells->may_lack(r->cells->cx, c, n)))
      return nnrt_fail(r->e, NNRT_EDATA, "%s:%lld: %d fields, but %d in the first row", r->path, (long long)line, n,
                       c->columns);
  }
  if (c->rows == 0)
    return nnrt_fail(r->e, NNRT_EDATA, "%s: no rows%s", r->path,
                     c->names ? " after the header" : " (the file is empty)");
  return NNRT_OK;
}

/* ---- the second pass ---- */

static int refuse_field(Reader *r, int64_t line, int column, const FieldText *f) {
  char where[96];
  column_text(r->c, column, where);
  if (f->n == 0) return nnrt_fail(r->e, NNRT_EDATA, "%s:%lld: %s is empty", r->path, (long long)line, where);
  return nnrt_fail(r->e, NNRT_EDATA, "%s:%lld: %s: \"%.*s\" is not a number", r->path, (long long)line, where,
                   (int)(f->n < 40 ? f->n : 40), f->text);
}

/* Notes that `row` stands at `line`, where that does not follow from what is noted. */
static int note_line(Reader *r, int64_t row, int64_t line) {
  NnrtCsv *c = r->c;
  if (c->n_breaks && nnrt_csv_line(c, row) == line) return NNRT_OK;
  if ((c->n_breaks & (c->n_breaks - 1)) == 0) { /* full at each power of two */
    size_t room = (size_t)(c->n_breaks ? 2 * c->n_breaks : 1) * 2 * sizeof *c->breaks;
    int64_t *more = realloc(c->breaks, room);
    if (!more) return nnrt_fail_memory(r->e, room, r->path);
    c->breaks = more;
  }
  c->breaks[2 * c->n_breaks] = row;
  c->breaks[2 * c->n_breaks + 1] = line;
  c->n_breaks++;
  return NNRT_OK;
}

static int read_rows(Reader *r) {
  NnrtCsv *c = r->c;
  double *to = c->values;
  for (int64_t row = 0; next_row(r); row++) {
    int status = note_line(r, row, r->line);
    FieldText f = {0};
    for (int k = 0; status == NNRT_OK && k < c->columns; k++) {
      int64_t line = r->line;
      if (f.last) f.n = 0; /* the row lacks it */
      else status = take_field(r, &f);
      if (status != NNRT_OK) break;
      if (r->cells && r->cells->has(r->cells->cx, c, k)) {
        *to++ = 0;
        status = r->cells->take(r->cells->cx, c, k, &(NnrtCell){f.text, f.n, f.doubled, line}, r->e);
        continue;
      }
      trim(&f);
      if (!nnrt_number(f.text, f.n, to++)) status = refuse_field(r, line, k, &f);
    }
    if (status != NNRT_OK) return status;
  }
  return NNRT_OK;
}

static int read_table(Reader *r) {
  NnrtCsv *c = r->c;
  bool header;
  size_t bytes;
  if (r->end - r->at >= 3 && memcmp(r->at, "\xEF\xBB\xBF", 3) == 0) r->at += 3; /* a byte order mark */
  if (!next_row(r)) return nnrt_fail(r->e, NNRT_EDATA, "%s: the file is empty", r->path);
  Reader start = *r;
  int status = read_first(r, &header, &bytes);
  if (status != NNRT_OK) return status;
  *r = start;
  if (header && (status = read_names(r, bytes)) != NNRT_OK) return status;
  start = *r;
  if ((status = count_rows(r)) != NNRT_OK) return status;
  size_t size;
  if (__builtin_mul_overflow((size_t)c->rows, (size_t)c->columns * sizeof(double), &size) ||
      !(c->values = malloc(size)))
    return nnrt_fail_memory(r->e, (unsigned long long)c->rows * (unsigned)c->columns * 8, r->path);
  *r = start;
  return read_rows(r);
}

int nnrt_csv_open(NnrtCsv *c, const char *path, const NnrtCsvCells *cells, NnrtError *e) {
  *c = (NnrtCsv){0};
  NnrtFile file;
  int status = nnrt_file_open(&file, path, e);
  if (status != NNRT_OK) return status;
  const char *text = (const char *)file.data;
  Reader r = {.c = c, .path = path, .at = text, .end = text + file.size, .line = 1, .cells = cells, .e = e};
  status = read_table(&r);
  nnrt_file_close(&file);
  if (status != NNRT_OK) nnrt_csv_close(c);
  return status;
}

void nnrt_csv_close(NnrtCsv *c) {
  free(c->values);
  free(c->names);
  free(c->text);
  free(c->breaks);
  *c = (NnrtCsv){0};
}

int64_t nnrt_csv_line(const NnrtCsv *c, int64_t row) {
  int low = 0, high = c->n_breaks;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (c->breaks[2 * middle] <= row) low = middle;
    else high = middle;
  }
  return c->breaks[2 * low + 1] + row - c->breaks[2 * low];
}

int nnrt_csv_column(const NnrtCsv *c, const char *name) {
  for (int k = 0; c->names && k < c->columns; k++)
    if (strcmp(c->names[k], name) == 0) return k;
  return -1;
}
