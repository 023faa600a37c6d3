/* Limits on connections. Counts are atomics that any thread adds to; the count per address lies in
 * an address table. A thread that is stopped in the middle of anything here holds nobody up. */
#include "address_table.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/net/net_throttle.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Shares of the descriptor limit. */
#define EMERGENCY_PERCENT       97
#define HYPER_EMERGENCY_PERCENT 99
#define MAX_PAUSE_MS            1000

struct net_throttle {
    struct net_throttle_options options; /* what does not change of them */
    struct cidr *exempt;                 /* owned copy */
    atomic_uint max_connections;
    atomic_uint max_per_address; /* 0: any number */
    atomic_uint_least64_t memory_ceiling_bytes;
    uint32_t max_outgoing;
    int emergency_fd, hyper_emergency_fd;
    atomic_uint connections, outgoing;
    atomic_bool memory_full;
    struct address_table addresses; /* how many connections each has, limit or not */
};

static uint32_t descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (uint32_t)limit.rlim_cur;
}

static uint32_t percent_of(uint32_t whole, uint32_t percent)
{
    return (uint32_t)((uint64_t)whole * percent / 100);
}

void net_throttle_set(struct net_throttle *t, const struct net_throttle_options *options)
{
    uint32_t fds = descriptor_limit();
    uint32_t accept_fds = fds - percent_of(fds, t->options.accept_headroom_percent);

    /* A client connection may need one to a backend: half of what accept may use. */
    atomic_store_explicit(&t->max_connections,
                          options->max_connections != 0 ? options->max_connections : accept_fds / 2,
                          memory_order_relaxed);
    atomic_store_explicit(&t->max_per_address, options->max_connections_per_address,
                          memory_order_relaxed);
    atomic_store_explicit(&t->memory_ceiling_bytes, options->memory_ceiling_bytes,
                          memory_order_relaxed);
    if (options->memory_ceiling_bytes == 0)
        atomic_store_explicit(&t->memory_full, false, memory_order_relaxed);
}

static void set_descriptor_levels(struct net_throttle *t)
{
    const struct net_throttle_options *o = &t->options;
    uint32_t fds = descriptor_limit();

    t->max_outgoing = fds - percent_of(fds, o->connect_headroom_percent);
    t->emergency_fd = (int)percent_of(fds, EMERGENCY_PERCENT);
    t->hyper_emergency_fd = (int)percent_of(fds, HYPER_EMERGENCY_PERCENT);
}

struct net_throttle *net_throttle_new(const struct net_throttle_options *options)
{
    struct net_throttle *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->options = *options;
    if (address_table_init(&t->addresses, ADDRESS_COUNT_BITS) != SP_OK)
        goto free_all;
    if (options->n_exempt > 0) {
        t->exempt = calloc(options->n_exempt, sizeof(*t->exempt));
        if (t->exempt == NULL)
            goto free_all;
        memcpy(t->exempt, options->exempt, options->n_exempt * sizeof(*t->exempt));
    }
    set_descriptor_levels(t);
    net_throttle_set(t, options);
    return t;

free_all:
    net_throttle_free(t);
    return NULL;
}

void net_throttle_free(struct net_throttle *t)
{
    if (t == NULL)
        return;
    address_table_fini(&t->addresses);
    free(t->exempt);
    free(t);
}

static bool counts_per_address(const struct net_throttle *t, const union ip_endpoint *peer)
{
    if (!address_table_knows(peer))
        return false;
    return !cidr_any_contains(t->exempt, t->options.n_exempt, peer);
}

enum sp_err net_throttle_admit(struct net_throttle *t, const union ip_endpoint *peer)
{
    uint32_t max = atomic_load_explicit(&t->max_connections, memory_order_relaxed);
    uint32_t max_per_address = atomic_load_explicit(&t->max_per_address, memory_order_relaxed);
    char text[ENDPOINT_TEXT_MAX];

