/* What changes and what stays is decided here, by the effects that the two configurations have on a
 * running program (config/diff.h); the parts themselves know how to be made, begun and left. */
#include "server_apply.h"

#include "backend_tls.h"
#include "server_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/config/diff.h>

#include <inttypes.h>
#include <stdlib.h>

/* What becomes of a port of the new configuration. */
struct port_step {
    struct server_port *port;       /* kept, or made; made ones are owned until the commit */
    struct server_port *old;        /* whose place it takes; NULL: none, or it is kept */
    struct server_port_certs certs; /* of one that is kept and whose certificates changed */
    bool made;
};

struct server_apply {
    struct server *server;
    struct config *config; /* owned reference */
    struct server_reporter reporter;
    bool reread_files;
    struct config_plan plan;
    struct cert_set *certs; /* owned reference */
    bool staples_prepared;
    struct port_step *steps; /* in the order of the configuration */
    uint32_t n_steps;
    struct server_port **ports; /* owned: the list as it will be */
    struct proxy_update *service;
    struct net_core_change *core;
};

/* ---- What changed ---- */

static bool has_effect(const struct server_apply *a, enum config_part part, struct view name)
{
    for (uint32_t i = 0; i < a->plan.n_effects; i++) {
        const struct config_effect *e = &a->plan.effects[i];

        if (e->part == part && !e->restart && view_eq(e->name, name))
            return true;
    }
    return false;
}

static bool port_changed(const struct server_apply *a, const struct port_conf *conf)
{
    return has_effect(a, CONFIG_PART_LISTENERS, conf->name) ||
           has_effect(a, CONFIG_PART_PORTS, conf->name);
}

static bool certificates_changed(const struct server_apply *a, const struct port_conf *conf)
{
    const struct client_auth_conf *auth = &conf->tls_conf.client_auth;

    if (conf->tls &&
        cert_set_client_trust(a->certs, auth) != cert_set_client_trust(a->server->certs, auth))
        return true;
    for (uint32_t i = 0; conf->tls && i < conf->tls_conf.n_bundles; i++) {
        struct view name = conf->tls_conf.bundles[i]->name;

        if (cert_set_find(a->certs, name) != cert_set_find(a->server->certs, name))
            return true;
    }
    return false;
}

static bool is_same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->len == b->len && memcmp(&a->storage, &b->storage, a->len) == 0;
}

/* The port that has this one's name, or its address under another name; NULL: it is new. */
static struct server_port *predecessor(const struct server *s, const struct port_conf *conf)
{
    for (uint32_t i = 0; i < s->n_ports; i++)
        if (view_eq(s->ports[i]->conf->name, conf->name))
            return s->ports[i];
    for (uint32_t i = 0; i < s->n_ports; i++)
        if (is_same_endpoint(&s->ports[i]->conf->endpoints[0], &conf->endpoints[0]))
            return s->ports[i];
    return NULL;
}

static bool is_in(const struct server_apply *a, const struct server_port *port)
{
    for (uint32_t i = 0; i < a->n_steps; i++)
        if (a->steps[i].port == port)
            return true;
    return false;
}

/* ---- Preparing ---- */

static bool tell(const struct server_apply *a, const char *object, enum sp_err err)
{
    server_report(&a->reporter, false, object, (struct view){NULL, 0}, "%s", sp_err_text(err));
    return false;
}

static bool prepare_certificates(struct server_apply *a)
{
    const struct cert_reporter reporter = {.report = server_report_certificate,
                                           .arg = &a->reporter};
    enum sp_err err = SP_OK;

    a->certs = cert_set_load(
        &(struct cert_set_options){.bundles = a->config->bundles,
                                   .n_bundles = a->config->n_bundles,
                                   .ports = a->config->ports,
                                   .n_ports = a->config->n_ports,
                                   .old = a->server->certs,
                                   .look = a->reread_files ? CERT_LOOK_FILES : CERT_LOOK_SETTINGS,
                                   .refuse_expired = true,
                                   .ocsp = &a->config->certificates.ocsp,
                                   .reporter = &reporter},
        &err);
    return a->certs != NULL || (err == SP_INVALID ? false : tell(a, "/bundles", err));
}

