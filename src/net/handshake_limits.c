/* Rates are kept as the time at which the bucket would be full again ("theoretical arrival time" of
 * the generic cell rate algorithm): one number says all, and one that lies in the past is nothing
 * to remember. Of an address it is the low 40 bits of it in microseconds. They wrap after twelve
 * days; what is farther ahead than a full bucket can take is therefore a time of the past as well.
 */
#include "address_table.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/net/handshake_limits.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_S  1000000
#define TIME_BITS 40
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

/* A token bucket's shape. */
struct rate {
    int64_t each_us;  /* what one handshake takes out of it; 0: no rate */
    int64_t ahead_us; /* how far ahead the time may be and still let one begin */
};

/* The same as it may change at any time: who reads the parts of two shapes lets one more begin, or
 * one less, once. */
struct atomic_rate {
    _Atomic int64_t each_us, ahead_us;
};

struct handshake_limits {
    struct cidr *exempt; /* owned copy */
    uint32_t n_exempt;
    atomic_uint max_at_once, max_at_once_per_address; /* 0: any number */
    struct atomic_rate rate, rate_per_address;
    atomic_uint at_once;
    _Atomic int64_t full_at_us; /* of the total rate */
    /* By address: how many it has, limit or not, and when its bucket is full. */
    struct address_table counts, rates;
};

static struct rate rate_of(uint32_t per_s, uint32_t burst)
{
    struct rate r = {0};

    if (per_s == 0)
        return r;
    r.each_us = per_s >= US_PER_S ? 1 : US_PER_S / per_s;
    r.ahead_us = r.each_us * (int64_t)((burst != 0 ? burst : per_s) - 1);
    return r;
}

static void rate_set(struct atomic_rate *to, struct rate r)
{
    atomic_store_explicit(&to->each_us, r.each_us, memory_order_relaxed);
    atomic_store_explicit(&to->ahead_us, r.ahead_us, memory_order_relaxed);
}

static struct rate rate_get(const struct atomic_rate *from)
{
    return (struct rate){atomic_load_explicit(&from->each_us, memory_order_relaxed),
                         atomic_load_explicit(&from->ahead_us, memory_order_relaxed)};
}

void handshake_limits_set(struct handshake_limits *l,
                          const struct handshake_limits_options *options)
{
    atomic_store_explicit(&l->max_at_once, options->max_at_once, memory_order_relaxed);
    atomic_store_explicit(&l->max_at_once_per_address, options->max_at_once_per_address,
                          memory_order_relaxed);
    rate_set(&l->rate, rate_of(options->rate_per_s, options->burst));
    rate_set(&l->rate_per_address,
             rate_of(options->rate_per_address_per_s, options->burst_per_address));
}

struct handshake_limits *handshake_limits_new(const struct handshake_limits_options *options)
{
    struct handshake_limits *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    if (address_table_init(&l->counts, ADDRESS_COUNT_BITS) != SP_OK ||
        address_table_init(&l->rates, TIME_BITS) != SP_OK)
        goto free_all;
    if (options->n_exempt > 0) {
        l->exempt = calloc(options->n_exempt, sizeof(*l->exempt));
        if (l->exempt == NULL)
            goto free_all;
        memcpy(l->exempt, options->exempt, options->n_exempt * sizeof(*l->exempt));
        l->n_exempt = options->n_exempt;
    }
    handshake_limits_set(l, options);
    return l;

free_all:
    handshake_limits_free(l);
    return NULL;
}

void handshake_limits_free(struct handshake_limits *l)
{
    if (l == NULL)
        return;
    address_table_fini(&l->counts);
    address_table_fini(&l->rates);
    free(l->exempt);
    free(l);
}

/* ---- A second, of one address ---- */

struct moment {
    struct rate rate;
    int64_t now_us;
};

/* How far ahead of now the time in the table is; 0: not at all. */
static int64_t ahead_us(uint64_t value, const struct moment *m)
{
    uint64_t ahead = (value - (uint64_t)m->now_us) & TIME_MASK;

    return ahead > (uint64_t)(m->rate.ahead_us + m->rate.each_us) ? 0 : (int64_t)ahead;
}

static bool bucket_is_full(uint64_t value, const void *arg)
{
    return value == 0 || ahead_us(value, arg) == 0;
}

