/* build.c - makes the nodes. Spans are joined from the parts; what the grammar takes but the language does not (a
 * call on the left of `=`, say) gets its message here, where the parts are known. */
#include "lang/parser.h"

#include <math.h>
#include <string.h>

static Span ending(Span a, Token last) { return span_join(a, last.span); }

Ast *node(Parser *p, AstKind kind, Span span) {
  Ast *n = NEW(p->arena, Ast);
  n->kind = kind;
  n->span = span;
  n->height = 1;
  return n;
}

/* Takes note of a new part's height. The one node that makes the tree too high is told about; what is below it is cut
 * off, so that the tree stays safe to walk. */
static void note_height(Parser *p, Ast *n, Ast **part) {
  Ast *x = *part;
  if (x->height >= MAX_HEIGHT) {
    if (!p->too_deep)
      diag_help(diag_add(p->sink, DIAG_TOO_DEEP, (Span){x->span.source, x->span.begin, x->span.begin + 1, 0},
                         "this is nested more than %d levels deep", MAX_HEIGHT),
                "give names to some of its parts");
    p->too_deep = true;
    x = *part = node(p, AST_ERROR, x->span);
  }
  if (n->height <= x->height) n->height = x->height + 1;
}

void set(Parser *p, Ast *n, Ast **field, Ast *x) {
  if (!x) return;
  n->span = span_join(n->span, x->span);
  note_height(p, n, &x);
  *field = x;
}

Ast *with_name(Parser *p, Ast *n, Token name) {
  (void)p;
  n->name = name.text;
  n->name_span = name.span;
  n->span = ending(n->span, name);
  return n;
}

Ast *documented(Parser *p, Ast *n) {
  if (n) n->doc = lexer_doc(&p->lexer, n->span.begin);
  return n;
}

/* ---- lists */

Ast *list_empty(Parser *p, Token near) {
  return node(p, AST_LIST, (Span){near.span.source, near.span.end, near.span.end, 0});
}

Ast *list_start(Parser *p, Ast *x) { return list_add(p, node(p, AST_LIST, (Span){0}), x); }

Ast *list_add(Parser *p, Ast *list, Ast *x) {
  if (!x) return list;
  list->span = span_join(list->span, x->span);
  note_height(p, list, &x);
  vec_push(p->arena, &list->items, x);
  return list;
}

Ast *list_before(Parser *p, Ast *x, Ast *list) {
  Ast *all = list_start(p, x);
  for (int i = 0; i < list->items.n; i++) list_add(p, all, list->items.at[i]);
  return all;
}

Ast *list_span(Ast *list, Token open, Token close) {
  list->span = span_join(open.span, close.span);
  return list;
}

Ast *take_items(Parser *p, Ast *n, Ast *list) {
  (void)p;
  n->items = list->items;
  n->span = span_join(n->span, list->span);
  if (n->height < list->height) n->height = list->height;
  return n;
}

/* ---- declarations */

Ast *text_node(Parser *p, AstKind kind, Token keyword, Token text) {
  Ast *n = node(p, kind, ending(keyword.span, text));
  n->text = text.text;
  return n;
}

Ast *declare(Parser *p, AstKind kind, Token keyword, Token name, Ast *params, Ast *body) {
  Ast *n = with_name(p, node(p, kind, keyword.span), name);
  set(p, n, &n->params, params);
  set(p, n, &n->body, body);
  return n;
}

Ast *parameter(Parser *p, Token name, Ast *type, Ast *value) {
  Ast *n = with_name(p, node(p, AST_PARAMETER, name.span), name);
  set(p, n, &n->type, type);
  set(p, n, &n->value, value);
  return documented(p, n);
}

static bool has_bound(Str type) { return (type[0] == 'i' || type[0] == 'u') && type[1] >= '1' && type[1] <= '9'; }

