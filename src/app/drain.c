/* Ending without anybody noticing: no new connections, idle ones close, busy ones finish what they
 * do, and those that take too long are cut. */
#include "metrics_log.h"
#include "server_internal.h"
#include "signals.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <signal.h>

#define LOOK_MS  20   /* how often the open connections are counted */
#define SWEEP_MS 2000 /* idle connections are asked again: some were in a handshake before */

static void sweep_thread(struct inbox_item *item, struct ethread *t)
{
    struct data_thread *dt = container_of(item, struct data_thread, sweep);

    http_sessions_drain(net_handler_of(dt->server->core, t));
    atomic_store_explicit(&dt->sweeping, false, memory_order_release);
}

/* On every data thread, unless it is still busy with the last time. */
static void sweep(struct server *s)
{
    const struct thread_group *group = &s->ep->groups[s->core->et_net];

    for (int i = 0; i < group->n; i++) {
        struct data_thread *dt = server_data_thread(s, group->threads[i]);

        if (atomic_exchange_explicit(&dt->sweeping, true, memory_order_acq_rel))
            continue;
        dt->sweep.fn = sweep_thread;
        ethread_post(group->threads[i], &dt->sweep);
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
