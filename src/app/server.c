/* The server as a whole. start() is the order in which things are made, end() its mirror. */
#include "backend_tls.h"
#include "fd_limit.h"
#include "metrics_log.h"
#include "notify.h"
#include "privileges.h"
#include "server_internal.h"
#include "signals.h"

#include <sallyport/app/server.h>
#include <sallyport/base/log.h>
#include <sallyport/base/version.h>

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define MEMORY_SAMPLE_MS 1000

bool server_refuse(const struct server *s, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)fprintf(stderr, "sallyport: " VIEW_FMT ": %s\n", VIEW_ARG(s->config->file), text);
    if (s->log != NULL && s->config->log.path.len > 0)
        LOG_ERROR(APP, "cannot start: %s", text);
    return false;
}

static uint32_t listeners_wanted(const struct config *config)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < config->n_ports; i++)
        n += config->ports[i].n_endpoints;
    return n;
}

/* Before the throttle is made: it works with the limit that holds. */
static void raise_fd_limit(const struct server *s)
{
    const struct fd_demand demand = {
        .max_connections = s->config->throttle.max_connections,
        .n_listeners = listeners_wanted(s->config),
        .n_threads = (uint32_t)(s->plan.net + s->plan.ssl + s->plan.task),
    };
    uint64_t limit = fd_limit_raise(), needed = fd_limit_needed(&demand);

    if (limit < needed)
        LOG_WARN(APP, "descriptors limit=%" PRIu64 " needed=%" PRIu64 " for max_connections=%u",
                 limit, needed, demand.max_connections);
}

struct net_core_options server_core_options(const struct config *config,
                                            const struct threads_plan *plan)
{
    const struct throttle_conf *t = &config->throttle;
    const struct handshake_conf *h = &config->handshake;
    return (struct net_core_options){
        .n_net_threads = plan->net,
        .default_inactivity_ms = t->default_inactivity_ms,
        .max_keep_alive = t->max_keep_alive,
        .handshake_budget_ns = (int64_t)h->budget_us * 1000,
        .handshakes = {.max_waiting = h->max_waiting,
                       .max_open = h->max_open,
                       .target_wait_us = (int64_t)h->target_wait_ms * 1000,
                       .max_wait_us = (int64_t)h->max_wait_ms * 1000,
                       .shed_after_us = (int64_t)h->shed_after_ms * 1000},
        .handshake_floor_percent = h->min_share_percent,
        .handshake_limits = {.max_at_once = h->max_at_once,
                             .max_at_once_per_address = h->max_at_once_per_address,
                             .rate_per_s = h->rate_per_s,
                             .burst = h->burst,
                             .rate_per_address_per_s = h->rate_per_address_per_s,
                             .burst_per_address = h->burst_per_address,
                             .exempt = h->exempt,
                             .n_exempt = h->n_exempt},
        .throttle = {.max_connections = t->max_connections,
                     .max_connections_per_address = t->max_connections_per_address,
                     .exempt = t->exempt,
                     .n_exempt = t->n_exempt,
                     .accept_headroom_percent = t->accept_headroom_percent,
                     .connect_headroom_percent = t->connect_headroom_percent,
                     .memory_ceiling_bytes = t->memory_ceiling_bytes},
    };
}

static struct net_core *core_new(const struct server *s)
{
    const struct net_core_options options = server_core_options(s->config, &s->plan);

    return net_core_new(s->ep, &options);
}

/* Every thread, not yet running. */
static bool make_threads(struct server *s)
{
    s->ep = event_processor_new();
    if (s->ep != NULL)
        s->core = core_new(s);
    if (s->core == NULL)
        return server_refuse(s, "/threads/net: %d threads cannot be made", s->plan.net);
    s->core->et_task = event_processor_register(s->ep, "ET_TASK");
    if (event_processor_spawn(s->ep, s->core->et_task,
                              &(struct spawn_options){.n = s->plan.task}) != SP_OK)
        return server_refuse(s, "/threads/task: %d threads cannot be made", s->plan.task);
    net_processor_init(&s->tcp, &tcp_net_processor_ops, s->core);
    s->ssl_started =
        ssl_net_processor_start(&s->ssl, s->core, s->plan.ssl, s->plan.ssl_nice) == SP_OK;
    return s->ssl_started ||
           server_refuse(s, "/threads/ssl: %d threads cannot be made", s->plan.ssl);
}

