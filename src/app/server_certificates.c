/* The certificates that the server begins with, and those that it has. */
#include "server_internal.h"

#include <sallyport/base/log.h>

#include <stdio.h>
#include <unistd.h>

#define WORTH_SHOWING 500 /* bundles; fewer are read before one can look */

static void show_progress(void *arg, uint32_t done, uint32_t total)
{
    (void)arg;
    (void)fprintf(stderr, "\rcertificates: %u of %u bundles read%s", done, total,
                  done == total ? "\n" : "");
    (void)fflush(stderr);
}

static void tell(void *arg, const struct cert_problem *p)
{
    const struct server *s = arg;
    char pointer[CERT_PROBLEM_POINTER_MAX];
    struct view at = cert_problem_pointer(p, pointer);

    if (p->warning) {
        LOG_WARN(TLS, VIEW_FMT ": " VIEW_FMT "%s" VIEW_FMT, VIEW_ARG(at), VIEW_ARG(p->file),
                 p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
        return;
    }
    (void)server_refuse(s, VIEW_FMT ": " VIEW_FMT "%s" VIEW_FMT, VIEW_ARG(at), VIEW_ARG(p->file),
                        p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
}

bool server_read_certificates(struct server *s)
{
    const struct cert_reporter reporter = {.report = tell, .arg = s};
    bool shown = s->config->n_bundles >= WORTH_SHOWING && isatty(STDERR_FILENO) == 1;
    enum sp_err err = SP_OK;

    s->certs = cert_set_load(&(struct cert_set_options){.bundles = s->config->bundles,
                                                        .n_bundles = s->config->n_bundles,
                                                        .ocsp = &s->config->certificates.ocsp,
                                                        .ports = s->config->ports,
                                                        .n_ports = s->config->n_ports,
                                                        .reporter = &reporter,
                                                        .progress = shown ? show_progress : NULL},
                             &err);
    if (s->certs == NULL && err != SP_INVALID) /* else each problem was told */
        return server_refuse(s, "/bundles: %s", sp_err_text(err));
    return s->certs != NULL;
}

void server_swap_certificates(struct server *s, struct cert_set *set,
                              struct server_port_certs *ports)
{
    struct cert_set *old = s->certs;

    server_lock(s);
    for (uint32_t i = 0; i < s->n_ports; i++)
        server_port_certs_commit(&ports[i], s->ports[i]);
    s->certs = cert_set_ref(set);
    server_unlock(s);
    cert_set_unref(old);
}

struct cert_set *server_certificates(struct server *s)
{
    struct cert_set *set;

    server_lock(s);
    set = cert_set_ref(s->certs);
    server_unlock(s);
    return set;
}