static bool take_token(uint64_t *value, const void *arg)
{
    const struct moment *m = arg;
    int64_t ahead = *value == 0 ? 0 : ahead_us(*value, m);

    if (ahead > m->rate.ahead_us)
        return false;
    *value = (uint64_t)(m->now_us + ahead + m->rate.each_us) & TIME_MASK;
    return true;
}

static const struct address_table_ops begin = {bucket_is_full, take_token};

/* ---- Both ---- */

static bool is_exempt(const struct handshake_limits *l, const union ip_endpoint *peer)
{
    return !address_table_knows(peer) || cidr_any_contains(l->exempt, l->n_exempt, peer);
}

static enum sp_err take_place(struct handshake_limits *l, const union ip_endpoint *peer)
{
    uint32_t max = atomic_load_explicit(&l->max_at_once_per_address, memory_order_relaxed);
    char text[ENDPOINT_TEXT_MAX];

    if (address_table_take(&l->counts, peer, max) == SP_OK)
        return SP_OK;
    METRIC_INC(tls_handshakes_refused_at_once);
    LOG_LIMITED(TLS, WARN, "handshake=refused limit=max_at_once_per_address max=%u peer=%s", max,
                ip_endpoint_format_address(peer, text, sizeof(text)));
    return SP_THROTTLED;
}

static enum sp_err take_turn(struct handshake_limits *l, const union ip_endpoint *peer)
{
    const struct moment m = {rate_get(&l->rate_per_address), clock_mono_ns() / 1000};
    char text[ENDPOINT_TEXT_MAX];

    if (m.rate.each_us == 0 || address_table_change(&l->rates, peer, &begin, &m) == SP_OK)
        return SP_OK;
    METRIC_INC(tls_handshakes_refused_rate);
    LOG_LIMITED(TLS, WARN,
                "handshake=refused limit=rate_per_address_per_s each_us=%" PRId64 " peer=%s",
                m.rate.each_us, ip_endpoint_format_address(peer, text, sizeof(text)));
    return SP_THROTTLED;
}

static void give_place_back(struct handshake_limits *l, const union ip_endpoint *peer)
{
    address_table_give_back(&l->counts, peer);
}

/* The rate last: who is refused for another reason has not used it up. */
enum sp_err handshake_limits_admit(struct handshake_limits *l, const union ip_endpoint *peer)
{
    if (!is_exempt(l, peer)) {
        if (take_place(l, peer) != SP_OK)
            return SP_THROTTLED;
        if (take_turn(l, peer) != SP_OK) {
            give_place_back(l, peer);
            return SP_THROTTLED;
        }
    }
    atomic_fetch_add_explicit(&l->at_once, 1, memory_order_relaxed);
    return SP_OK;
}

void handshake_limits_release(struct handshake_limits *l, const union ip_endpoint *peer)
{
    atomic_fetch_sub_explicit(&l->at_once, 1, memory_order_relaxed);
    if (!is_exempt(l, peer))
        give_place_back(l, peer);
}

/* Several threads may find room for the last one: then there are a few more, once. */
bool handshake_limits_has_room(const struct handshake_limits *l)
{
    uint32_t max = atomic_load_explicit(&l->max_at_once, memory_order_relaxed);

    return max == 0 || atomic_load_explicit(&l->at_once, memory_order_relaxed) < max;
}

bool handshake_limits_has_rate(const struct handshake_limits *l)
{
    return atomic_load_explicit(&l->rate.each_us, memory_order_relaxed) != 0;
}

int64_t handshake_limits_begin_us(struct handshake_limits *l, int64_t now_us)
{
    const struct rate rate = rate_get(&l->rate);
    int64_t full_at_us = atomic_load_explicit(&l->full_at_us, memory_order_relaxed);

    while (rate.each_us != 0) {
        int64_t from_us = full_at_us > now_us ? full_at_us : now_us;

        if (from_us - now_us > rate.ahead_us)
            return from_us - now_us - rate.ahead_us;
        if (atomic_compare_exchange_weak_explicit(&l->full_at_us, &full_at_us,
                                                  from_us + rate.each_us, memory_order_relaxed,
                                                  memory_order_relaxed))
            return 0;
    }
    return 0;
}
