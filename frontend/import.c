/* import.c - `import "file.nn"` brings the names of a file, `import "file.nn" as name` qualifies them, `import
 * vision` names a part of the library, all of which is there without it. A file is loaded once, whoever imports it.
 *
 * What an instance, a data set or a hyper value is called in the program begins with the qualifying name, unless some
 * file imports the file without one: so the weights of two files never have one name. */
#include "frontend/value.h"

#include <stdlib.h>
#include <string.h>

#include "stdlib/stdlib.h"

Str file_identity(Elaborator *x, Str path) {
  char *real = realpath(path, NULL);
  Str s = real ? str_internz(x->strings, real) : path;
  free(real);
  return s;
}

/* ---- loading ---- */

/* The name is before those of the file's instances, and before no other file's. */
static bool take_prefix(Elaborator *x, Str prefix, Ast *a) {
  for (int i = 0; i < x->modules.n; i++) {
    if (x->modules.at[i]->prefix != prefix) continue;
    Diag *d = diag_add(x->diags, DIAG_TWICE, a->name_span, "two files are imported as `%s`", a->name);
    diag_note(d, "the other is `%s`; what they define would have the same names in the program",
              x->modules.at[i]->path);
    return false;
  }
  return true;
}

/* The file; NULL after a message. */
static Module *find_or_load(Elaborator *x, const Module *m, Ast *a) {
  Str path = path_beside(x, m, a->text), file = file_identity(x, path);
  Str prefix = a->name ? str_internf(x->strings, "%s%s.", m->prefix, a->name) : str_internz(x->strings, "");
  for (int i = 0; i < x->modules.n; i++) {
    Module *other = x->modules.at[i];
    if (other->file != file) continue;
    if (!a->name) other->prefix = prefix;
    return other;
  }
  if (a->name && !take_prefix(x, prefix, a)) return NULL;
  Buf b = {0};
  Module *other = NULL;
  if (file_read(path, &b)) other = module_load(x, path, b.text ? b.text : "", b.n, false, prefix);
  else diag_add(x->diags, DIAG_IMPORT, a->span, "`%s` cannot be read", path);
  buf_free(&b);
  return other;
}

static bool is_part(Str name) {
  for (const StdlibFile *f = stdlib_files; f->name; f++)
    if (!strncmp(f->name, name, strlen(name)) && !strcmp(f->name + strlen(name), ".nn")) return true;
  return false;
}

/* `import attention, vision` */
static void import_parts(Elaborator *x, const Ast *a) {
  for (int i = 0; i < a->items.n; i++) {
    const Ast *part = a->items.at[i];
    if (is_part(part->name)) continue;
    Diag *d = diag_add(x->diags, DIAG_IMPORT, part->span, "the library has no part `%s`", part->name);
    diag_help(d, "all of the library is there without `import`; a file is imported by `import \"%s.nn\"`",
              part->name);
  }
}

void import_file(Elaborator *x, Module *m, Ast *a) {
  if (!a->text) {
    import_parts(x, a);
    return;
  }
  Module *other = find_or_load(x, m, a);
  if (!other) return;
  if (a->name) {
    Decl *d = decl_add(x, m, DECL_FILE, a);
    if (d) d->file = other;
    return;
  }
  for (int k = 0; k < m->imports.n; k++)
    if (m->imports.at[k] == other) return;
  if (other != m) vec_push(x->arena, &m->imports, other);
}

/* ---- names ---- */

/* An import brings these; training, entries, tests and the file's own imports stay with it. */
static bool is_brought(const Decl *d) {
  return d->kind != DECL_TRAIN && d->kind != DECL_ENTRY && d->kind != DECL_TEST && d->kind != DECL_FILE;
}

Decl *decl_brought(const Module *m, Str name) {
  Decl *d = module_find(m, name);
  return d && is_brought(d) ? d : NULL;
}

void imported_twice(Elaborator *x, Module *m) {
  for (int i = 0; i < m->imports.n; i++)
    for (int k = 0; k < m->imports.at[i]->decls.n; k++) {
      Decl *d = m->imports.at[i]->decls.at[k], *other = is_brought(d) ? module_find(m, d->name) : NULL;
      for (int j = 0; is_brought(d) && !other && j < i; j++) other = decl_brought(m->imports.at[j], d->name);
      if (!other) continue;
      Diag *g = diag_add(x->diags, DIAG_TWICE, other->ast->name_span, "`%s` is defined twice", d->name);
      diag_place(g, d->ast->name_span, "and here, in a file that is imported");
      diag_help(g, "`import \"...\" as name` keeps a file's names apart: `name.%s`", d->name);
    }
}

Decl *decl_of_path(Elaborator *x, Module *m, const Ast *a) {
  if (a->kind == AST_NAME) return decl_find(x, m, a->name);
  const Decl *file = a->kind == AST_MEMBER && a->base->kind == AST_NAME ? decl_find(x, m, a->base->name) : NULL;
  return file && file->kind == DECL_FILE ? decl_brought(file->file, a->name) : NULL;
}

Str decl_full_name(Elaborator *x, const Decl *d) {
  return str_internf(x->strings, "%s%s", d->module->prefix, d->name);
}

Value *file_member(Elaborator *x, Module *file, Str name, Span at) {
  Decl *d = decl_brought(file, name);
  if (d) return decl_value(x, d, at);
  Diag *g = diag_add(x->diags, DIAG_NO_MEMBER, at, "`%s` defines no `%s`", file->path, name);
  Nearest near = {name, 3, NULL, false};
  for (int i = 0; i < file->decls.n; i++)
    if (is_brought(file->decls.at[i])) nearest_consider(&near, file->decls.at[i]->name);
  diag_meant(g, at, near.found);
  return NULL;
}
