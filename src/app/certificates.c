/* The certificates of all TLS ports and backends, only to see whether they are fit. */
#include "backend_tls.h"

#include <sallyport/tls/cert_store.h>

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

static void tell_bundle(void *arg, const struct cert_problem *p)
{
    const struct certificates_reporter *reporter = arg;
    char pointer[CERTIFICATES_POINTER_MAX];
    const struct certificates_problem problem = {
        .pointer = certificates_pointer(pointer, "/bundles/", p->bundle, "", ""),
        .file = p->file,
        .text = p->text,
        .warning = p->warning,
    };

    reporter->report(reporter->arg, &problem);
}

static bool check_port(const struct port_conf *port, const struct certificates_reporter *reporter)
{
    const struct cert_reporter bundles = {.report = tell_bundle,
                                          .arg = (void *)(uintptr_t)reporter};
    enum sp_err err = SP_OK;
    struct cert_store *store = cert_store_new(&port->tls_conf, &bundles, &err);

    cert_store_unref(store);
    return store != NULL;
}

bool certificates_check(const struct config *config, const struct certificates_reporter *reporter)
{
    struct backend_tls backends;
    bool ok = backend_tls_make(&backends, config, reporter);

    if (ok)
        backend_tls_fini(&backends);
    for (uint32_t i = 0; i < config->n_ports; i++)
        if (config->ports[i].tls)
            ok = check_port(&config->ports[i], reporter) && ok;
    return ok;
}