Ast *type_node(Parser *p, Token name, Ast *bound, Ast *shape, Token last) {
  Ast *n = node(p, AST_TYPE, ending(name.span, last));
  n->name = name.text;
  n->name_span = name.span;
  if (bound) n->name_span.end--; /* TYPE_LT ends in `<` */
  set(p, n, &n->bound, bound);
  set(p, n, &n->shape, shape);
  if (bound && !has_bound(n->name))
    diag_help(diag_add(p->sink, DIAG_BAD_BOUND, n->span, "only integers have a bound, `%s` has none", n->name),
              "dimensions are written in square brackets, `%s[N]`", n->name);
  return n;
}

Ast *named_result(Ast *type, Token name, Token open, Token close) {
  type->text = name.text;
  type->span.begin = open.span.begin;
  type->span.end = close.span.end;
  return type;
}

Ast *part(Parser *p, const Token *name, Ast *type) {
  Ast *n = node(p, AST_PART, type->span);
  if (name) with_name(p, n, *name);
  set(p, n, &n->type, type);
  return n;
}

/* ---- statements */

static Ast *bad_target(Parser *p, Ast *target, const char *what) {
  Diag *d = diag_add(p->sink, DIAG_BAD_TARGET, target->span, "%s can't be defined", what);
  switch (target->kind) {
  case AST_MEMBER:
    diag_help(d, "a state is given its next value by `<-`; parameters change by `minimize` only");
    break;
  case AST_CALL: diag_help(d, "a function is defined by `fn name(x: f32[N]) -> f32[N] = …`"); break;
  case AST_TUPLE: diag_help(d, "several results are taken apart without brackets, `a, b = f(x)`"); break;
  case AST_INDEX: diag_help(d, "elements are replaced by `x = update(x, i, v)`"); break;
  default: diag_help(d, "write a name, or a name with indices: `y[i, j] = …`");
  }
  return node(p, AST_ERROR, target->span);
}

static bool is_name(const Ast *e) { return e->kind == AST_NAME && !(e->flags & AST_BRACKETS); }

static const char *target_word(const Ast *e) {
  switch (e->kind) {
  case AST_MEMBER: return "a member";
  case AST_TUPLE: return "a list in brackets";
  case AST_CALL:
  case AST_APPLY: return "a call";
  case AST_INDEX: return "a part of a tensor";
  case AST_INTEGER:
  case AST_REAL:
  case AST_STRING:
  case AST_BOOL: return "a literal";
  default: return "this";
  }
}

/* `x[i, j]` on the left: the indices are values, not slices. */
static bool has_slice(const Ast *index) {
  for (int i = 0; i < index->items.n; i++)
    if (index->items.at[i]->kind == AST_SLICE) return true;
  return false;
}

static void take_tails(Parser *p, Ast *n, Ast *tails) {
  if (!tails) return;
  n->flags |= tails->flags;
  n->span = span_join(n->span, tails->span);
  if (n->kind == AST_DEFINE) {
    set(p, n, &n->where, tails->where);
    set(p, n, &n->from, tails->from);
    n->text = tails->text;
    take_items(p, n, tails);
    return;
  }
  if (tails->where)
    diag_help(diag_add(p->sink, DIAG_UNEXPECTED, tails->where->span, "`where` limits the length of a data field"),
              "dimensions of a parameter are what its type says");
  if (tails->from)
    diag_help(diag_add(p->sink, DIAG_UNEXPECTED, tails->from->span, "only a model's instance is loaded by `from`"),
              "write `net = Net() from \"file.safetensors\"`");
}

Ast *define(Parser *p, Ast *target, Ast *type, const Token *sign, Ast *value, Ast *tails) {
  bool at = target->kind == AST_INDEX && is_name(target->base);
  if (!is_name(target) && !(at && !type && !has_slice(target))) {
    if (at && type && !has_slice(target)) {
      diag_help(diag_add(p->sink, DIAG_BAD_TARGET, type->span, "a definition with indices has no type of its own"),
                "its dimensions are those of its indices; leave the type away");
      return node(p, AST_ERROR, target->span);
    }
    return bad_target(p, target, target_word(target));
  }
  Ast *n = node(p, at ? AST_DEFINE_AT : AST_DEFINE, target->span);
  Ast *named = at ? target->base : target;
  n->name = named->name;
  n->name_span = named->name_span;
  n->height = target->height;
  n->items = target->items;
  set(p, n, &n->type, type);
  if (sign) assign(p, n, *sign, value, tails);
  else take_tails(p, n, tails);
  return n;
}

