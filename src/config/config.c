#include "conf_json.h"
#include "conf_problems.h"
#include "conf_reader.h"
#include "conf_text.h"
#include "config_check.h"
#include "config_file.h"
#include "config_rows.h"

#include <sallyport/config/config.h>

#include <stdlib.h>
#include <unistd.h>

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
    case CONF_JSON_NOMEM: break;
    }
    return false;
}

static struct config *config_new(const char *name)
{
    struct config *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    arena_init(&c->arena);
    atomic_init(&c->refs, 1);
    c->file = arena_copy(&c->arena, view_of(name));
    if (c->file.p == NULL) {
        config_unref(c);
        return NULL;
    }
    return c;
}

/* Fills the configuration and the problems. False: out of memory. */
static bool read_config(struct config *c, json_t *json, struct view folder,
                        struct config_problems *problems)
{
    struct conf_reader r;
    bool ok;

    conf_reader_init(&r, problems, &c->arena, folder);
    conf_reader_read(&r, &conf_config_table, json, c);
    conf_admin_default(&r, &c->admin);
    config_check(&r, c, json);
    ok = !r.nomem;
    conf_reader_fini(&r);
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

/* *out stays NULL when the text is no JSON. False: out of memory. */
static bool parse(struct view text, const char *name, struct view folder,
                  struct config_problems *problems, struct config **out)
{
    struct arena tree;
    json_t *json = NULL;
    bool ok;

    arena_init(&tree);
    ok = parse_json(text, &tree, problems, &json);
    if (json != NULL) {
        *out = config_new(name);
        ok = *out != NULL && read_config(*out, json, folder, problems) &&
             conf_problems_locate(problems, text);
    }
    arena_fini(&tree);
    return ok;
}

struct config *config_parse(struct view text, const char *name, const char *folder,
                            struct config_problems *problems)
{
    struct config *c = NULL;
    struct view start = absolute_folder(&problems->arena, folder);

    problems->file = arena_copy(&problems->arena, view_of(name));
    if (start.p == NULL || problems->file.p == NULL || !parse(text, name, start, problems, &c))
        conf_problems_set_nomem(problems);
    if (problems->n_errors > 0) {
        config_unref(c);
        return NULL;
    }
    return c;
}

struct config *config_load(const char *path, struct config_problems *problems)
{
    struct config_file file;
    struct config *c;

    if (!config_file_read(path, &file)) {
        problems->file = arena_copy(&problems->arena, view_of(path));
        if (problems->file.p == NULL || !add_plain(problems, 0, 0, file.error))
            conf_problems_set_nomem(problems);
        return NULL;
    }
    c = config_parse(file.text, path, file.folder, problems);
    config_file_free(&file);
    return c;
}

struct config *config_ref(struct config *c)
{
    unsigned before = atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);

    SP_ASSERT(before > 0);
    return c;
}

void config_unref(struct config *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    arena_fini(&c->arena);
    free(c);
}
