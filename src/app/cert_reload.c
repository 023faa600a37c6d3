#include "cert_reload.h"

#include "server_internal.h"

#include <sallyport/base/log.h>

#include <stdlib.h>
#include <time.h>

/* One reload, from reading to the swap. */
struct reloading {
    struct server *server;
    const struct cert_reload_options *options;
    struct cert_reload_outcome *outcome;
    struct cert_reporter reporter;
    struct server_port_certs *ports; /* owned, in the order of server.ports */
    uint32_t n_ports;
};

void cert_reload_outcome_init(struct cert_reload_outcome *o)
{
    *o = (struct cert_reload_outcome){0};
    cert_problems_init(&o->problems);
}

void cert_reload_outcome_fini(struct cert_reload_outcome *o)
{
    cert_problems_fini(&o->problems);
    cert_set_unref(o->before);
    cert_set_unref(o->after);
}

static bool fail(struct reloading *r, enum sp_err err)
{
    r->outcome->status = err == SP_INVALID ? CERT_RELOAD_REFUSED : CERT_RELOAD_FAILED;
    r->outcome->err = err;
    return false;
}

/* ---- Reading ---- */

static bool names_are_known(struct reloading *r)
{
    const struct cert_reload_options *o = r->options;
    bool ok = true;

    for (uint32_t i = 0; i < o->n_bundles; i++) {
        if (cert_set_find(r->outcome->before, o->bundles[i]) != NULL)
            continue;
        cert_problems_keep(&r->outcome->problems,
                           &(const struct cert_problem){.bundle = o->bundles[i],
                                                        .text = VIEW("there is no such bundle")});
        ok = false;
    }
    return ok || fail(r, SP_INVALID);
}

static bool read_all(struct reloading *r)
{
    const struct config *config = r->server->config;
    enum sp_err err = SP_OK;

    r->outcome->after = cert_set_load(
        &(struct cert_set_options){.bundles = config->bundles,
                                   .n_bundles = config->n_bundles,
                                   .ports = config->ports,
                                   .n_ports = config->n_ports,
                                   .old = r->outcome->before,
                                   .look = CERT_LOOK_FILES,
                                   .only = r->options->bundles,
                                   .n_only = r->options->n_bundles,
                                   .partial = r->options->partial,
                                   .shunned =
                                       r->options->by_watch ? r->server->canary.rejected : NULL,
                                   .refuse_expired = true,
                                   .ocsp = &config->certificates.ocsp,
                                   .reporter = &r->reporter},
        &err);
    return r->outcome->after != NULL || fail(r, err);
}

/* ---- Swapping ---- */

/* Ticket keys belong to no bundle: they come with a reload of all. */
static enum sp_err prepare_port(struct reloading *r, const struct server_port *port,
                                struct server_port_certs *certs)
{
    enum sp_err err = server_port_certs_prepare(certs, port, r->outcome->after, &r->reporter);

    if (err != SP_OK || r->options->n_bundles > 0)
        return err;
    err = server_port_certs_add_ticket_keys(certs, port, &r->reporter);
    if (err != SP_INVALID || !r->options->partial)
        return err;
    r->outcome->keys_refused = true;
    return SP_OK;
}

static bool prepare_ports(struct reloading *r)
{
    const struct server *s = r->server;

    r->ports = calloc((size_t)s->n_ports + 1, sizeof(*r->ports));
    if (r->ports == NULL)
        return fail(r, SP_NOMEM);
    for (; r->n_ports < s->n_ports; r->n_ports++) {
        enum sp_err err = prepare_port(r, s->ports[r->n_ports], &r->ports[r->n_ports]);

        if (err != SP_OK)
            return fail(r, err);
    }
    return true;
}