struct server_thread *server_thread_of(const struct server *s, struct ethread *t)
{
    return ethread_storage(t, s->thread_offset);
}

static void init_threads(struct server *s)
{
    s->thread_offset = event_processor_allocate(s->ep, sizeof(struct server_thread));
    for (int i = 0; i < s->ep->n_threads; i++) {
        struct server_thread *st = server_thread_of(s, s->ep->threads[i]);

        st->server = s;
        atomic_init(&st->sweeping, false);
    }
}

static void tell_backend(void *arg, const struct certificates_problem *p)
{
    const struct server *s = arg;

    if (p->warning) {
        LOG_WARN(TLS, VIEW_FMT ": " VIEW_FMT "%s" VIEW_FMT, VIEW_ARG(p->pointer), VIEW_ARG(p->file),
                 p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
        return;
    }
    (void)server_refuse(s, VIEW_FMT ": " VIEW_FMT "%s" VIEW_FMT, VIEW_ARG(p->pointer),
                        VIEW_ARG(p->file), p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
}

static enum sp_err init_service(struct server *s, const struct backend_tls *tls)
{
    struct upstream_set *set =
        upstream_set_new(&(struct upstream_set_options){.config = s->config, .tls = tls->clients});
    enum sp_err err;

    if (set == NULL)
        return SP_NOMEM;
    err = proxy_service_init(&s->service,
                             &(struct proxy_service_options){.core = s->core,
                                                             .plain = &s->tcp,
                                                             .tls = &s->ssl.super,
                                                             .set = set,
                                                             .access_log = s->access_log});
    upstream_set_unref(set);
    return err;
}

static bool make_service(struct server *s)
{
    const struct certificates_reporter reporter = {.report = tell_backend, .arg = s};
    struct backend_tls tls;
    enum sp_err err;

    if (!backend_tls_make(&tls, s->config, &reporter))
        return false; /* each problem was told */
    err = init_service(s, &tls);
    backend_tls_fini(&tls);
    init_threads(s);
    s->service_started = err == SP_OK;
    if (err == SP_OK)
        err = admin_service_init(&s->admin.service, s->ep, s->core->et_task, s);
    return err == SP_OK || server_refuse(s, "backends: %s", sp_err_text(err));
}

/* Whom to become is known before anything is bound, so that a wrong name costs nothing. */
static bool find_user(const struct server *s, struct privileges *user)
{
    struct view name = s->config->user;
    const char *reason = "";

    if (name.len == 0 || privileges_find(name, user, &reason) == SP_OK)
        return true;
    return server_refuse(s, "/user: " VIEW_FMT ": %s", VIEW_ARG(name), reason);
}

static bool become_user(struct server *s, const struct privileges *user)
{
    const char *reason = "";

    if (user->change) {
        managed_config_give(s, user->uid, user->gid);
        ocsp_updater_give(s->config, user->uid, user->gid);
    }
    if (s->config->user.len == 0 || privileges_drop(user, &reason) == SP_OK)
        return true;
    return server_refuse(s, "/user: " VIEW_FMT ": %s", VIEW_ARG(s->config->user), reason);
}

static int sample_memory(struct continuation *c, int event, void *data)
{
    struct server *s = container_of(c, struct server, memory_sampler);

    (void)event;
    (void)data;
    net_throttle_sample_memory(s->core->throttle);
    return EVENT_CONT;
}

/* Nobody else has to be woken every second. */
bool server_watch_memory(struct server *s)
{
    if (s->config->throttle.memory_ceiling_bytes == 0 || s->memory_watched)
        return true;
    continuation_init(&s->memory_sampler, "memory_sampler", sample_memory);
    s->memory_watched = schedule_every(s->ep, &s->memory_sampler, MEMORY_SAMPLE_MS,
                                       s->core->et_task, EVENT_INTERVAL, NULL) != NULL;
    return s->memory_watched;
}

/* On their way before the first handshake; it does without them until they are there. */
static bool watch_staples(struct server *s)
{
    s->ocsp = ocsp_updater_new(s->core);
    if (s->ocsp == NULL)
        return server_refuse(s, "/certificates/ocsp: %s", sp_err_text(SP_NOMEM));
    server_ocsp_begin(s);
    return true;
}

static bool watch_memory(struct server *s)
{
    return server_watch_memory(s) || server_refuse(s, "%s", sp_err_text(SP_NOMEM));
}

static bool watch_certificates(struct server *s)
{
    s->watch = cert_watch_start(s);
    return s->watch != NULL ||
           server_refuse(s, "/certificates/watch: its thread cannot be started");
}

static bool start_threads(struct server *s)
{
    return event_processor_start(s->ep) == SP_OK || server_refuse(s, "threads cannot be started");
}

static bool start(struct server *s)
{
    struct privileges user = {0};

    if (!logs_open(s) || !find_user(s, &user))
        return false;
    raise_fd_limit(s);
    return make_threads(s) && make_service(s) && server_read_certificates(s) && ports_open(s) &&
           admin_open(s) && become_user(s, &user) && watch_staples(s) && watch_memory(s) &&
           watch_certificates(s) && start_threads(s);
}

static void announce(struct server *s)
{
    server_lock(s); /* the control socket may be asked for another configuration already */
    ports_announce(s);
    LOG_INFO(APP, "ready version=%s pid=%ld ports=%u et_net=%d et_ssl=%d et_task=%d",
             SALLYPORT_VERSION, (long)getpid(), s->n_ports, s->plan.net, s->plan.ssl, s->plan.task);
    server_unlock(s);
    notify_send("READY=1");
}

static void wait_for_end(struct server *s)
{
    for (;;) {
        int signal_number = signals_wait(-1);

        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
        server_signal(s, signal_number);
    }
}

/* The service's part of each thread. Only now: until a thread's connections were told and closed,
 * which is the last thing that it does, transactions use it. */
static void end_service(struct server *s)
{
    const struct thread_group *group = &s->ep->groups[s->core->et_net];

    for (int i = 0; i < group->n; i++)
        proxy_service_thread_fini(&s->service, group->threads[i]);
    proxy_service_fini(&s->service);
}

static void end(struct server *s)
{
    server_lock(s);
    ports_stop(s);
    server_unlock(s);
    admin_stop(s);
    ocsp_updater_stop(s->ocsp);
    if (s->ep != NULL)
        event_processor_stop(s->ep);
    metrics_log(LOG_LEVEL_DEBUG);
    ports_close(s);
    admin_close(s);
    if (s->service_started)
        end_service(s);
    if (s->ssl_started)
        ssl_net_processor_fini(&s->ssl);
    ocsp_updater_free(s->ocsp);
    net_core_free(s->core);
    event_processor_free(s->ep);
    cert_watch_free(s->watch);
    admin_service_fini(&s->admin.service);
    logs_close(s);
    cert_canary_fini(&s->canary);
    cert_set_unref(s->certs);
    config_unref(s->config);
}

int server_run(struct config *config)
{
    struct server s = {.config = config_ref(config),
                       .plan = threads_plan(config, threads_plan_cores()),
                       .started_mono_ms = clock_mono_ms(),
                       .started_wall_ms = clock_wall_ms()};

    (void)pthread_mutex_init(&s.lock, NULL);
    (void)pthread_mutex_init(&s.applying, NULL);
    list_init(&s.leaving);
    drain_init(&s);
    cert_canary_init(&s.canary);
    signals_block();
    bool started = managed_config_open(&s) && start(&s);
    if (started) {
        announce(&s);
        wait_for_end(&s);
        notify_send("STOPPING=1");
        drain(&s);
    }
    end(&s);
    managed_config_close(&s);
    (void)pthread_mutex_destroy(&s.applying);
    (void)pthread_mutex_destroy(&s.lock);
    return started ? 0 : 1;
}
