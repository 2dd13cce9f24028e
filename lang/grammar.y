/* grammar.y - the grammar (Lemon). It takes a superset of the language: any statement in any block, anything that can
 * be called or indexed on the left of `=`; what may stand where is said by the actions (in parse.c), or by the checker,
 * in the user's words. No conflict is allowed: the build fails on one.
 *
 * The actions build nodes and lists; a LIST node carries the elements up to the node that takes them over. */

%name Grammar
%token_prefix T_
%token_type {Token}
%default_type {Ast *}
%extra_argument {Parser *p}
%start_symbol file
%stack_size 8000

%include {
#include "lang/parser.h"
#include <assert.h>
}

%syntax_error { syntax_error(p, yypParser, TOKEN); }
%stack_overflow { parser_too_deep(p); }

/* Loose to tight. */
%right ARROW.
%left PIPE.
%right CHOICE.
%left OR.
%left AND.
%right NOT.
%left EQ NE LT LE GT GE.
%left PLUS MINUS.
%left STAR SLASH DSLASH PERCENT.
%right NEGATION.
%right POW.

%token BAD TYPE_GT.
%fallback NAME FROM AS WHEN STALLS FROZEN NODECAY SKIP.

%type assign {Token}

file ::= file_lines(L). { p->file = L; }

file_lines(A) ::= item(S).                       { A = list_start(p, S); }
file_lines(A) ::= file_lines(L) NEWLINE item(S). { A = list_add(p, L, S); }
block_lines(A) ::= line(S).                        { A = list_start(p, S); }
block_lines(A) ::= block_lines(L) NEWLINE line(S). { A = list_add(p, L, S); }

/* An empty line is no node. After `error` the driver (parse.c) skips to the end of the statement. */
line(A) ::= .             { A = NULL; }
line(A) ::= error.        { A = NULL; }
line(A) ::= statement(S). { A = documented(p, S); }
item(A) ::= line(S).      { A = S; }
item(A) ::= declaration(S). { A = documented(p, S); }

/* ---- declarations: only in a file */

declaration(A) ::= IMPORT(K) STRING(S).            { A = text_node(p, AST_IMPORT, K, S); }
declaration(A) ::= IMPORT(K) STRING(S) AS NAME(N). { A = with_name(p, text_node(p, AST_IMPORT, K, S), N); }
declaration(A) ::= IMPORT(K) names(L).             { A = take_items(p, node(p, AST_IMPORT, K.span), L); }
declaration(A) ::= MODEL(K) NAME(N) block(B).      { A = declare(p, AST_MODEL, K, N, list_empty(p, N), B); }
declaration(A) ::= MODEL(K) NAME(N) signature(S) block(B). { A = declare(p, AST_MODEL, K, N, S, B); }
declaration(A) ::= OPTIMIZER(K) NAME(N) signature(S) block(B). { A = declare(p, AST_OPTIMIZER, K, N, S, B); }
declaration(A) ::= METRIC(K) NAME(N) signature(S) result(T) body(B). {
  A = declare(p, AST_METRIC, K, N, S, B);
  set(p, A, &A->type, T);
}
declaration(A) ::= DATA(K) NAME(N) FROM expr(E) block(B). {
  A = declare(p, AST_DATA, K, N, NULL, B);
  set(p, A, &A->from, E);
}
declaration(A) ::= TRAIN(K) names(L) block(B). {
  A = take_items(p, node(p, AST_TRAIN, K.span), L);
  set(p, A, &A->body, B);
}
declaration(A) ::= TRAIN(K) STRING(S) names(L) block(B). {
  A = take_items(p, text_node(p, AST_TRAIN, K, S), L);
  set(p, A, &A->body, B);
}
declaration(A) ::= sampled(E). { A = E; }
declaration(A) ::= KEEP(K) sampled(E). {
  A = E;
  A->flags |= AST_KEEP;
  A->span = span_join(K.span, A->span);
}
sampled(A) ::= entry(E). { A = E; }
sampled(A) ::= SAMPLE(K) entry(E). {
  A = E;
  A->flags |= AST_SAMPLE;
  A->span = span_join(K.span, A->span);
}
entry(A) ::= ENTRY(K) NAME(N) signature(S) result(T) condition(W) body(B). {
  A = declare(p, AST_ENTRY, K, N, S, B);
  set(p, A, &A->type, T);
  set(p, A, &A->where, W);
}
declaration(A) ::= HYPER(K) NAME(N) COLON type(T) EQUALS expr(E) IN expr(R). {
  A = with_name(p, node(p, AST_HYPER, K.span), N);
  set(p, A, &A->type, T);
  set(p, A, &A->value, E);
  set(p, A, &A->range, R);
}
declaration(A) ::= TEST(K) STRING(S) block(B). {
  A = text_node(p, AST_TEST, K, S);
  set(p, A, &A->body, B);
}

