/* document.c - see document.h. A page is made of six things (headings, paragraphs, code, lists of links and of named
 * texts), which each format writes its way. Signatures are the source's own text between two places, on one line. */
#include "lang/document.h"

#include <string.h>

typedef struct Page {
  Buf *out;
  const Sources *sources;
  bool html;
} Page;

/* ---- text ---- */

static const char *html_entity(char c) {
  return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
}

static void put_char(Page *p, char c, bool code) {
  const char *entity = p->html ? html_entity(c) : NULL;
  if (entity) buf_puts(p->out, entity);
  else if (!p->html && !code && c && strchr("*_<>#|[]", c)) buf_printf(p->out, "\\%c", c);
  else buf_write(p->out, &c, 1);
}

/* A comment's words; what stands in `backticks` is code. */
static void put_text(Page *p, const char *text, size_t n) {
  bool code = false;
  for (size_t i = 0; i < n; i++) {
    if (text[i] != '`') {
      put_char(p, text[i], code);
      continue;
    }
    code = !code;
    buf_puts(p->out, !p->html ? "`" : code ? "<code>" : "</code>");
  }
  if (code) buf_puts(p->out, p->html ? "</code>" : "`");
}

static void put_code(Page *p, const char *text, size_t n) {
  buf_puts(p->out, p->html ? "<pre>" : "```\n");
  for (size_t i = 0; i < n; i++) put_char(p, text[i], true);
  if (n && text[n - 1] != '\n') buf_puts(p->out, "\n");
  buf_puts(p->out, p->html ? "</pre>\n" : "```\n\n");
}

static void put_heading(Page *p, int level, const char *text, const char *anchor) {
  if (p->html) buf_printf(p->out, "<h%d id=\"%s\">", level, anchor);
  else buf_printf(p->out, "<a id=\"%s\"></a>\n\n%.*s ", anchor, level, "####");
  put_text(p, text, strlen(text));
  if (p->html) buf_printf(p->out, "</h%d>\n", level);
  else buf_puts(p->out, "\n\n");
}

static void put_paragraph(Page *p, const char *text, size_t n) {
  if (p->html) buf_puts(p->out, "<p>");
  put_text(p, text, n);
  buf_puts(p->out, p->html ? "</p>\n" : "\n\n");
}

/* A documentation comment: paragraphs between empty lines; lines that are indented are code. */
static void put_comment(Page *p, const char *text) {
  while (*text) {
    const char *end = text;
    bool code = !strncmp(text, "  ", 2);
    for (size_t line; *end && *end != '\n' && code == !strncmp(end, "  ", 2); end += line + (end[line] == '\n'))
      line = strcspn(end, "\n");
    size_t n = (size_t)(end - text);
    if (code) put_code(p, text, n);
    else if (n) put_paragraph(p, text, n - (end[-1] == '\n'));
    text = end + (*end == '\n');
  }
}

/* ---- signatures ---- */

/* The source's text from begin to end, on one line, without comments. */
static void put_source(Buf *out, const Source *s, uint32_t begin, uint32_t end) {
  bool blank = false, quoted = false;
  char last = 0;
  for (uint32_t i = begin; i < end; i++) {
    char c = s->text[i];
    if (c == '"' && last != '\\') quoted = !quoted;
    if (c == '#' && !quoted)
      while (i + 1 < end && s->text[i] != '\n') i++, c = '\n';
    if (!quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
      blank = true;
      continue;
    }
    bool inside = last == '(' || last == '[' || c == ')' || c == ']';
    if (blank && last && !inside) buf_puts(out, " ");
    buf_write(out, &c, 1);
    blank = false, last = c;
  }
}

static void trim(Buf *b, const char *ending) {
  size_t n = strlen(ending);
  while (b->n && b->text[b->n - 1] == ' ') b->text[--b->n] = 0;
  if (b->n >= n && !memcmp(b->text + b->n - n, ending, n)) b->text[b->n -= n] = 0;
  while (b->n && b->text[b->n - 1] == ' ') b->text[--b->n] = 0;
}

