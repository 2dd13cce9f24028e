/* lex.re - the scanner (re2c): one raw token at a time. Comments are dropped, `##` kept for the next token. A literal
 * with a mistake gives a message and a token all the same; a character that means nothing gives a message and BAD,
 * which makes the parser skip the statement without a word of its own. The text ends in NUL, which no rule passes. */
#include "lang/lex.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static Span span_of(const Lexer *l, const char *begin, const char *end) {
  return (Span){l->number, (uint32_t)(begin - l->source->text), (uint32_t)(end - l->source->text), 0};
}

/* The digits without their underscores. */
static char *plain_digits(Lexer *l, const char *s, size_t n) {
  char *digits = arena_strndup(l->arena, s, n), *to = digits;
  for (const char *from = digits; *from; from++)
    if (*from != '_') *to++ = *from;
  *to = 0;
  return digits;
}

static int64_t integer_value(Lexer *l, const char *s, size_t n) {
  errno = 0;
  long long v = strtoll(plain_digits(l, s, n), NULL, 10);
  if (errno == ERANGE)
    diag_help(diag_add(l->sink, DIAG_BAD_NUMBER, span_of(l, s, s + n), "this integer does not fit 64 bits"),
              "the largest is 9223372036854775807; a real is written with a point, `1e20`");
  return v;
}

static double real_value(Lexer *l, const char *s, size_t n) {
  double v = strtod(plain_digits(l, s, n), NULL);
  if (v > 1.7976931348623157e308)
    diag_help(diag_add(l->sink, DIAG_BAD_NUMBER, span_of(l, s, s + n), "this number is larger than any f64"),
              "infinity is written `inf`");
  return v;
}

static Diag *bad_number(Lexer *l, const char *begin, const char *message, const char *help) {
  Diag *d = diag_add(l->sink, DIAG_BAD_NUMBER, span_of(l, begin, l->cursor), "%s", message);
  return help ? diag_help(d, "%s", help) : d;
}

/* Before and after the number as it stands, what it lacks. */
static void complete_number(const Lexer *l, Diag *d, const char *begin, const char *before, const char *after) {
  int n = (int)(l->cursor - begin);
  diag_fix(d, span_of(l, begin, l->cursor), "%s%.*s%s", before, n, begin, after);
}

/* Whether what stands right before can be picked from: `blocks.0`. */
static bool follows_operand(const Lexer *l, const char *begin) {
  return begin > l->source->text && (isalnum((unsigned char)begin[-1]) || strchr("_])", begin[-1]));
}

/* The text between the quotes with its escapes resolved. */
static Str string_value(Lexer *l, const char *s, const char *end) {
  Diag *d;
  char *text = arena_alloc(l->arena, (size_t)(end - s) + 1), *to = text;
  for (; s < end; s++) {
    if (*s != '\\') {
      *to++ = *s;
      continue;
    }
    s++;
    switch (*s) {
    case 'n': *to++ = '\n'; break;
    case 't': *to++ = '\t'; break;
    case '"': case '\\': *to++ = *s; break;
    default:
      d = diag_add(l->sink, DIAG_BAD_STRING, span_of(l, s - 1, s + 1), "no such escape in a text");
      diag_help(d, "there are \\n, \\t, \\\" and \\\\; a backslash itself is written twice");
      diag_fix(d, span_of(l, s - 1, s), "\\\\");
    }
  }
  return str_intern(l->names, text, (size_t)(to - text));
}

