/* Ending without anybody noticing: no new connections, idle ones close, busy ones finish what they
 * do, and those that take too long are cut. */
#include "metrics_log.h"
#include "server_internal.h"
#include "signals.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <signal.h>

#define LOOK_MS   20   /* how often the open connections are counted */
#define SWEEP_MS  1000 /* idle connections are asked again: some were in a handshake before */
#define SILENT_MS 1000 /* who has said nothing for so long has nothing under way */

/* A connection that never carried a request is left alone by its session: the first one may be on
 * its way, and its client would not know that it may ask again elsewhere. Not for ever, though. */
static void close_silent(struct net_handler *nh)
{
    int64_t before_ms = ethread_now_ms(nh->thread) - SILENT_MS;
    struct list *n;
    uint32_t silent = 0;

    list_for_each (n, &nh->keep_alive) {
        if (container_of(n, struct net_vconnection, queue_link)->last_activity_ms > before_ms)
            break; /* the longest idle ones stand in front */
        silent++;
    }
    (void)net_handler_evict_idle(nh, silent);
}

/* The same before TLS: whoever has not even begun a handshake. One whose first bytes are there and
 * wait for their turn has. */
static void close_speechless(struct net_handler *nh)
{
    int64_t before_ms = ethread_now_ms(nh->thread) - SILENT_MS;
    struct list *n, *next;

    list_for_each_safe (n, next, &nh->open) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, open_link);

        if (vc->phase == VC_HANDSHAKE && vc->bytes_in == 0 && !vc->read.triggered &&
            vc->opened_ms <= before_ms)
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
    ports_stop(s);
    for (uint32_t i = 0; i < s->n_ports; i++)
        atomic_store(&s->ports[i].http.draining, true);
    sweep(s);
}

static uint32_t clients(const struct server *s)
{
    return net_throttle_state(s->core->throttle).connections;
}

static bool is_end(int signal_number)
{
    return signal_number == SIGTERM || signal_number == SIGINT;
}

void drain(struct server *s)
{
    int64_t deadline_ms = clock_mono_ms() + s->config->drain_timeout_ms;
    int64_t sweep_ms = clock_mono_ms() + SWEEP_MS;

    LOG_INFO(APP, "draining connections=%u timeout_ms=%u", clients(s), s->config->drain_timeout_ms);
    begin(s);
    while (clients(s) > 0 && clock_mono_ms() < deadline_ms) {
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
    case SIGHUP: LOG_WARN(APP, "signal=SIGHUP ignored: nothing is reloaded in this version"); break;
    default: break;
    }
}
