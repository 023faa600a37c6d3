#include "conf_problems.h"
#include "conf_reader.h"
#include "config_check.h"
#include "config_rows.h"
#include "document_internal.h"

#include <sallyport/config/config.h>

#include <stdlib.h>

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
    conf_admin_default(&r, c->file, &c->admin);
    conf_ocsp_default(&r, c->file, c->admin.state, &c->certificates.ocsp);
    config_check(&r, c, json);
    ok = !r.nomem;
    conf_reader_fini(&r);
    return ok;
}

/* False: out of memory. */
static bool fill(struct config *c, struct config_problems *problems)
{
    struct view folder = arena_copy(&c->arena, view_of(config_document_folder(c->document)));

    return folder.p != NULL &&
           read_config(c, config_document_tree(c->document), folder, problems) &&
           conf_problems_locate(problems, config_document_text(c->document));
}

struct config *config_of_document(struct config_document *d, struct config_problems *problems)
{
    struct config *c = config_new(config_document_name(d));

    problems->file = arena_copy(&problems->arena, view_of(config_document_name(d)));
    if (c != NULL)
        c->document = config_document_ref(d);
    if (c == NULL || problems->file.p == NULL || !fill(c, problems))
        conf_problems_set_nomem(problems);
    if (problems->n_errors > 0) {
        config_unref(c);
        return NULL;
    }
    return c;
}

static struct config *config_and_unref(struct config_document *d, struct config_problems *problems)
{
    struct config *c = d == NULL ? NULL : config_of_document(d, problems);

    config_document_unref(d);
    return c;
}

struct config *config_parse(struct view text, const char *name, const char *folder,
                            struct config_problems *problems)
{
    return config_and_unref(config_document_parse(text, name, folder, problems), problems);
}

struct config *config_load(const char *path, struct config_problems *problems)
{
    return config_and_unref(config_document_load(path, problems), problems);
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
    config_document_unref(c->document);
    arena_fini(&c->arena);
    free(c);
}