/* What is written elsewhere for something that has another sign here. */
static const struct {
  const char *sign, *help, *text; /* what takes its place: NULL, where more than the sign has to change */
} foreign_signs[] = {
    {"&&", NULL, "and"},
    {"||", NULL, "or"},
    {"&", NULL, "and"},
    {"|", "write `or`, or `|>` to pass a value on", "or"},
    {"!", NULL, "not "},
    {"^", "powers are written `x ** 2`", "**"},
    {"'", "texts are written in double quotes", NULL},
    {"@", "a matrix product is `matmul(a, b)`, or in index notation `[i, j] => sum(k: a[i, k] * b[k, j])`", NULL},
    {"?", "a choice is written `if c then a else b`", NULL},
    {"`", "names are written without quotes", NULL},
    {"+=", "write the sum out, `x = x + …`", NULL},
    {"-=", "write the difference out, `x = x - …`", NULL},
    {"*=", "write the product out, `x = x * …`", NULL},
    {"/=", "write the quotient out, `x = x / …`; unequal is `!=`", NULL},
    {"++", "write `x = x + 1`", NULL},
    {":=", "definitions are written with `=`", "="},
    {"===", NULL, "=="},
    {"\xc3\x97", NULL, "*"},
    {"\xc2\xb7", NULL, "*"},
    {"\xc3\xb7", NULL, "/"},
    {"\xe2\x88\x92", NULL, "-"},
    {"\xe2\x80\x93", NULL, "-"},
    {"\xe2\x89\xa4", NULL, "<="},
    {"\xe2\x89\xa5", NULL, ">="},
    {"\xe2\x89\xa0", NULL, "!="},
    {"\xe2\x86\x92", NULL, "->"},
    {"\xe2\x86\x90", NULL, "<-"},
    {"\xe2\x80\x9c", "texts are written in plain double quotes, `\"`", NULL},
    {"\xe2\x80\x9d", "texts are written in plain double quotes, `\"`", NULL},
    {"\xe2\x80\x98", "texts are written in double quotes, `\"`", NULL},
    {"\xe2\x80\x99", "texts are written in double quotes, `\"`", NULL},
    {"\xe2\x80\xa6", "write three dots, or what they stand for", NULL},
    {"\xc2\xa0", "this is a no-break space; write a plain one", " "},
    {"\xe2\x88\x9e", NULL, "inf"},
    {"\xcf\x80", "names are written in the letters a-z", "pi"},
    {"$", NULL, NULL},
    {"\\", "a statement goes on after an operator or inside brackets; no sign is needed", ""},
};

static void foreign_sign(Diag *d, Span at, const char *begin, size_t n) {
  for (size_t i = 0; i < sizeof foreign_signs / sizeof *foreign_signs; i++) {
    const char *help = foreign_signs[i].help, *text = foreign_signs[i].text;
    if (strlen(foreign_signs[i].sign) != n || memcmp(foreign_signs[i].sign, begin, n)) continue;
    if (help) diag_help(d, "%s", help);
    else if (text) diag_help(d, "write `%.*s`", (int)strcspn(text, " "), text);
    if (text) diag_fix(d, at, "%s", text);
  }
}

static void bad_character(Lexer *l, const char *begin) {
  int n = (int)(l->cursor - begin);
  unsigned char c = (unsigned char)*begin;
  Diag *d;
  if (c < 0x20 || c == 0x7f)
    d = diag_add(l->sink, DIAG_BAD_CHARACTER, span_of(l, begin, l->cursor), "a control character (%d) stands here", c);
  else
    d = diag_add(l->sink, DIAG_BAD_CHARACTER, span_of(l, begin, l->cursor), "`%.*s` is no sign of the language", n, begin);
  foreign_sign(d, span_of(l, begin, l->cursor), begin, (size_t)n);
  if (!d->help && c >= 0x80) diag_help(d, "names are written in the letters a-z, digits and `_`");
}

static void doc_line(Lexer *l, const char *s, const char *end) {
  if (l->doc.n) buf_puts(&l->doc, "\n");
  if (s < end && *s == ' ') s++;
  while (end > s && (end[-1] == '\r' || end[-1] == ' ')) end--;
  buf_write(&l->doc, s, (size_t)(end - s));
  if (!l->doc.n) buf_write(&l->doc, "", 0);
}

/* Ties the waiting comment to the token that begins here. */
static void doc_flush(Lexer *l, const char *begin) {
  if (!l->doc.text) return;
  vec_push(l->arena, &l->docs, (Doc){(uint32_t)(begin - l->source->text), str_intern(l->names, l->doc.text, l->doc.n)});
  buf_free(&l->doc);
}

static int word_kind(Str word) {
  int kind = token_word(word, TOKEN_RESERVED | TOKEN_CONTEXT);
  return kind ? kind : T_NAME;
}