void assign(Parser *p, Ast *n, Token sign, Ast *value, Ast *tails) {
  if (sign.kind == T_TILDE) n->flags |= AST_DRAW;
  set(p, n, &n->value, value);
  take_tails(p, n, tails);
}

static Ast *tails_node(Parser *p, Ast *tails, Span span) {
  if (!tails) return node(p, AST_LIST, span);
  tails->span = span_join(tails->span, span);
  return tails;
}

Ast *tail_where(Parser *p, Ast *tails, Ast *where) {
  Ast *n = tails_node(p, tails, where->span);
  if (n->where) diag_add(p->sink, DIAG_UNEXPECTED, where->span, "conditions are joined by `and`");
  set(p, n, &n->where, where);
  return n;
}

Ast *tail_from(Parser *p, Ast *tails, Ast *from) {
  Ast *n = tails_node(p, tails, from->span);
  if (n->from) diag_add(p->sink, DIAG_UNEXPECTED, from->span, "`from` is written once");
  set(p, n, &n->from, from);
  return n;
}

Ast *tail_skip(Parser *p, Ast *tails, Token word, Ast *names) {
  Ast *n = tails_node(p, tails, span_join(word.span, names->span));
  if (!n->from) {
    Diag *d = diag_add(p->sink, DIAG_UNEXPECTED, word.span,
                       "`skip` says what of a file is not taken, and stands after `from`");
    diag_help(d, "write `net = Net() from \"file.safetensors\" skip \"head\"`");
  }
  return take_items(p, n, names);
}

Ast *tail_as(Parser *p, Ast *tails, Token text) {
  Ast *n = tails_node(p, tails, text.span);
  if (n->text) diag_add(p->sink, DIAG_UNEXPECTED, text.span, "`as` is written once");
  n->text = text.text;
  return n;
}

Ast *tail_flag(Parser *p, Ast *tails, AstFlags flag, Token word) {
  Ast *n = tails_node(p, tails, word.span);
  n->flags = (uint16_t)(n->flags | flag);
  return n;
}

Ast *unpack(Parser *p, Ast *targets, Ast *value) {
  Ast *n = take_items(p, node(p, AST_UNPACK, targets->span), targets);
  set(p, n, &n->value, value);
  for (int i = 0; i < n->items.n; i++) {
    if (is_name(n->items.at[i])) continue;
    Ast *place = define(p, n->items.at[i], NULL, NULL, NULL, NULL);
    if (place->kind == AST_ERROR) return place;
    n->items.at[i] = place;
  }
  return n;
}

/* A name, a path of names, or an element of a named state. */
static bool is_state(const Ast *e) {
  if (e->flags & AST_BRACKETS) return false;
  if (e->kind == AST_INDEX) return is_name(e->base) && !has_slice(e);
  while (e->kind == AST_MEMBER) e = e->base;
  return is_name(e);
}

Ast *next_value(Parser *p, Ast *target, Ast *value) {
  Ast *n = node(p, AST_NEXT, target->span);
  set(p, n, &n->target, target);
  set(p, n, &n->value, value);
  if (!is_state(target)) {
    diag_help(diag_add(p->sink, DIAG_BAD_TARGET, target->span, "only a state can be given a next value"),
              "write its name, `h <- …`, or for a comparison a space, `x < -1`");
    n->kind = AST_ERROR;
  }
  return n;
}

/* The grammar gets here before it has seen what follows, which may not fit. So the message waits for feed() in
 * parse.c. */
Ast *lone_expression(Parser *p, Ast *e) {
  if (e->kind != AST_ERROR) p->lone = e;
  return node(p, AST_ERROR, e->span);
}