/* `fn f(x: f32) -> f32`: a declaration up to its body. */
static void put_signature(Buf *out, const Sources *sources, const Ast *n) {
  bool has_body = n->kind == AST_FN || n->kind == AST_MODEL || n->kind == AST_OPTIMIZER || n->kind == AST_METRIC ||
                  n->kind == AST_ENTRY || n->kind == AST_DATA;
  const Source *s = sources_get(sources, n->span.source);
  put_source(out, s, n->span.begin, has_body ? n->body->span.begin : n->span.end);
  if (has_body) trim(out, "=");
}

static bool is_member(const Ast *n) {
  return n->kind == AST_PARAM || n->kind == AST_STATE || n->kind == AST_FN || n->kind == AST_DEFINE ||
         n->kind == AST_AUGMENT;
}

/* What is in a model, an optimizer, a metric or data: a line each; conditions stay around them. */
static void put_members(Buf *out, const Sources *sources, const Ast *block, int depth) {
  for (int i = 0; i < block->items.n; i++) {
    const Ast *n = block->items.at[i];
    if (is_member(n)) {
      buf_printf(out, "%*s", 2 * depth, "");
      put_signature(out, sources, n);
      buf_puts(out, "\n");
      continue;
    }
    for (const Ast *branch = n; branch && branch->kind == AST_IF; branch = branch->otherwise) {
      if (branch == n) buf_printf(out, "%*s", 2 * depth, "");
      buf_puts(out, "if ");
      put_source(out, sources_get(sources, n->span.source), branch->cond->span.begin, branch->cond->span.end);
      buf_puts(out, " {\n");
      put_members(out, sources, branch->then, depth + 1);
      buf_printf(out, "%*s}", 2 * depth, "");
      if (branch->otherwise) buf_puts(out, " else ");
      if (branch->otherwise && branch->otherwise->kind == AST_BLOCK) {
        buf_puts(out, "{\n");
        put_members(out, sources, branch->otherwise, depth + 1);
        buf_printf(out, "%*s}", 2 * depth, "");
      }
    }
    if (n->kind == AST_IF) buf_puts(out, "\n");
  }
}

static bool has_members(const Ast *n) {
  bool streams = n->kind == AST_METRIC && !n->type;
  return n->kind == AST_MODEL || n->kind == AST_OPTIMIZER || n->kind == AST_DATA || streams;
}

/* ---- declarations ---- */

static bool is_documented_kind(const Ast *n) {
  return n->kind == AST_FN || n->kind == AST_ENTRY || n->kind == AST_HYPER || n->kind == AST_METRIC ||
         has_members(n) || n->kind == AST_DEFINE;
}

/* Those of its parameters and members that have a comment of their own. */
static void put_named_comments(Page *p, const Ast *list) {
  for (int i = 0; list && i < list->items.n; i++) {
    const Ast *n = list->items.at[i];
    if (n->kind == AST_IF) {
      put_named_comments(p, n->then);
      put_named_comments(p, n->otherwise);
    }
    if (!n->doc || !n->name) continue;
    buf_puts(p->out, p->html ? "<p class=\"part\"><code>" : "- `");
    buf_puts(p->out, n->name);
    buf_puts(p->out, p->html ? "</code>: " : "`: ");
    for (const char *c = n->doc; *c; c++) put_char(p, *c == '\n' ? ' ' : *c, false);
    buf_puts(p->out, p->html ? "</p>\n" : "\n");
  }
}

static void put_declaration(Page *p, const Ast *n) {
  Buf code = {0};
  put_heading(p, 3, n->name, n->name);
  put_signature(&code, p->sources, n);
  if (has_members(n)) trim(&code, "{");
  buf_puts(&code, "\n");
  if (has_members(n)) put_members(&code, p->sources, n->body, 1);
  put_code(p, code.text, code.n);
  buf_free(&code);
  if (n->doc) put_comment(p, n->doc);
  put_named_comments(p, n->params);
  if (has_members(n)) put_named_comments(p, n->body);
  if (!p->html && p->out->text[p->out->n - 2] != '\n') buf_puts(p->out, "\n");
}

