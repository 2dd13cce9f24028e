/* format.c - see format.h. Works on tokens, not on the tree: so no comment is lost and no line is broken or joined.
 * What stands between two tokens of a line follows from their kinds; `*`, `/` and their like keep the writer's choice
 * of spaces or none (`i*stride + u`), and so do columns before a definition's `=` and before a comment at a line's
 * end. */
#include "lang/format.h"

#include <string.h>

#include "lang/lex.h"

enum { STEP = 2, CONTINUATION = 4 };

typedef struct Item { /* a token, or a comment (kind T_END) */
  int kind;
  Span span;
  bool goes_on;         /* the newline before it, if there is one, ends no statement */
  bool is_unary;        /* a minus sign */
  bool is_tight;        /* no space on either side */
  bool is_slice;        /* a colon between [ and ] */
  int braces, brackets; /* open before it */
} Item;

typedef struct Formatter {
  Arena *arena;
  Buf *out;
  const Source *source;
  Vec(Item) items;
} Formatter;

/* ---- items */

static bool ends_operand(int kind) {
  return kind == T_NAME || kind == T_INTEGER || kind == T_REAL || kind == T_STRING || kind == T_TRUE ||
         kind == T_FALSE || kind == T_RPAREN || kind == T_RBRACKET || kind == T_RBRACE ||
         (token_flags(kind) & TOKEN_CONTEXT);
}