void report_lone(Parser *p) {
  const Ast *e = p->lone;
  Diag *d = diag_add(p->sink, DIAG_LONE_EXPRESSION, e->span, "nothing is done with this value");
  const char *called = e->kind == AST_CALL && e->callee->name ? e->callee->name : "";
  if (!strcmp(called, "print"))
    diag_help(d, "nothing prints while a model runs; `report value` logs a value of each step");
  else if (!strcmp(called, "backward") || !strcmp(called, "step") || !strcmp(called, "zero_grad"))
    diag_help(d, "`minimize loss over net with Adam(lr = 1e-3)` derives the loss and changes what is learned");
  else if (e->kind == AST_NAME) diag_help(d, "give it a value, `%s = …`, or take it away", e->name);
  else diag_help(d, "give it a name, `y = …`, or return it");
}

Ast *if_node(Parser *p, Token keyword, Ast *cond, Ast *then, Ast *otherwise) {
  Ast *n = node(p, AST_IF, keyword.span);
  set(p, n, &n->cond, cond);
  set(p, n, &n->then, then);
  set(p, n, &n->otherwise, otherwise);
  return n;
}

Ast *repeat(Parser *p, Token keyword, const Token *name, Ast *range, Ast *cond, Ast *body) {
  Ast *n = node(p, AST_REPEAT, keyword.span);
  if (name) with_name(p, n, *name);
  set(p, n, &n->range, range);
  set(p, n, &n->cond, cond);
  set(p, n, &n->body, body);
  return n;
}

/* ---- expressions */

Ast *literal(Parser *p, Token t) {
  static const AstKind kinds[] = {[T_INTEGER] = AST_INTEGER,
                                  [T_REAL] = AST_REAL,
                                  [T_STRING] = AST_STRING,
                                  [T_TRUE] = AST_BOOL,
                                  [T_FALSE] = AST_BOOL};
  Ast *n = node(p, kinds[t.kind], t.span);
  if (t.kind == T_INTEGER) n->integer = t.integer;
  else if (t.kind == T_REAL) n->real = t.real;
  else if (t.kind == T_STRING) n->text = t.text;
  else n->integer = t.kind == T_TRUE;
  return n;
}

Ast *name_node(Parser *p, Token t) {
  bool inf = !strcmp(t.text, "inf");
  if (inf || !strcmp(t.text, "nan")) {
    Ast *n = node(p, AST_REAL, t.span);
    n->real = inf ? (double)INFINITY : (double)NAN;
    return n;
  }
  return with_name(p, node(p, AST_NAME, t.span), t);
}

Ast *bracketed(Ast *e, Token open, Token close) {
  e->span = span_join(open.span, close.span);
  e->flags |= AST_BRACKETS;
  return e;
}

Ast *ast_unary(Parser *p, Op op, Token sign, Ast *e) {
  bool number = (e->kind == AST_INTEGER || e->kind == AST_REAL) && !(e->flags & AST_BRACKETS);
  if (op == OP_NEG && number && p->lexer.source->text[e->span.begin] != '-') {
    if (e->kind == AST_INTEGER) e->integer = -e->integer;
    else e->real = -e->real;
    e->span = span_join(sign.span, e->span);
    return e;
  }
  Ast *n = node(p, AST_UNARY, sign.span);
  n->op = op;
  set(p, n, &n->left, e);
  return n;
}

Ast *binary(Parser *p, Op op, Ast *left, Ast *right) {
  Ast *n = node(p, AST_BINARY, left->span);
  n->op = op;
  set(p, n, &n->left, left);
  set(p, n, &n->right, right);
  return n;
}

Ast *compare(Parser *p, Op op, Ast *left, Ast *right) {
  bool chained =
      left->kind == AST_BINARY && op_tightness(left->op) == op_tightness(OP_LT) && !(left->flags & AST_BRACKETS);
  if (chained) {
    const char *text = p->lexer.source->text;
    Span a = left->left->span, b = left->right->span, c = right->span;
    Diag *d = diag_add(p->sink, DIAG_CHAINED_COMPARISON, span_join(left->span, c), "comparisons do not chain");
    if (c.end - a.begin < 100)
      diag_write(d, span_join(left->span, c), "%.*s %s %.*s and %.*s %s %.*s", (int)(a.end - a.begin), text + a.begin,
                 op_spelling(left->op), (int)(b.end - b.begin), text + b.begin, (int)(b.end - b.begin),
                 text + b.begin, op_spelling(op), (int)(c.end - c.begin), text + c.begin);
    return node(p, AST_ERROR, span_join(left->span, c));
  }
  return binary(p, op, left, right);
}