/* ---- signatures, bodies, blocks */

signature(A) ::= LPAREN(O) RPAREN(C).               { A = list_span(list_empty(p, O), O, C); }
signature(A) ::= LPAREN(O) parameters(L) RPAREN(C). { A = list_span(L, O, C); }
parameters(A) ::= parameter(X).                     { A = list_start(p, X); }
parameters(A) ::= parameters(L) COMMA parameter(X). { A = list_add(p, L, X); }
parameter(A) ::= NAME(N).                           { A = parameter(p, N, NULL, NULL); }
parameter(A) ::= NAME(N) COLON type(T).             { A = parameter(p, N, T, NULL); }
parameter(A) ::= NAME(N) EQUALS expr(E).            { A = parameter(p, N, NULL, E); }
parameter(A) ::= NAME(N) COLON type(T) EQUALS expr(E). { A = parameter(p, N, T, E); }

result(A) ::= .               { A = NULL; }
result(A) ::= RARROW type(T). { A = T; }
condition(A) ::= .               { A = NULL; }
condition(A) ::= WHERE expr(E).  { A = E; }
body(A) ::= EQUALS expr(E). { A = E; }
body(A) ::= block(B).       { A = B; }
block(A) ::= LBRACE(O) block_lines(L) RBRACE(C). { A = list_span(L, O, C); A->kind = AST_BLOCK; }

/* ---- types and dimensions */

type(A) ::= NAME(N).          { A = type_node(p, N, NULL, NULL, N); }
type(A) ::= NAME(B) DOT NAME(N). {
  A = type_node(p, N, NULL, NULL, N);
  A->span.begin = B.span.begin;
  set(p, A, &A->base, name_node(p, B));
}
type(A) ::= NAME(N) shape(S). { A = type_node(p, N, NULL, S, N); }
type(A) ::= TYPE_LT(N) dim(D) TYPE_GT(C).          { A = type_node(p, N, D, NULL, C); }
type(A) ::= TYPE_LT(N) dim(D) TYPE_GT(C) shape(S). { A = type_node(p, N, D, S, C); }
type(A) ::= FN(K).            { A = type_node(p, K, NULL, NULL, K); }
type(A) ::= LPAREN(O) parts(L) COMMA part(X) RPAREN(C). {
  A = list_span(list_add(p, L, X), O, C);
  A->kind = AST_TYPE_TUPLE;
}
type(A) ::= LPAREN(O) NAME(N) COLON type(T) RPAREN(C). { A = named_result(T, N, O, C); }
parts(A) ::= part(X).                { A = list_start(p, X); }
parts(A) ::= parts(L) COMMA part(X). { A = list_add(p, L, X); }
part(A) ::= type(T).                 { A = part(p, NULL, T); }
part(A) ::= NAME(N) COLON type(T).   { A = part(p, &N, T); }

shape(A) ::= LBRACKET(O) extents(L) RBRACKET(C). { A = list_span(L, O, C); }
extents(A) ::= extent(X).                  { A = list_start(p, X); }
extents(A) ::= extents(L) COMMA extent(X). { A = list_add(p, L, X); }
extent(A) ::= dim(D).                      { A = D; }
extent(A) ::= DOTDOT(O) NAME(N).           { A = with_name(p, node(p, AST_PACK, O.span), N); }

dim(A) ::= INTEGER(N).                  { A = literal(p, N); }
dim(A) ::= dim_path(X).                 { A = X; }
dim(A) ::= LPAREN(O) dim(D) RPAREN(C).  { A = bracketed(D, O, C); }
dim(A) ::= NAME(N) LPAREN(O) dims(L) RPAREN(C). { A = call(p, name_node(p, N), list_span(L, O, C), C); }
dim(A) ::= MINUS(O) dim(D). [NEGATION]  { A = ast_unary(p, OP_NEG, O, D); }
dim(A) ::= dim(L) PLUS dim(R).          { A = binary(p, OP_ADD, L, R); }
dim(A) ::= dim(L) MINUS dim(R).         { A = binary(p, OP_SUB, L, R); }
dim(A) ::= dim(L) STAR dim(R).          { A = binary(p, OP_MUL, L, R); }
dim(A) ::= dim(L) SLASH dim(R).         { A = binary(p, OP_DIV, L, R); }
dim(A) ::= dim(L) DSLASH dim(R).        { A = binary(p, OP_FLOORDIV, L, R); }
dim(A) ::= dim(L) PERCENT dim(R).       { A = binary(p, OP_MOD, L, R); }
dim(A) ::= dim(L) POW dim(R).           { A = binary(p, OP_POW, L, R); }
dim_path(A) ::= NAME(N).                { A = name_node(p, N); }
dim_path(A) ::= dim_path(B) DOT NAME(N). { A = member(p, B, N); }
dims(A) ::= dim(D).                     { A = list_start(p, argument(p, NULL, D)); }
dims(A) ::= dims(L) COMMA dim(D).       { A = list_add(p, L, argument(p, NULL, D)); }

