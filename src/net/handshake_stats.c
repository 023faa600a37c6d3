#include "net_internal.h"

#include <sallyport/net/handshake_stats.h>

static void read_now(struct net_handler *nh, struct handshake_stats *out)
{
    const struct handshake_now *now = &nh->handshakes_now;
    int64_t oldest_us = atomic_load_explicit(&now->oldest_arrived_us, memory_order_relaxed);
    int64_t wait_ms = oldest_us == 0 ? 0 : clock_mono_ms() - oldest_us / 1000;

    out->open = atomic_load_explicit(&now->open, memory_order_relaxed);
    out->waiting = atomic_load_explicit(&now->waiting, memory_order_relaxed);
    out->oldest_wait_ms = wait_ms > 0 ? wait_ms : 0;
    out->overloaded = atomic_load_explicit(&now->overloaded, memory_order_relaxed);
    out->accept_paused = net_handler_is_full(nh);
    out->nice = atomic_load_explicit(&now->nice, memory_order_relaxed);
    out->budget_us = atomic_load_explicit(&now->budget_ns, memory_order_relaxed) / 1000;
}

static void read_counters(const struct metrics *m, struct handshake_stats *out)
{
    out->full = METRIC_GET(m, tls_handshakes_full);
    out->resumed = METRIC_GET(m, tls_handshakes_resumed);
    out->failed = METRIC_GET(m, tls_handshakes_failed);
    out->full_us = METRIC_GET(m, tls_handshake_full_us);
    out->resumed_us = METRIC_GET(m, tls_handshake_resumed_us);
    out->dropped_late = METRIC_GET(m, tls_handshakes_dropped_late);
    out->dropped_gone = METRIC_GET(m, tls_handshakes_dropped_gone);
    out->shed = METRIC_GET(m, tls_handshakes_shed);
    out->refused_at_once = METRIC_GET(m, tls_handshakes_refused_at_once);
    out->refused_rate = METRIC_GET(m, tls_handshakes_refused_rate);
    out->accept_pauses = METRIC_GET(m, tls_accept_pauses);
    out->accept_pause_ms = METRIC_GET(m, tls_accept_pause_ms);
    out->overloads = METRIC_GET(m, tls_overloads);
    out->floor_raises = METRIC_GET(m, tls_handshake_floor_raises);
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        out->served_after_ms[i] = METRIC_GET(m, tls_handshake_wait_ms.buckets[i]);
        out->dropped_after_ms[i] = METRIC_GET(m, tls_handshake_drop_wait_ms.buckets[i]);
    }
}

bool handshake_stats_read(struct net_core *core, struct ethread *t, struct handshake_stats *out)
{
    struct net_handler *nh = net_handler_of(core, t);
    const struct metrics *m = atomic_load_explicit(&t->metrics, memory_order_acquire);

    if (nh == NULL || m == NULL)
        return false;
    read_now(nh, out);
    read_counters(m, out);
    return true;
}