static bool is_product(int kind) {
  return kind == T_STAR || kind == T_SLASH || kind == T_DSLASH || kind == T_PERCENT || kind == T_POW;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* All tokens but the newlines, in order. */
static void read_tokens(Formatter *f, Lexer *l) {
  const char *text = f->source->text;
  int braces = 0, last = T_NEWLINE;
  Vec(int) open = {0};
  for (Token t = lexer_next(l); t.kind != T_END; t = lexer_next(l)) {
    bool newline = t.kind == T_NEWLINE && text[t.span.begin] == '\n';
    if (!newline) {
      Item item = {.kind = t.kind, .span = t.span, .goes_on = !t.starts && t.kind != T_RBRACE};
      if (last == T_NEWLINE) item.goes_on = false;
      item.is_unary = t.kind == T_MINUS && !ends_operand(last);
      item.is_tight = is_product(t.kind) && !is_blank(text[t.span.begin - 1]) && !is_blank(text[t.span.end]);
      item.is_slice = t.kind == T_COLON && open.n && open.at[open.n - 1] == T_LBRACKET;
      if (t.kind == T_RBRACE && braces) braces--;
      if ((t.kind == T_RPAREN || t.kind == T_RBRACKET) && open.n) open.n--;
      item.braces = braces;
      item.brackets = open.n;
      if (t.kind == T_LBRACE) braces++;
      if (t.kind == T_LPAREN || t.kind == T_LBRACKET) vec_push(f->arena, &open, t.kind);
      vec_push(f->arena, &f->items, item);
    }
    last = t.kind;
  }
}

/* Puts the comments among the tokens. One that stands alone is indented as the token after it, but for a closing
 * brace's, which is indented as what is in the braces. */
static void merge_comments(Formatter *f, const Lexer *l) {
  Vec(Item) all = {0};
  int c = 0;
  for (int i = 0; i <= f->items.n; i++) {
    const Item *next = i < f->items.n ? &f->items.at[i] : NULL;
    for (; c < l->comments.n && (!next || l->comments.at[c].begin < next->span.begin); c++) {
      Item comment = {.kind = T_END, .span = l->comments.at[c]};
      if (next) {
        comment.goes_on = next->goes_on;
        comment.braces = next->braces + (next->kind == T_RBRACE);
        comment.brackets = next->brackets + (next->kind == T_RPAREN || next->kind == T_RBRACKET);
      }
      vec_push(f->arena, &all, comment);
    }
    if (next) vec_push(f->arena, &all, *next);
  }
  f->items.at = all.at;
  f->items.n = all.n;
}

/* ---- spaces */

static bool needs_space(const Item *a, const Item *b) {
  int l = a->kind, r = b->kind;
  if (a->is_unary || a->is_tight || b->is_tight) return false;
  if (l == T_LBRACE || r == T_RBRACE) return true;
  if (l == T_LPAREN || l == T_LBRACKET || l == T_DOT || l == T_DOTDOT || l == T_TYPE_LT) return false;
  if (r == T_COMMA || r == T_NEWLINE || r == T_RPAREN || r == T_RBRACKET || r == T_DOT || r == T_TYPE_GT)
    return false;
  if (l == T_COMMA || l == T_NEWLINE) return true;
  if (r == T_COLON || a->is_slice) return false;
  if (r == T_LPAREN || r == T_LBRACKET)
    return !(l == T_TYPE_GT || l == T_RPAREN || l == T_RBRACKET || l == T_NAME || (token_flags(l) & TOKEN_CONTEXT));
  return true;
}

static int newlines_between(const Formatter *f, uint32_t begin, uint32_t end) {
  int n = 0;
  for (uint32_t i = begin; i < end; i++) n += f->source->text[i] == '\n';
  return n;
}

static int written_column(const Formatter *f) {
  int column = 0;
  for (size_t i = f->out->n; i > 0 && f->out->text[i - 1] != '\n'; i--)
    column += ((unsigned char)f->out->text[i - 1] & 0xc0) != 0x80;
  return column;
}

static int source_column(const Formatter *f, uint32_t offset) {
  int line, column;
  source_position(f->source, offset, &line, &column);
  return column - 1;
}

/* The spaces before an item that is not the first of its line. */
static int spaces_before(const Formatter *f, const Item *a, const Item *b) {
  int had = (int)(b->span.begin - a->span.end);
  if (b->kind == T_END) { /* a comment keeps its column, if it can */
    int column = source_column(f, b->span.begin) - written_column(f);
    return had > 2 && column >= 2 ? column : 2;
  }
  bool defines = (b->kind == T_EQUALS || b->kind == T_TILDE) && b->brackets == 0;
  return defines && had > 1 ? had : needs_space(a, b);
}

static int indent_of(const Item *b) {
  if (b->brackets > 0) return STEP * (b->braces + b->brackets);
  bool closes = b->kind == T_RPAREN || b->kind == T_RBRACKET;
  return STEP * b->braces + (b->goes_on && !closes ? CONTINUATION : 0);
}

/* ---- text */

static void write_item(Formatter *f, const Item *b) {
  const char *text = f->source->text + b->span.begin;
  size_t n = b->span.end - b->span.begin;
  if (b->kind != T_END) {
    buf_write(f->out, text, n);
    return;
  }
  while (n > 0 && is_blank(text[n - 1])) n--;
  size_t signs = strspn(text, "#");
  if (signs > n) signs = n;
  buf_write(f->out, text, signs);
  if (signs < n && !is_blank(text[signs]) && text[signs] != '!') buf_puts(f->out, " ");
  buf_write(f->out, text + signs, n - signs);
}

static void write_items(Formatter *f) {
  for (int i = 0; i < f->items.n; i++) {
    const Item *b = &f->items.at[i], *a = i ? b - 1 : NULL;
    int lines = a ? newlines_between(f, a->span.end, b->span.begin) : 0;
    if (lines == 0 && a) {
      buf_printf(f->out, "%*s", spaces_before(f, a, b), "");
    } else {
      bool empty_line = lines > 1 && a->kind != T_LBRACE && b->kind != T_RBRACE;
      if (a) buf_puts(f->out, empty_line ? "\n\n" : "\n");
      buf_printf(f->out, "%*s", indent_of(b), "");
    }
    write_item(f, b);
  }
  if (f->items.n) buf_puts(f->out, "\n");
}

/* The result must be the same tokens. */
static void check_result(const Formatter *f, const Lexer *l, const Sources *sources) {
  Sources copy = {.arena = f->arena};
  for (int i = 0; i < sources->all.n; i++) vec_push(f->arena, &copy.all, sources->all.at[i]);
  DiagSink sink = {.arena = f->arena};
  uint32_t again = sources_add(&copy, "", f->out->text ? f->out->text : "", f->out->n);
  Lexer before, after;
  lexer_init(&before, f->arena, l->names, &copy, l->number, &sink);
  lexer_init(&after, f->arena, l->names, &copy, again, &sink);
  for (;;) {
    Token t = lexer_next(&before), u = lexer_next(&after);
    if (t.kind == T_END && u.kind == T_NEWLINE) u = lexer_next(&after); /* the last line had none */
    size_t n = t.span.end - t.span.begin;
    bool same =
        t.kind == u.kind &&
        (t.kind == T_NEWLINE || (n == u.span.end - u.span.begin &&
                                 !memcmp(before.source->text + t.span.begin, after.source->text + u.span.begin, n)));
    if (!same) ice("fmt would change token %s at byte %u", token_kind_name(t.kind), t.span.begin);
    if (t.kind == T_END) return;
  }
}

void format_source(Buf *out, Arena *arena, StrTable *names, const Sources *sources, uint32_t source) {
  DiagSink sink = {.arena = arena};
  Lexer l;
  lexer_init(&l, arena, names, sources, source, &sink);
  Formatter f = {.arena = arena, .out = out, .source = sources_get(sources, source)};
  read_tokens(&f, &l);
  merge_comments(&f, &l);
  write_items(&f);
  check_result(&f, &l, sources);
}