/* Passes white space, line ends and comments; true if a line ended. Documentation is kept for the next token. */
static bool skip_blanks(Lexer *l, const char **line_end) {
  bool ended = false;
  for (;; l->cursor++) {
    const char *s = l->cursor;
    if (*s == '\n') {
      if (!ended) *line_end = s;
      ended = l->line_start = true;
      l->indent = 0;
    } else if (*s == '#') {
      while (*l->cursor && *l->cursor != '\n') l->cursor++;
      vec_push(l->arena, &l->comments, span_of(l, s, l->cursor));
      if (s[1] == '#' && l->line_start) doc_line(l, s + 2, l->cursor);
      l->cursor--;
    } else if (*s != ' ' && *s != '\t' && *s != '\r') {
      return ended;
    } else if (l->line_start) {
      l->indent += *s == '\t' ? 8 - l->indent % 8 : *s == ' ';
    }
  }
}

Token lexer_raw(Lexer *l) {
  const char *end = l->source->text + l->source->n, *marker, *line_end = NULL;
  Token t = {0};
  if (skip_blanks(l, &line_end)) {
    if (l->angle == l->depth + 1) l->angle = 0; /* an `i32<` left open does not reach over the line */
    t.kind = T_NEWLINE;
    t.span = span_of(l, line_end, line_end + 1);
    return t;
  }
  const char *begin = l->cursor;
  t.first_on_line = l->line_start;
  t.indent = l->indent;
  l->line_start = false;
#define TOKEN_IS(k) do { t.kind = (k); goto done; } while (0)
#define CLOSE(k) do { l->depth -= l->depth > 0; TOKEN_IS(k); } while (0)
#define OPEN(k) do { l->depth++; TOKEN_IS(k); } while (0)
  /*!re2c
    re2c:api = custom;
    re2c:api:style = free-form;
    re2c:yyfill:enable = 0;
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYPEEK = "(unsigned char)*l->cursor";
    re2c:define:YYSKIP = "++l->cursor;";
    re2c:define:YYBACKUP = "marker = l->cursor;";
    re2c:define:YYRESTORE = "l->cursor = marker;";
    re2c:define:YYBACKUPCTX = "marker = l->cursor;";
    re2c:define:YYRESTORECTX = "l->cursor = marker;";
    re2c:define:YYSHIFT = "l->cursor += @@;";

    digits  = [0-9] ("_"? [0-9])*;
    exponent = [eE] [+-]? [0-9]+;
    word    = [A-Za-z_] [A-Za-z0-9_]*;
    wide    = [\xc0-\xdf] [\x80-\xbf] | [\xe0-\xef] [\x80-\xbf]{2} | [\xf0-\xf7] [\x80-\xbf]{3};
    bounded = "f64" | "f32" | "f16" | "bf16" | "i64" | "i32" | "i16" | "i8" | "u8" | "bool";

    "\x00" {
      l->cursor = begin;
      if (begin == end) TOKEN_IS(T_END);
      l->cursor++;
      bad_character(l, begin);
      TOKEN_IS(T_BAD);
    }
    * {
      /* Not one of the language's: the whole character, or a sign of other languages. */
      if ((unsigned char)*begin >= 0x80)
        while (((unsigned char)*l->cursor & 0xc0) == 0x80) l->cursor++;
      bad_character(l, begin);
      TOKEN_IS(T_BAD);
    }
    "&&" | "||" | "+=" | "-=" | "*=" | "/=" | "++" | ":=" | "===" | wide {
      bad_character(l, begin);
      TOKEN_IS(T_BAD);
    }

    digits {
      t.integer = integer_value(l, begin, (size_t)(l->cursor - begin));
      TOKEN_IS(T_INTEGER);
    }
    digits "." digits exponent? | digits exponent {
      t.real = real_value(l, begin, (size_t)(l->cursor - begin));
      TOKEN_IS(T_REAL);
    }
    digits "." / [^.0-9A-Za-z_] {
      complete_number(l, bad_number(l, begin, "a number does not end in a point", "write the digit after it, `1.0`"), begin, "", "0");
      TOKEN_IS(T_REAL);
    }
    "." digits exponent? {
      if (!follows_operand(l, begin)) {
        complete_number(l, bad_number(l, begin, "a number does not begin with a point", "write the zero, `0.5`"), begin, "0", "");
        TOKEN_IS(T_REAL);
      }
      bad_number(l, begin, "a number can't stand after a point", "a sub-model or element is picked by `blocks[0]`");
      TOKEN_IS(T_BAD);
    }
    [0-9] [0-9_]* {
      bad_number(l, begin, "`_` stands between two digits only", NULL);
      TOKEN_IS(T_INTEGER);
    }
    digits ("." digits)? exponent? [A-Za-z_] [A-Za-z0-9_]* {
      bad_number(l, begin, "a number runs into a word", "products are written with `*`, and a name can't begin with a digit");
      TOKEN_IS(T_BAD);
    }
    ["] ([^"\\\n\x00] | "\\" [^\n\x00])* ["] {
      t.text = string_value(l, begin + 1, l->cursor - 1);
      TOKEN_IS(T_STRING);
    }
    ["] ([^"\\\n\x00] | "\\" [^\n\x00])* {
      Diag *d = diag_add(l->sink, DIAG_BAD_STRING, span_of(l, begin, l->cursor), "this text has no closing `\"`");
      diag_help(d, "a text ends on the line where it begins; a line break in it is written \\n");
      diag_fix(d, span_of(l, l->cursor, l->cursor), "\"");
      TOKEN_IS(T_BAD);
    }
    bounded "<" / [^\-=] {
      l->angle = l->depth + 1;
      t.text = str_intern(l->names, begin, (size_t)(l->cursor - begin) - 1);
      TOKEN_IS(T_TYPE_LT);
    }
    word {
      t.text = str_intern(l->names, begin, (size_t)(l->cursor - begin));
      TOKEN_IS(word_kind(t.text));
    }

    ">" | ">=" {
      if (l->angle == l->depth + 1) { /* `i32<10>= e` is two signs */
        l->cursor = begin + 1;
        l->angle = 0;
        TOKEN_IS(T_TYPE_GT);
      }
      TOKEN_IS(l->cursor == begin + 1 ? T_GT : T_GE);
    }
    "("  { OPEN(T_LPAREN); }
    ")"  { CLOSE(T_RPAREN); }
    "["  { OPEN(T_LBRACKET); }
    "]"  { CLOSE(T_RBRACKET); }
    "{"  { OPEN(T_LBRACE); }
    "}"  { CLOSE(T_RBRACE); }
    "."  { TOKEN_IS(T_DOT); }
    ".." { TOKEN_IS(T_DOTDOT); }
    ","  { TOKEN_IS(T_COMMA); }
    ":"  { TOKEN_IS(T_COLON); }
    ";"  { TOKEN_IS(T_NEWLINE); }
    "="  { TOKEN_IS(T_EQUALS); }
    "~"  { TOKEN_IS(T_TILDE); }
    "<-" { TOKEN_IS(T_LARROW); }
    "->" { TOKEN_IS(T_RARROW); }
    "=>" { TOKEN_IS(T_ARROW); }
    "|>" { TOKEN_IS(T_PIPE); }
    "==" { TOKEN_IS(T_EQ); }
    "!=" { TOKEN_IS(T_NE); }
    "<"  { TOKEN_IS(T_LT); }
    "<=" { TOKEN_IS(T_LE); }
    "+"  { TOKEN_IS(T_PLUS); }
    "-"  { TOKEN_IS(T_MINUS); }
    "*"  { TOKEN_IS(T_STAR); }
    "/"  { TOKEN_IS(T_SLASH); }
    "//" { TOKEN_IS(T_DSLASH); }
    "%"  { TOKEN_IS(T_PERCENT); }
    "**" { TOKEN_IS(T_POW); }
  */
done:
  if (t.kind == T_END) buf_free(&l->doc);
  else doc_flush(l, begin);
  t.span = span_of(l, begin, l->cursor);
  return t;
}
