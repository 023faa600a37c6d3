/* Ending without anybody noticing: no new connections, idle ones close, busy ones finish what they
 * do, and those that take too long are cut. */
#include "metrics_log.h"
#include "server_apply.h"
#include "server_internal.h"
#include "signals.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <signal.h>

#define LOOK_MS   20   /* how often the open connections are counted */
#define SWEEP_MS  1000 /* idle connections are asked again: some were in a handshake before */
#define SILENT_MS 1000 /* who has said nothing for so long has nothing under way */

static bool is_of_draining_port(const struct net_vconnection *vc)
{
    const struct http_port *port = vc->accept == NULL ? NULL : vc->accept->options.user;

    return port != NULL && atomic_load_explicit(&port->draining, memory_order_relaxed);
}

/* A connection that never carried a request is left alone by its session: the first one may be on
 * its way, and its client would not know that it may ask again elsewhere. Not for ever, though. */
static void close_silent(struct net_handler *nh)
{
    int64_t before_ms = ethread_now_ms(nh->thread) - SILENT_MS;
    struct list *n, *next;

    list_for_each_safe (n, next, &nh->keep_alive) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, queue_link);

        if (vc->last_activity_ms > before_ms)
            break; /* the longest idle ones stand in front */
        if (is_of_draining_port(vc))
            net_vc_evict(vc);
    }
}

/* The same before TLS: whoever has not even begun a handshake. One whose first bytes are there and
 * wait for their turn has. */
static void close_speechless(struct net_handler *nh)
{
    int64_t before_ms = ethread_now_ms(nh->thread) - SILENT_MS;
    struct list *n, *next;

    list_for_each_safe (n, next, &nh->open) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, open_link);

        if (is_of_draining_port(vc) && vc->phase == VC_HANDSHAKE && vc->bytes_in == 0 &&
            !vc->read.triggered && vc->opened_ms <= before_ms)
            net_vc_do_io_close(vc, VC_CLOSE_CLEAN);
    }
}

static void sweep_thread(struct inbox_item *item, struct ethread *t)
{
    struct server_thread *st = container_of(item, struct server_thread, sweep);
    struct net_handler *nh = net_handler_of(st->server->core, t);

    http_sessions_drain(nh);
    close_silent(nh);
    if (nh->n_handshakes > 0)
        close_speechless(nh);
    atomic_store_explicit(&st->sweeping, false, memory_order_release);
}

/* On every thread with connections, unless it is still busy with the last time. */
static void sweep(struct server *s)
{
    for (int i = 0; i < s->ep->n_threads; i++) {
        struct ethread *t = s->ep->threads[i];
        struct server_thread *st = server_thread_of(s, t);

        if (net_handler_of(s->core, t) == NULL ||
            atomic_exchange_explicit(&st->sweeping, true, memory_order_acq_rel))
            continue;
        st->sweep.fn = sweep_thread;
        ethread_post(t, &st->sweep);
    }
}

static void begin(struct server *s)
{
    struct list *n;

    /* One that is being applied comes to its end; none follows. */
    (void)pthread_mutex_lock(&s->applying);
    s->ending = true;
    (void)pthread_mutex_unlock(&s->applying);
    server_lock(s);
    ports_stop(s);
    for (uint32_t i = 0; i < s->n_ports; i++)
        atomic_store(&s->ports[i]->http->draining, true);
    list_for_each (n, &s->leaving)
        atomic_store(&container_of(n, struct server_port, link)->http->draining, true);
    server_unlock(s);
    sweep(s);
}

static uint32_t clients(const struct server *s)
{
    return net_throttle_state(s->core->throttle).connections;
}

/* ---- One port, while the program goes on ---- */

static uint32_t clients_of(const struct server_port *port)
{
    return server_port_is_draining(port) ? server_port_connections(port) : 0;
}

static uint32_t clients_of_draining_ports(struct server *s)
{
    struct list *node;
    uint32_t n = 0;

    server_lock(s);
    ports_reap(s);
    for (uint32_t i = 0; i < s->n_ports; i++)
        n += clients_of(s->ports[i]);
    list_for_each (node, &s->leaving)
        n += clients_of(container_of(node, struct server_port, link));
    server_unlock(s);
    return n;
}

static int sweep_again(struct continuation *c, int event, void *data)
{
    struct server *s = container_of(c, struct server, drain_sweeper);

    (void)event;
    (void)data;
    sweep(s);
    if (clients_of_draining_ports(s) > 0)
        return EVENT_CONT;
    LOG_INFO(APP, "drained ports connections=0");
    atomic_store(&s->drain_sweeping, false);
    /* Another port may have begun just before that, and found this still there. */
    return clients_of_draining_ports(s) > 0 && !atomic_exchange(&s->drain_sweeping, true)
               ? EVENT_CONT
               : EVENT_DONE;
}

void drain_init(struct server *s)
{
    continuation_init(&s->drain_sweeper, "drain_sweeper", sweep_again);
    atomic_init(&s->drain_sweeping, false);
    atomic_init(&s->stop_now, false);
}

void server_drain_port(struct server *s, struct server_port *port)
{
    if (atomic_exchange(&port->http->draining, true))
        return;
    server_port_stop(port);
    LOG_INFO(APP, "draining port=" VIEW_FMT " connections=%u", VIEW_ARG(port->conf->name),
             server_port_connections(port));
    sweep(s);
    if (atomic_exchange(&s->drain_sweeping, true))
        return;
    if (schedule_every(s->ep, &s->drain_sweeper, SWEEP_MS, s->core->et_task, EVENT_INTERVAL,
                       NULL) == NULL)
        atomic_store(&s->drain_sweeping, false); /* those that are idle later end by themselves */
}

bool server_is_draining(const struct server *s)
{
    for (uint32_t i = 0; i < s->n_ports; i++)
        if (!server_port_is_draining(s->ports[i]))
            return false;
    return true;
}

/* ---- The program ---- */

uint32_t server_drain_timeout_ms(struct server *s)
{
    struct config *config = server_config(s);
    uint32_t timeout_ms = config->drain_timeout_ms;

    config_unref(config);
    return timeout_ms;
}

static bool is_end(int signal_number)
{
    return signal_number == SIGTERM || signal_number == SIGINT;
}

void drain(struct server *s)
{
    uint32_t timeout_ms = server_drain_timeout_ms(s);
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    int64_t sweep_ms = clock_mono_ms() + SWEEP_MS;

    LOG_INFO(APP, "draining connections=%u timeout_ms=%u", clients(s), timeout_ms);
    begin(s);
    while (clients(s) > 0 && clock_mono_ms() < deadline_ms && !atomic_load(&s->stop_now)) {
        int signal_number = signals_wait(LOOK_MS);

        if (is_end(signal_number))
            break;
        server_signal(s, signal_number);
        if (clock_mono_ms() < sweep_ms)
            continue;
        sweep(s);
        sweep_ms += SWEEP_MS;
    }
    if (clients(s) > 0)
        LOG_WARN(APP, "drained connections=%u cut", clients(s));
    else
        LOG_INFO(APP, "drained connections=0");
}

void server_signal(struct server *s, int signal_number)
{
    switch (signal_number) {
    case SIGUSR1: logs_reopen(s); break;
    case SIGUSR2: metrics_log(LOG_LEVEL_INFO); break;
    case SIGHUP: server_reload(s); break;
    default: break;
    }
}
