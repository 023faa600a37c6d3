#include "conf_json.h"
#include "conf_problems.h"
#include "conf_text.h"
#include "config_file.h"
#include "document_internal.h"
#include "json_patch.h"
#include "json_pointer.h"
#include "json_write.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct config_document {
    atomic_uint refs;
    struct arena arena; /* everything below */
    json_t *tree;       /* read-only once made */
    struct view text;   /* that the tree was made of, or that was made of it */
    struct view name, folder;
    uint64_t hash;
};

/* ---- Text to a tree ---- */

/* A problem of the file as a whole, or at a place that the parser of the text tells. */
static bool add_plain(struct config_problems *p, uint32_t line, uint32_t column, const char *text)
{
    return conf_problems_add(
        p, &(struct config_problem){.line = line, .column = column, .text = view_of(text)});
}

/* The byte at a place that jansson tells: a column is a character, and 0 is before the first. */
static size_t offset_of(struct view text, uint32_t line, uint32_t column)
{
    size_t i = 0;

    for (uint32_t l = 1; l < line; l++) {
        const char *end = i < text.len ? memchr(text.p + i, '\n', text.len - i) : NULL;

        if (end == NULL)
            return text.len;
        i = (size_t)(end - text.p) + 1;
    }
    for (uint32_t c = 1; c < column && i < text.len && text.p[i] != '\n'; c++)
        for (i++; i < text.len && !utf8_begins(text.p[i]);)
            i++;
    return i;
}

static bool add_syntax_error(struct config_problems *p, struct view text, const json_error_t *e)
{
    uint32_t line = e->line > 0 ? (uint32_t)e->line : 1;
    uint32_t column = e->column > 0 ? (uint32_t)e->column : 1;

    return add_plain(p, line, column, e->text) &&
           conf_problem_quote(p, &p->v[p->n - 1], text, offset_of(text, line, column));
}