    if (atomic_load_explicit(&t->memory_full, memory_order_relaxed)) {
        METRIC_INC(net_throttled_memory);
        LOG_LIMITED(NET, WARN, "throttle=memory peer=%s",
                    ip_endpoint_format_address(peer, text, sizeof(text)));
        return SP_THROTTLED;
    }
    if (atomic_fetch_add_explicit(&t->connections, 1, memory_order_relaxed) >= max) {
        atomic_fetch_sub_explicit(&t->connections, 1, memory_order_relaxed);
        METRIC_INC(net_throttled_total);
        LOG_LIMITED(NET, WARN, "throttle=total max=%u peer=%s", max,
                    ip_endpoint_format_address(peer, text, sizeof(text)));
        return SP_THROTTLED;
    }
    if (counts_per_address(t, peer) &&
        address_table_take(&t->addresses, peer, max_per_address) != SP_OK) {
        atomic_fetch_sub_explicit(&t->connections, 1, memory_order_relaxed);
        METRIC_INC(net_throttled_per_address);
        LOG_LIMITED(NET, WARN, "throttle=per_address max=%u peer=%s", max_per_address,
                    ip_endpoint_format_address(peer, text, sizeof(text)));
        return SP_THROTTLED;
    }
    return SP_OK;
}

void net_throttle_release(struct net_throttle *t, const union ip_endpoint *peer)
{
    atomic_fetch_sub_explicit(&t->connections, 1, memory_order_relaxed);
    if (counts_per_address(t, peer))
        address_table_give_back(&t->addresses, peer);
}

bool net_throttle_accepting(const struct net_throttle *t)
{
    return atomic_load_explicit(&t->connections, memory_order_relaxed) <
           atomic_load_explicit(&t->max_connections, memory_order_relaxed);
}

enum sp_err net_throttle_connect(struct net_throttle *t)
{
    if (atomic_fetch_add_explicit(&t->outgoing, 1, memory_order_relaxed) < t->max_outgoing)
        return SP_OK;
    atomic_fetch_sub_explicit(&t->outgoing, 1, memory_order_relaxed);
    METRIC_INC(net_throttled_connect);
    LOG_LIMITED(NET, WARN, "throttle=connect max=%u", t->max_outgoing);
    return SP_THROTTLED;
}

void net_throttle_connect_done(struct net_throttle *t)
{
    atomic_fetch_sub_explicit(&t->outgoing, 1, memory_order_relaxed);
}

enum fd_level net_throttle_fd_level(const struct net_throttle *t, int fd)
{
    if (fd >= t->hyper_emergency_fd)
        return FD_HYPER_EMERGENCY;
    return fd >= t->emergency_fd ? FD_EMERGENCY : FD_OK;
}

int64_t net_throttle_pause_ms(const struct net_throttle *t, int fd)
{
    int64_t over = fd - t->emergency_fd + 1;
    int64_t pause_ms = over * over;

    return pause_ms > MAX_PAUSE_MS ? MAX_PAUSE_MS : pause_ms;
}

void net_throttle_set_memory(struct net_throttle *t, uint64_t resident_bytes)
{
    uint64_t ceiling = atomic_load_explicit(&t->memory_ceiling_bytes, memory_order_relaxed);

    if (ceiling != 0)
        atomic_store_explicit(&t->memory_full, resident_bytes > ceiling, memory_order_relaxed);
}

void net_throttle_sample_memory(struct net_throttle *t)
{
    unsigned long total_pages, resident_pages;
    FILE *f;

    if (atomic_load_explicit(&t->memory_ceiling_bytes, memory_order_relaxed) == 0)
        return;
    f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return;
    if (fscanf(f, "%lu %lu", &total_pages, &resident_pages) == 2) // NOLINT(cert-err34-c)
        net_throttle_set_memory(t, (uint64_t)resident_pages * (uint64_t)sysconf(_SC_PAGESIZE));
    (void)fclose(f);
}

struct net_throttle_state net_throttle_state(const struct net_throttle *t)
{
    return (struct net_throttle_state){
        .connections = atomic_load_explicit(&t->connections, memory_order_relaxed),
        .max_connections = atomic_load_explicit(&t->max_connections, memory_order_relaxed),
        .outgoing = atomic_load_explicit(&t->outgoing, memory_order_relaxed),
        .max_outgoing = t->max_outgoing,
    };
}