static void put_links(Page *p, const Ast *file) {
  if (p->html) buf_puts(p->out, "<p class=\"links\">");
  const char *between = "";
  for (int i = 0; i < file->items.n; i++) {
    const Ast *n = file->items.at[i];
    if (!is_documented_kind(n)) continue;
    buf_puts(p->out, between);
    if (p->html) buf_printf(p->out, "<a href=\"#%s\">%s</a>", n->name, n->name);
    else buf_printf(p->out, "[%s](#%s)", n->name, n->name);
    between = p->html ? "\n" : " · ";
  }
  buf_puts(p->out, p->html ? "</p>\n" : "\n\n");
}

/* ---- files ---- */

static const char *file_name(const Source *s) {
  const char *slash = strrchr(s->path, '/');
  return slash ? slash + 1 : s->path;
}

/* The comment at the very beginning, without the signs and without the file's own name before a colon. */
static void put_introduction(Page *p, const Source *s) {
  Buf text = {0};
  const char *line = s->text;
  while (line[0] == '#' && line[1] != '#') {
    size_t n = strcspn(line, "\n"), from = 1 + (line[1] == ' ');
    if (text.n) buf_puts(&text, " ");
    if (n > from) buf_write(&text, line + from, n - from);
    line += n + (line[n] == '\n');
  }
  size_t name = strlen(file_name(s));
  bool named = text.n > name + 2 && !memcmp(text.text, file_name(s), name) && text.text[name] == ':';
  size_t skip = named ? name + 2 : 0;
  if (text.n > skip) put_paragraph(p, text.text + skip, text.n - skip);
  buf_free(&text);
}

/* `alone`: its name is the page's title. */
static void put_file(Page *p, const Ast *file, bool alone) {
  const Source *s = sources_get(p->sources, file->span.source);
  if (alone) put_heading(p, 1, file_name(s), "top");
  else put_heading(p, 2, file_name(s), file_name(s));
  put_introduction(p, s);
  put_links(p, file);
  for (int i = 0; i < file->items.n; i++)
    if (is_documented_kind(file->items.at[i])) put_declaration(p, file->items.at[i]);
}

static const char html_head[] =
    "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>\n"
    "body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #222; }\n"
    "pre { background: #f4f4f2; padding: .6rem .8rem; overflow-x: auto; font-size: 14px; }\n"
    "h3 { margin: 2rem 0 .5rem; border-top: 1px solid #ddd; padding-top: .8rem; }\n"
    ".links a { margin-right: .6rem; } .part { margin: .2rem 0 .2rem 1rem; }\n"
    "</style>\n";

void document_write(Buf *out, DocumentFormat format, const char *title, const Sources *sources, Ast *const *files,
                    int n) {
  Page p = {.out = out, .sources = sources, .html = format == DOCUMENT_HTML};
  if (p.html) {
    buf_printf(out, "%s<title>", html_head);
    put_text(&p, title, strlen(title));
    buf_puts(out, "</title>\n");
  }
  if (n != 1) put_heading(&p, 1, title, "top");
  for (int i = 0; i < n; i++) put_file(&p, files[i], n == 1);
}

int document_missing(Buf *out, const Sources *sources, const Ast *file) {
  int missing = 0, line, column;
  for (int i = 0; i < file->items.n; i++) {
    const Ast *n = file->items.at[i];
    if (!is_documented_kind(n) || (n->doc && *n->doc)) continue;
    const Source *s = sources_get(sources, n->span.source);
    source_position(s, n->span.begin, &line, &column);
    buf_printf(out, "%s:%d: %s %s\n", s->path, line, n->kind == AST_DEFINE ? "definition" : ast_word(n->kind),
               n->name);
    missing++;
  }
  return missing;
}