/* ---- statements and members */

statement(A) ::= FN(K) NAME(N) signature(S) result(T) condition(W) body(B) derivative(D). {
  A = declare(p, AST_FN, K, N, S, B);
  set(p, A, &A->type, T);
  set(p, A, &A->where, W);
  set(p, A, &A->with, D);
}
derivative(A) ::= . { A = NULL; }
derivative(A) ::= WITH(K) NAME(N) LPAREN names(L) RPAREN body(B). {
  A = take_items(p, with_name(p, node(p, AST_WITH, K.span), N), L);
  set(p, A, &A->body, B);
}
statement(A) ::= PARAM(K) NAME(N) COLON type(T) assign(E) expr(V) tails(X). {
  A = with_name(p, node(p, AST_PARAM, K.span), N);
  set(p, A, &A->type, T);
  assign(p, A, E, V, X);
}
statement(A) ::= STATE(K) NAME(N) EQUALS expr(E). {
  A = with_name(p, node(p, AST_STATE, K.span), N);
  set(p, A, &A->value, E);
}
statement(A) ::= STATE(K) NAME(N) COLON type(T) EQUALS expr(E). {
  A = with_name(p, node(p, AST_STATE, K.span), N);
  set(p, A, &A->type, T);
  set(p, A, &A->value, E);
}

/* What stands on the left may be anything that is written like a value; define() takes NAME and NAME[...]. */
statement(A) ::= primary(L).                                  { A = lone_expression(p, L); }
statement(A) ::= primary(L) COLON type(T).                    { A = define(p, L, T, NULL, NULL, NULL); }
statement(A) ::= primary(L) COLON type(T) WHERE expr(W). { A = define(p, L, T, NULL, NULL, tail_where(p, NULL, W)); }
statement(A) ::= primary(L) assign(E) expr(V) tails(X).       { A = define(p, L, NULL, &E, V, X); }
statement(A) ::= primary(L) COLON type(T) assign(E) expr(V) tails(X). { A = define(p, L, T, &E, V, X); }
statement(A) ::= targets(L) EQUALS expr(V).                   { A = unpack(p, L, V); }
statement(A) ::= primary(L) LARROW expr(V).                   { A = next_value(p, L, V); }
targets(A) ::= primary(L) COMMA primary(R).  { A = list_add(p, list_start(p, L), R); }
targets(A) ::= targets(L) COMMA primary(R).  { A = list_add(p, L, R); }
assign(A) ::= EQUALS(E). { A = E; }
assign(A) ::= TILDE(E).  { A = E; }
tails(A) ::= .                     { A = NULL; }
tails(A) ::= tails(L) FROM expr(E). { A = tail_from(p, L, E); }
tails(A) ::= tails(L) WHERE expr(W). { A = tail_where(p, L, W); }
tails(A) ::= tails(L) SKIP(K) exprs(E). { A = tail_skip(p, L, K, E); }
tails(A) ::= tails(L) AS STRING(S). { A = tail_as(p, L, S); }
tails(A) ::= tails(L) FROZEN(K).   { A = tail_flag(p, L, AST_FROZEN, K); }
tails(A) ::= tails(L) NODECAY(K).  { A = tail_flag(p, L, AST_NODECAY, K); }