/* Certificates and ticket keys of a port that stays as it is. */
static bool prepare_port_certs(struct server_apply *a, struct port_step *step,
                               const struct server_port *port)
{
    const struct cert_reporter reporter = {.report = server_report_certificate,
                                           .arg = &a->reporter};
    enum sp_err err = SP_OK;

    if (certificates_changed(a, port->conf))
        err = server_port_certs_prepare(&step->certs, port, a->certs, &reporter);
    if (err == SP_OK && a->reread_files)
        err = server_port_certs_add_ticket_keys(&step->certs, port, &reporter);
    return err == SP_OK || (err == SP_INVALID ? false : tell(a, "/ports", err));
}

static bool prepare_port(struct server_apply *a, const struct port_conf *conf)
{
    struct server_port *old = predecessor(a->server, conf);
    struct port_step *step = &a->steps[a->n_steps];

    step->made = old == NULL || port_changed(a, conf) || !view_eq(old->conf->name, conf->name);
    if (step->made) {
        const struct server_port_options options = {.config = a->config,
                                                    .conf = conf,
                                                    .certs = a->certs,
                                                    .old = old,
                                                    .reporter = &a->reporter};

        step->port = server_port_new(a->server, &options);
        step->old = old;
    } else if (prepare_port_certs(a, step, old)) {
        step->port = old;
    }
    a->ports[a->n_steps++] = step->port;
    return step->port != NULL;
}

/* Goes on after a port that fails, so that everything that is wrong is told at once. */
static bool prepare_ports(struct server_apply *a)
{
    const struct config *config = a->config;
    bool ok = true;

    a->steps = calloc(config->n_ports, sizeof(*a->steps));
    a->ports = calloc(config->n_ports, sizeof(struct server_port *));
    if (a->steps == NULL || a->ports == NULL)
        return tell(a, "/ports", SP_NOMEM);
    for (uint32_t i = 0; i < config->n_ports; i++)
        ok = prepare_port(a, &config->ports[i]) && ok;
    return ok;
}

static void report_backend(void *arg, const struct certificates_problem *p)
{
    const struct server_apply *a = arg;

    server_report(&a->reporter, p->warning, "", p->pointer, VIEW_FMT "%s" VIEW_FMT,
                  VIEW_ARG(p->file), p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
}

static bool prepare_service(struct server_apply *a)
{
    const struct certificates_reporter reporter = {.report = report_backend, .arg = a};
    struct proxy_service *service = &a->server->service;
    struct upstream_set *set;
    struct backend_tls tls;

    if (!backend_tls_make(&tls, a->config, &reporter))
        return false; /* each problem was told */
    set = upstream_set_new(&(struct upstream_set_options){
        .config = a->config, .old = proxy_service_set(service), .tls = tls.clients});
    backend_tls_fini(&tls);
    a->service = set == NULL ? NULL : proxy_service_prepare(service, set);
    upstream_set_unref(set);
    return a->service != NULL || tell(a, "/backends", SP_NOMEM);
}

static bool prepare_core(struct server_apply *a)
{
    a->core = net_core_change_prepare(a->server->core);
    return a->core != NULL || tell(a, "/throttle", SP_NOMEM);
}

static void prepare_staples(struct server_apply *a)
{
    const struct cert_reporter reporter = {.report = server_report_certificate,
                                           .arg = &a->reporter};

    a->staples_prepared = true;
    server_ocsp_prepare(a->server, a->config, a->certs, &reporter);
}

static bool prepare_all(struct server_apply *a)
{
    bool ok;

    if (a->server->ending)
        return tell(a, "", SP_SHUTTING_DOWN);
    if (!config_plan_effects(&a->plan, a->server->config, a->config))
        return tell(a, "", SP_NOMEM);
    ok = prepare_certificates(a) && prepare_ports(a) && prepare_core(a);
    ok = prepare_service(a) && ok;
    if (ok)
        prepare_staples(a);
    return ok;
}

struct server_apply *server_apply_prepare(struct server *s, struct config *config,
                                          const struct server_apply_options *options)
{
    struct server_apply *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        options->report(options->arg, (struct view){NULL, 0}, view_of(sp_err_text(SP_NOMEM)),
                        false);
        return NULL;
    }
    a->server = s;
    a->config = config_ref(config);
    a->reporter = (struct server_reporter){.report = options->report, .arg = options->arg};
    a->reread_files = options->reread_files;
    config_plan_init(&a->plan);
    if (prepare_all(a))
        return a;
    server_apply_abandon(a);
    return NULL;
}

