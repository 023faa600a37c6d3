/* The certificates of all TLS ports and backends, only to see whether they are fit. */
#include "backend_tls.h"

#include <sallyport/tls/cert_store.h>
#include <sallyport/tls/ticket_keys.h>

#include <string.h>

static size_t put(char *dst, size_t at, struct view text)
{
    struct view cut = view_head(text, CERTIFICATES_POINTER_MAX - at);

    if (cut.len > 0)
        memcpy(dst + at, cut.p, cut.len);
    return at + cut.len;
}

struct view certificates_pointer(char dst[CERTIFICATES_POINTER_MAX], const char *before,
                                 struct view name, const char *after, const char *key)
{
    size_t n = put(dst, 0, view_of(before));

    n = put(dst, n, name);
    n = put(dst, n, view_of(after));
    return (struct view){dst, put(dst, n, view_of(key))};
}

static void tell(void *arg, const struct cert_problem *p)
{
    const struct certificates_reporter *reporter = arg;
    char pointer[CERTIFICATES_POINTER_MAX];
    const struct certificates_problem problem = {
        .pointer = cert_problem_pointer(p, pointer),
        .file = p->file,
        .text = p->text,
        .warning = p->warning,
    };

    reporter->report(reporter->arg, &problem);
}

/* Names that two bundles of a port have. */
static bool check_names(const struct config *config, const struct cert_set *set,
                        const struct cert_reporter *reporter)
{
    for (uint32_t i = 0; i < config->n_ports; i++) {
        struct cert_store *store;

        if (!config->ports[i].tls)
            continue;
        store = cert_store_new(&(struct cert_store_options){
            .conf = &config->ports[i].tls_conf, .set = set, .reporter = reporter});
        if (store == NULL)
            return false;
        cert_store_unref(store);
    }
    return true;
}

static bool check_bundles(const struct config *config, const struct certificates_reporter *reporter)
{
    const struct cert_reporter bundles = {.report = tell, .arg = (void *)(uintptr_t)reporter};
    enum sp_err err = SP_OK;
    struct cert_set *set = cert_set_load(&(struct cert_set_options){.bundles = config->bundles,
                                                                    .n_bundles = config->n_bundles,
                                                                    .ports = config->ports,
                                                                    .n_ports = config->n_ports,
                                                                    .reporter = &bundles},
                                         &err);
    bool ok = set != NULL && check_names(config, set, &bundles);

    cert_set_unref(set);
    return ok;
}

static bool check_ticket_keys(const struct config *config,
                              const struct certificates_reporter *reporter)
{
    const struct cert_reporter keys = {.report = tell, .arg = (void *)(uintptr_t)reporter};
    bool ok = true;

    for (uint32_t i = 0; i < config->n_ports; i++) {
        const struct port_conf *port = &config->ports[i];
        struct ticket_keys *k;

        if (!port->tls || !ticket_keys_have_file(&port->tls_conf))
            continue;
        k = ticket_keys_load(&port->tls_conf, port->name, &keys);
        ok = k != NULL && ok;
        ticket_keys_unref(k);
    }
    return ok;
}

bool certificates_check(const struct config *config, const struct certificates_reporter *reporter)
{
    struct backend_tls backends;
    bool ok = backend_tls_make(&backends, config, reporter);

    if (ok)
        backend_tls_fini(&backends);
    ok = check_bundles(config, reporter) && ok;
    return check_ticket_keys(config, reporter) && ok;
}