statement(A) ::= RETURN(K) exprs(L). { A = take_items(p, node(p, AST_RETURN, K.span), L); }
statement(A) ::= ASSERT(K) expr(E).  { A = node(p, AST_ASSERT, K.span); set(p, A, &A->value, E); }
statement(A) ::= if(S).              { A = S; }
if(A) ::= IF(K) expr(C) block(T).              { A = if_node(p, K, C, T, NULL); }
if(A) ::= IF(K) expr(C) block(T) ELSE block(E). { A = if_node(p, K, C, T, E); }
if(A) ::= IF(K) expr(C) block(T) ELSE if(E).   { A = if_node(p, K, C, T, E); }
statement(A) ::= FOR(K) names(L) IN expr(R) block(B). {
  A = take_items(p, node(p, AST_FOR, K.span), L);
  set(p, A, &A->range, R);
  set(p, A, &A->body, B);
}
statement(A) ::= SCAN(K) NAME(N) IN expr(R) block(B). {
  A = with_name(p, node(p, AST_SCAN, K.span), N);
  set(p, A, &A->range, R);
  set(p, A, &A->body, B);
}
statement(A) ::= REPEAT(K) expr(R) while(W) block(B). { A = repeat(p, K, NULL, R, W, B); }
statement(A) ::= REPEAT(K) NAME(N) IN expr(R) while(W) block(B). { A = repeat(p, K, &N, R, W, B); }
while(A) ::= .              { A = NULL; }
while(A) ::= WHILE expr(E). { A = E; }
statement(A) ::= MINIMIZE(K) expr(E) OVER groups(L). {
  A = node(p, AST_MINIMIZE, K.span);
  set(p, A, &A->value, E);
  take_items(p, A, L);
}
groups(A) ::= group(X).                 { A = list_start(p, X); }
groups(A) ::= groups(L) COMMA group(X). { A = list_add(p, L, X); }
group(A) ::= exprs(L) WITH expr(E). {
  A = take_items(p, node(p, AST_GROUP, L->span), L);
  set(p, A, &A->with, E);
}
statement(A) ::= REPORT(K) args(L).          { A = take_items(p, node(p, AST_REPORT, K.span), L); }
statement(A) ::= STOP(K) WHEN expr(E).       { A = node(p, AST_STOP_WHEN, K.span); set(p, A, &A->value, E); }
statement(A) ::= STOP(K) WHEN expr(E) STALLS expr(N). {
  A = node(p, AST_STOP_WHEN, K.span);
  set(p, A, &A->value, E);
  set(p, A, &A->stalls, N);
}
statement(A) ::= AUGMENT(K) names(L) EQUALS expr(E). {
  A = take_items(p, node(p, AST_AUGMENT, K.span), L);
  set(p, A, &A->value, E);
}

/* ---- expressions */

expr(A) ::= LBRACKET(O) exprs(L) RBRACKET(C) ARROW expr(E). { A = comprehension(p, list_span(L, O, C), E); }
expr(A) ::= expr(L) PIPE expr(R).   { A = pipe_into(p, L, R); }
expr(A) ::= IF(K) expr(C) THEN expr(T) ELSE expr(E). [CHOICE] { A = ast_choose(p, K, C, T, E); }
expr(A) ::= NOT(O) expr(E).         { A = ast_unary(p, OP_NOT, O, E); }
expr(A) ::= MINUS(O) expr(E). [NEGATION] { A = ast_unary(p, OP_NEG, O, E); }
expr(A) ::= expr(L) OR expr(R).      { A = binary(p, OP_OR, L, R); }
expr(A) ::= expr(L) AND expr(R).     { A = binary(p, OP_AND, L, R); }
expr(A) ::= expr(L) EQ expr(R).      { A = compare(p, OP_EQ, L, R); }
expr(A) ::= expr(L) NE expr(R).      { A = compare(p, OP_NE, L, R); }
expr(A) ::= expr(L) LT expr(R).      { A = compare(p, OP_LT, L, R); }
expr(A) ::= expr(L) LE expr(R).      { A = compare(p, OP_LE, L, R); }
expr(A) ::= expr(L) GT expr(R).      { A = compare(p, OP_GT, L, R); }
expr(A) ::= expr(L) GE expr(R).      { A = compare(p, OP_GE, L, R); }
expr(A) ::= expr(L) PLUS expr(R).    { A = binary(p, OP_ADD, L, R); }
expr(A) ::= expr(L) MINUS expr(R).   { A = binary(p, OP_SUB, L, R); }
expr(A) ::= expr(L) STAR expr(R).    { A = binary(p, OP_MUL, L, R); }
expr(A) ::= expr(L) SLASH expr(R).   { A = binary(p, OP_DIV, L, R); }
expr(A) ::= expr(L) DSLASH expr(R).  { A = binary(p, OP_FLOORDIV, L, R); }
expr(A) ::= expr(L) PERCENT expr(R). { A = binary(p, OP_MOD, L, R); }
expr(A) ::= expr(L) POW expr(R).     { A = binary(p, OP_POW, L, R); }
expr(A) ::= primary(E).              { A = E; }