/* jansson takes one behind a number. */
static bool add_nul_error(struct config_problems *p, struct view text, size_t offset)
{
    uint32_t line = 1, column = 1;

    for (size_t i = 0; i < offset; i++) {
        column += utf8_begins(text.p[i]);
        if (text.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return add_plain(p, line, column, "a NUL byte is not JSON") &&
           conf_problem_quote(p, &p->v[p->n - 1], text, offset);
}

/* *out stays NULL after a problem with the text. False: out of memory. */
static bool parse_json(struct view text, struct arena *arena, struct config_problems *problems,
                       json_t **out)
{
    const char *nul = text.len == 0 ? NULL : memchr(text.p, '\0', text.len);
    json_error_t e;

    if (text.len > CONFIG_FILE_MAX_BYTES)
        return add_plain(problems, 0, 0, CONFIG_FILE_TOO_LARGE);
    if (view_starts_with(text, VIEW("\xef\xbb\xbf")))
        return add_plain(problems, 1, 1, "the file begins with a byte order mark: save it without");
    if (nul != NULL)
        return add_nul_error(problems, text, (size_t)(nul - text.p));
    switch (conf_json_parse(text, arena, out, &e)) {
    case CONF_JSON_OK: return true;
    case CONF_JSON_SYNTAX: return add_syntax_error(problems, text, &e);
    case CONF_JSON_NOMEM:
    case CONF_JSON_TOO_LARGE: break;
    }
    return false;
}

/* ---- Making one ---- */

/* FNV-1a. */
static uint64_t hash_of(struct view text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct config_document *document_new(void)
{
    struct config_document *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    atomic_init(&d->refs, 1);
    arena_init(&d->arena);
    return d;
}

/* Fills what follows from the tree: the text, unless there is one, and the hash. */
static bool finish(struct config_document *d)
{
    struct conf_buf b = {0};

    json_write(&b, d->tree, 0, 0);
    conf_buf_put(&b, "\n");
    d->hash = hash_of(conf_buf_view(&b));
    if (d->text.p == NULL)
        d->text = b.nomem ? d->text : arena_copy(&d->arena, conf_buf_view(&b));
    bool ok = !b.nomem && d->text.p != NULL;
    conf_buf_fini(&b);
    return ok;
}

/* A relative folder counts from where the program is now, so that the paths stay good when it
 * moves. */
static struct view absolute_folder(struct arena *a, const char *folder)
{
    char cwd[4096];

    if (folder[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
        return arena_copy(a, view_of(folder));
    if (folder[0] == '\0' || strcmp(folder, ".") == 0)
        return arena_copy(a, view_of(cwd));
    return arena_printf(a, "%s/%s", cwd, folder);
}

/* The tree stays NULL when the text is no JSON. False: out of memory. */
static bool fill(struct config_document *d, struct view text, const char *name, const char *folder,
                 struct config_problems *problems)
{
    d->name = arena_copy(&d->arena, view_of(name));
    d->folder = absolute_folder(&d->arena, folder);
    if (d->name.p == NULL || d->folder.p == NULL ||
        !parse_json(text, &d->arena, problems, &d->tree))
        return false;
    if (d->tree == NULL)
        return true;
    d->text = arena_copy(&d->arena, text);
    return d->text.p != NULL && finish(d);
}

struct config_document *config_document_parse(struct view text, const char *name,
                                              const char *folder, struct config_problems *problems)
{
    struct config_document *d = document_new();

    if (text.p == NULL)
        text = VIEW("");
    problems->file = arena_copy(&problems->arena, view_of(name));
    if (d == NULL || problems->file.p == NULL || !fill(d, text, name, folder, problems))
        conf_problems_set_nomem(problems);
    if (problems->n_errors > 0) {
        config_document_unref(d);
        return NULL;
    }
    return d;
}

struct config_document *config_document_load(const char *path, struct config_problems *problems)
{
    struct config_file file;
    struct config_document *d;

    if (!config_file_read(path, &file)) {
        problems->file = arena_copy(&problems->arena, view_of(path));
        if (problems->file.p == NULL || !add_plain(problems, 0, 0, file.error))
            conf_problems_set_nomem(problems);
        return NULL;
    }
    d = config_document_parse(file.text, path, file.folder, problems);
    config_file_free(&file);
    return d;
}

struct config_document *config_document_ref(struct config_document *d)
{
    unsigned before = atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);

    SP_ASSERT(before > 0);
    return d;
}

void config_document_unref(struct config_document *d)
{
    if (d == NULL || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) > 1)
        return;
    arena_fini(&d->arena);
    free(d);
}

/* ---- Reading ---- */

struct view config_document_text(const struct config_document *d)
{
    return d->text;
}

const char *config_document_name(const struct config_document *d)
{
    return d->name.p;
}

const char *config_document_folder(const struct config_document *d)
{
    return d->folder.p;
}

uint64_t config_document_hash(const struct config_document *d)
{
    return d->hash;
}

json_t *config_document_tree(const struct config_document *d)
{
    return d->tree;
}

static bool fail_edit(struct config_edit_problem *problem, enum config_edit_status status,
                      const char *text)
{
    struct conf_text t;

    problem->status = status;
    conf_text_init(&t, problem->text, sizeof(problem->text));
    conf_text_put(&t, "%s", text);
    return false;
}

static bool check_pointer(struct view pointer, struct config_edit_problem *problem)
{
    if (json_pointer_valid(pointer))
        return true;
    return fail_edit(problem, CONFIG_EDIT_MALFORMED,
                     "not a JSON pointer (RFC 6901): one begins with \"/\"");
}

bool config_document_get(const struct config_document *d, struct view pointer, struct arena *arena,
                         struct view *out, struct config_edit_problem *problem)
{
    struct conf_buf b = {0};
    struct view text = {0};
    const json_t *value;

    if (!check_pointer(pointer, problem))
        return false;
    value = json_pointer_find(d->tree, pointer, NULL);
    if (value == NULL) {
        json_edit_say_missing(d->tree, pointer, problem);
        return false;
    }
    json_write(&b, value, 0, 0);
    if (!b.nomem)
        text = arena_copy(arena, conf_buf_view(&b));
    conf_buf_fini(&b);
    if (text.p == NULL)
        return fail_edit(problem, CONFIG_EDIT_NOMEM, "out of memory");
    *out = text;
    return true;
}

/* ---- Changing ---- */

/* A tree may take this much more than the texts that it is made of: nodes, tables, and what a patch
 * copies. Without a bound a patch of thirty copies would ask for the memory of the machine. */
#define EDIT_BYTES_PER_BYTE 64
#define EDIT_BYTES_MIN      ((size_t)1024 * 1024)

struct edit_work {
    struct config_document *to;
    const struct config_document *from;
    enum config_edit how;
    struct view pointer;
    json_t *value;
    struct config_edit_problem *problem;
};

static void edit(void *arg)
{
    struct edit_work *w = arg;

    w->to->tree =
        json_edit(conf_json_copy(w->from->tree), w->how, w->pointer, w->value, w->problem);
}

static bool parse_value(struct view text, struct arena *arena, json_t **out,
                        struct config_edit_problem *problem)
{
    json_error_t e;

    switch (conf_json_parse_value(text, arena, out, &e)) {
    case CONF_JSON_OK: return true;
    case CONF_JSON_SYNTAX: return fail_edit(problem, CONFIG_EDIT_MALFORMED, e.text);
    case CONF_JSON_NOMEM:
    case CONF_JSON_TOO_LARGE: break;
    }
    return fail_edit(problem, CONFIG_EDIT_NOMEM, "out of memory");
}

static bool run_edit(struct edit_work *w, size_t limit_bytes)
{
    switch (conf_json_run(&w->to->arena, limit_bytes, edit, w)) {
    case CONF_JSON_OK: return w->to->tree != NULL;
    case CONF_JSON_TOO_LARGE:
        return fail_edit(w->problem, CONFIG_EDIT_TOO_LARGE, "the outcome would be too large");
    case CONF_JSON_SYNTAX:
    case CONF_JSON_NOMEM: break;
    }
    return fail_edit(w->problem, CONFIG_EDIT_NOMEM, "out of memory");
}

/* What the new document has from the old one. */
static bool inherit(struct config_document *to, const struct config_document *from)
{
    to->name = arena_copy(&to->arena, from->name);
    to->folder = arena_copy(&to->arena, from->folder);
    return to->name.p != NULL && to->folder.p != NULL;
}

struct config_document *config_document_edit(const struct config_document *d, enum config_edit how,
                                             struct view pointer, struct view value,
                                             struct config_edit_problem *problem)
{
    struct edit_work w = {
        .to = document_new(), .from = d, .how = how, .pointer = pointer, .problem = problem};
    size_t limit_bytes = EDIT_BYTES_MIN + EDIT_BYTES_PER_BYTE * (d->text.len + value.len);
    bool ok = false;

    *problem = (struct config_edit_problem){0};
    if (w.to == NULL) {
        (void)fail_edit(problem, CONFIG_EDIT_NOMEM, "out of memory");
        return NULL;
    }
    if (value.len > CONFIG_FILE_MAX_BYTES)
        (void)fail_edit(problem, CONFIG_EDIT_TOO_LARGE, "the value is larger than 64 MiB");
    else if (how == CONFIG_EDIT_REMOVE || parse_value(value, &w.to->arena, &w.value, problem))
        ok = run_edit(&w, limit_bytes);
    if (ok && (!inherit(w.to, d) || !finish(w.to)))
        ok = fail_edit(problem, CONFIG_EDIT_NOMEM, "out of memory");
    if (ok)
        return w.to;
    config_document_unref(w.to);
    return NULL;
}