Ast *pipe_into(Parser *p, Ast *left, Ast *right) {
  Ast *n = node(p, AST_PIPE, left->span);
  set(p, n, &n->left, left);
  set(p, n, &n->right, right);
  return n;
}

Ast *ast_choose(Parser *p, Token keyword, Ast *cond, Ast *then, Ast *otherwise) {
  Ast *n = node(p, AST_CHOOSE, keyword.span);
  set(p, n, &n->cond, cond);
  set(p, n, &n->then, then);
  set(p, n, &n->otherwise, otherwise);
  return n;
}

Ast *comprehension(Parser *p, Ast *indices, Ast *body) {
  Ast *n = take_items(p, node(p, AST_COMPREHENSION, indices->span), indices);
  set(p, n, &n->body, body);
  return n;
}

Ast *guard(Parser *p, Token open, Ast *value, Ast *otherwise, Token close) {
  Ast *n = node(p, AST_GUARD, ending(open.span, close));
  set(p, n, &n->value, value);
  set(p, n, &n->otherwise, otherwise);
  return n;
}

Ast *member(Parser *p, Ast *base, Token name) {
  Ast *n = with_name(p, node(p, AST_MEMBER, base->span), name);
  set(p, n, &n->base, base);
  return n;
}

Ast *index_node(Parser *p, Ast *base, Ast *indices, Token close) {
  Ast *n = take_items(p, node(p, AST_INDEX, base->span), indices);
  set(p, n, &n->base, base);
  n->span = ending(n->span, close);
  return n;
}

Ast *ast_slice(Parser *p, Ast *low, Token colon, Ast *high, Token last_colon, Ast *step) {
  Ast *n = node(p, AST_SLICE, ending(colon.span, last_colon));
  set(p, n, &n->low, low);
  set(p, n, &n->high, high);
  set(p, n, &n->step, step);
  return n;
}

Ast *call(Parser *p, Ast *callee, Ast *args, Token close) {
  Ast *n = node(p, AST_CALL, ending(callee->span, close));
  set(p, n, &n->callee, callee);
  set(p, n, &n->args, args);
  return n;
}

/* What stands before the colon was read as an argument: `i`, or `i < N`. */
static Ast *binder(Parser *p, const Ast *arg) {
  Ast *e = arg->value, *n = node(p, AST_BINDER, arg->span);
  bool bounded = e->kind == AST_BINARY && e->op == OP_LT && is_name(e->left);
  const Ast *named = bounded ? e->left : e;
  if (arg->name || !is_name(named)) {
    if (e->kind == AST_ERROR) return NULL;
    diag_help(diag_add(p->sink, DIAG_BAD_BINDER, arg->span, "before the colon stand only new indices"),
              "write `i`, or `i < N` to give its range; a condition follows them, `sum(i where c: …)`");
    return NULL;
  }
  n->name = named->name;
  n->name_span = named->name_span;
  if (bounded) set(p, n, &n->bound, e->right);
  return n;
}

Ast *apply(Parser *p, Ast *callee, Ast *binders, Ast *where, Ast *args, Token close) {
  Ast *n = node(p, AST_APPLY, ending(callee->span, close));
  Ast *list = node(p, AST_LIST, binders->span);
  for (int i = 0; i < binders->items.n; i++) list_add(p, list, binder(p, binders->items.at[i]));
  set(p, n, &n->callee, callee);
  set(p, n, &n->binders, list);
  set(p, n, &n->where, where);
  set(p, n, &n->args, args);
  return n;
}

Ast *argument(Parser *p, const Token *name, Ast *value) {
  Ast *n = node(p, AST_ARG, value->span);
  if (name) with_name(p, n, *name);
  set(p, n, &n->value, value);
  return n;
}