static void log_certificate(struct view bundle, const struct cert_info *info, const char *what)
{
    char at[40] = "";
    time_t expires = (time_t)info->not_after_s;
    struct tm tm;

    if (gmtime_r(&expires, &tm) != NULL)
        (void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
    LOG_INFO(TLS, "certificate=%s bundle=" VIEW_FMT " key=\"%s\" serial=%s expires=%s", what,
             VIEW_ARG(bundle), info->key, info->serial, at);
}

/* The few that changed. */
static void log_changes(const struct cert_set *after, bool by_watch)
{
    for (uint32_t i = 0; i < cert_set_n(after); i++) {
        const struct cert_bundle *bundle = cert_set_at(after, i);
        enum cert_outcome outcome = cert_set_outcome(after, i);
        struct cert_info info;

        if (outcome == CERT_FAILED && by_watch) /* it tries again and tells it once */
            continue;
        for (uint32_t k = 0; outcome != CERT_KEPT && k < cert_bundle_n_certs(bundle); k++) {
            cert_bundle_describe(bundle, k, &info);
            log_certificate(cert_bundle_name(bundle), &info,
                            outcome == CERT_FAILED ? "kept" : "changed");
        }
    }
}

static void swap(struct reloading *r)
{
    server_swap_certificates(r->server, r->outcome->after, r->ports);
    r->outcome->swapped = true;
    log_changes(r->outcome->after, r->options->by_watch);
}

/* Where nothing changed there is nothing to try. */
static void begin_canary(struct reloading *r)
{
    enum sp_err err;

    if (!cert_set_differs(r->outcome->after, r->outcome->before)) {
        swap(r);
        return;
    }
    err = cert_canary_begin(r->server, r->outcome->after, r->ports, &r->options->canary);
    if (err != SP_OK) {
        (void)fail(r, err);
        return;
    }
    r->ports = NULL;
    r->n_ports = 0;
    r->outcome->tried = true;
    log_changes(r->outcome->after, r->options->by_watch);
}

static bool has_failed(const struct cert_set *set)
{
    for (uint32_t i = 0; i < cert_set_n(set); i++)
        if (cert_set_outcome(set, i) == CERT_FAILED)
            return true;
    return cert_set_n_refused_ports(set) > 0;
}

/* A person's reload is the end of a canary that is under way. */
static bool may_begin(struct reloading *r)
{
    if (r->server->ending)
        return fail(r, SP_SHUTTING_DOWN);
    if (r->server->canary.set == NULL || !r->options->by_watch)
        return true;
    r->outcome->status = CERT_RELOAD_BUSY;
    return false;
}

static void run(struct reloading *r)
{
    struct cert_reload_outcome *o = r->outcome;

    if (!may_begin(r))
        return;
    o->before = cert_set_ref(r->server->certs);
    if (!names_are_known(r) || !read_all(r) || !prepare_ports(r))
        return;
    o->status = has_failed(o->after) || o->keys_refused ? CERT_RELOAD_PARTLY : CERT_RELOAD_DONE;
    if (r->options->dry_run)
        return;
    server_ocsp_prepare(r->server, r->server->config, o->after, &r->reporter);
    cert_canary_drop(r->server, "another reload");
    if (r->options->canary.share > 0)
        begin_canary(r);
    else
        swap(r);
}

/* What the watch does it counts itself: it tries several times. */
static void count(const struct reloading *r)
{
    static const enum cert_result results[] = {[CERT_RELOAD_DONE] = CERT_RESULT_OK,
                                               [CERT_RELOAD_PARTLY] = CERT_RESULT_PARTLY,
                                               [CERT_RELOAD_REFUSED] = CERT_RESULT_REFUSED,
                                               [CERT_RELOAD_BUSY] = CERT_RESULT_REFUSED,
                                               [CERT_RELOAD_FAILED] = CERT_RESULT_REFUSED};

    if (!r->options->dry_run && !r->options->by_watch)
        cert_results_add(r->server, CERT_TRIGGER_COMMAND, results[r->outcome->status]);
}

void cert_reload(struct server *s, const struct cert_reload_options *options,
                 struct cert_reload_outcome *outcome)
{
    struct reloading r = {.server = s,
                          .options = options,
                          .outcome = outcome,
                          .reporter = {cert_problems_keep, &outcome->problems}};

    (void)pthread_mutex_lock(&s->applying);
    run(&r);
    count(&r);
    server_ocsp_follow(s);
    for (uint32_t i = 0; i < r.n_ports; i++)
        server_port_certs_abandon(&r.ports[i]);
    free(r.ports);
    (void)pthread_mutex_unlock(&s->applying);
}