primary(A) ::= INTEGER(T). { A = literal(p, T); }
primary(A) ::= REAL(T).    { A = literal(p, T); }
primary(A) ::= STRING(T).  { A = literal(p, T); }
primary(A) ::= TRUE(T).    { A = literal(p, T); }
primary(A) ::= FALSE(T).   { A = literal(p, T); }
primary(A) ::= NAME(N).    { A = name_node(p, N); }
primary(A) ::= LBRACKET(O) exprs(L) RBRACKET(C). { A = list_span(L, O, C); A->kind = AST_ARRAY; }
primary(A) ::= LPAREN(O) expr(E) RPAREN(C).      { A = bracketed(E, O, C); }
primary(A) ::= LPAREN(O) expr(E) ELSE expr(D) RPAREN(C). { A = guard(p, O, E, D, C); }
primary(A) ::= LPAREN(O) expr(E) COMMA exprs(L) RPAREN(C). {
  A = list_span(list_before(p, E, L), O, C);
  A->kind = AST_TUPLE;
}
primary(A) ::= primary(B) DOT NAME(N). { A = member(p, B, N); }
primary(A) ::= primary(B) LBRACKET indices(L) RBRACKET(C). { A = index_node(p, B, L, C); }
primary(A) ::= primary(F) LPAREN(O) RPAREN(C).          { A = call(p, F, list_span(list_empty(p, O), O, C), C); }
primary(A) ::= primary(F) LPAREN(O) args(L) RPAREN(C).  { A = call(p, F, list_span(L, O, C), C); }
primary(A) ::= primary(F) LPAREN args(L) COLON args(R) RPAREN(C). { A = apply(p, F, L, NULL, R, C); }
primary(A) ::= primary(F) LPAREN args(L) WHERE expr(W) COLON args(R) RPAREN(C). { A = apply(p, F, L, W, R, C); }

exprs(A) ::= expr(E).                { A = list_start(p, E); }
exprs(A) ::= exprs(L) COMMA expr(E). { A = list_add(p, L, E); }
args(A) ::= arg(X).                  { A = list_start(p, X); }
args(A) ::= args(L) COMMA arg(X).    { A = list_add(p, L, X); }
arg(A) ::= expr(E).                  { A = argument(p, NULL, E); }
arg(A) ::= NAME(N) EQUALS expr(E).   { A = argument(p, &N, E); }
indices(A) ::= index(X).                  { A = list_start(p, X); }
indices(A) ::= indices(L) COMMA index(X). { A = list_add(p, L, X); }
index(A) ::= expr(E). { A = E; }
index(A) ::= slice_part(L) COLON(C) slice_part(H).                     { A = ast_slice(p, L, C, H, C, NULL); }
index(A) ::= slice_part(L) COLON(C) slice_part(H) COLON(D) slice_part(S). { A = ast_slice(p, L, C, H, D, S); }
slice_part(A) ::= .        { A = NULL; }
slice_part(A) ::= expr(E). { A = E; }

names(A) ::= NAME(N).                { A = list_start(p, name_node(p, N)); }
names(A) ::= names(L) COMMA NAME(N). { A = list_add(p, L, name_node(p, N)); }

%code {
/* The parser's state, for the messages: these need the generated tables. */
bool grammar_accepts(void *parser, int token) {
  yyParser *y = parser;
  int states[64], n = 0; /* those that pretended reductions pushed above `below` */
  yyStackEntry *below = y->yytos;
  int state = below->stateno;
  for (int turns = 0; turns < 200; turns++) {
    int action = state;
    if (action <= YY_MAX_SHIFT) action = yy_find_shift_action((YYCODETYPE)token, (YYACTIONTYPE)action);
    if (action <= YY_MAX_SHIFTREDUCE) return true;
    if (action < YY_MIN_REDUCE) return action == YY_ACCEPT_ACTION;
    int rule = action - YY_MIN_REDUCE;
    for (int pop = -yyRuleInfoNRhs[rule]; pop > 0; pop--) {
      if (n > 0) n--;
      else below--;
    }
    int top = n > 0 ? states[n - 1] : below->stateno;
    state = yy_find_reduce_action((YYACTIONTYPE)top, (YYCODETYPE)yyRuleInfoLhs[rule]);
    if (n == 64) return false;
    states[n++] = state;
  }
  return false;
}

/* Whether the token that did not fit has ended what was dropped: Lemon tries it once more, after `error`. */
bool grammar_took(const void *parser) { return ((const yyParser *)parser)->yyerrcnt < 3; }

/* Makes the next error be reported, however close. */
void grammar_recovered(void *parser) { ((yyParser *)parser)->yyerrcnt = -1; }
}