static void apply_free(struct server_apply *a)
{
    cert_set_unref(a->certs);
    config_plan_fini(&a->plan);
    config_unref(a->config);
    free(a->steps);
    free(a->ports);
    free(a);
}

void server_apply_abandon(struct server_apply *a)
{
    if (a == NULL)
        return;
    for (uint32_t i = 0; i < a->n_steps; i++) {
        if (a->steps[i].made)
            server_port_free(a->steps[i].port);
        server_port_certs_abandon(&a->steps[i].certs);
    }
    proxy_service_abandon(a->service);
    net_core_change_abandon(a->core);
    if (a->staples_prepared)
        server_ocsp_follow(a->server);
    apply_free(a);
}

/* ---- The commit ---- */

/* What is asked of clients holds for the connections of a port that is replaced, too. */
static void commit_step(const struct server_apply *a, struct port_step *step)
{
    if (step->made) {
        if (step->old != NULL && !is_in(a, step->old))
            server_port_hand_over(step->port, step->old);
        server_port_begin(step->port);
        port_announce(step->port);
    } else {
        server_port_certs_commit(&step->certs, step->port);
    }
}

static bool is_replaced(const struct server_apply *a, const struct server_port *port)
{
    for (uint32_t i = 0; i < a->n_steps; i++)
        if (a->steps[i].old == port && view_eq(a->steps[i].port->conf->name, port->conf->name))
            return true;
    return false;
}

/* The new listeners have begun: of those that share their sockets nobody is refused. */
static void leave_old_ports(struct server_apply *a)
{
    struct server *s = a->server;

    for (uint32_t i = 0; i < s->n_ports; i++) {
        struct server_port *port = s->ports[i];

        SP_ASSERT(port != NULL);
        if (is_in(a, port))
            continue;
        ports_leave(s, port);
        if (!is_replaced(a, port))
            server_drain_port(s, port);
    }
}

static void commit_core(struct server_apply *a)
{
    const struct net_core_options options = server_core_options(a->config, &a->server->plan);

    net_core_change_commit(a->core, &options);
}

/* First the way of the requests: a thread takes it before it hears of a new listener. */
void server_apply_commit(struct server_apply *a)
{
    struct server *s = a->server;
    struct server_port **old_ports = s->ports;
    struct config *old_config = s->config;
    struct cert_set *old_certs = s->certs;

    cert_canary_drop(s, "another configuration");
    server_lock(s);
    proxy_service_commit(&s->service, a->service);
    commit_core(a);
    for (uint32_t i = 0; i < a->n_steps; i++)
        commit_step(a, &a->steps[i]);
    leave_old_ports(a);
    s->ports = a->ports;
    s->n_ports = a->n_steps;
    s->config = config_ref(a->config);
    s->certs = a->certs;
    a->certs = old_certs;
    ports_reap(s);
    server_unlock(s);
    server_ocsp_follow(s);
    cert_watch_look_again(s->watch);
    if (!a->reread_files && cert_set_differs(s->certs, old_certs))
        cert_results_add(s, CERT_TRIGGER_APPLY, CERT_RESULT_OK);
    if (!server_watch_memory(s))
        LOG_WARN(APP, "memory_ceiling_bytes is not watched: %s", sp_err_text(SP_NOMEM));
    if (s->config->log.levels.len > 0)
        (void)log_set_levels(s->config->log.levels);
    LOG_INFO(APP, "applied config=" VIEW_FMT " ports=%u effects=%u", VIEW_ARG(a->config->file),
             s->n_ports, a->plan.n_effects);
    config_unref(old_config);
    a->ports = old_ports;
    apply_free(a);
}

struct config *server_config(struct server *s)
{
    struct config *config;

    server_lock(s);
    config = config_ref(s->config);
    server_unlock(s);
    return config;
}
