/* How many handshakes there may be: at the same time and a second, in total and of one client
 * address. All of it is looked at before anything is spent on one. Lock-free, any thread.
 *
 * What is too much in total waits. Nobody in particular is to blame for it, and who is served a
 * little later is served better than who is refused and tries again: with as many handshakes at the
 * same time as there may be, accepting rests, and the rest waits in the kernel; with as many begun
 * a second, whole ClientHellos wait in their thread's queue, whose order and bounds
 * (handshake_queue.h) are those of any other overload.
 *
 * What is too much of one address is refused at once, with a reset. It must not wait: the places
 * that it would take are everybody's. And no alert: before the ClientHello there is nothing that an
 * alert could answer, and reading it is what shall not be spent. */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/err.h>

#include <stdbool.h>
#include <stdint.h>

struct handshake_limits;

/* Of each number: 0, any. A rate is that of a token bucket, `burst` is how many may come together
 * after a while without any (0: as many as come in a second). */
struct handshake_limits_options {
    uint32_t max_at_once;
    uint32_t max_at_once_per_address;
    uint32_t rate_per_s, burst;
    uint32_t rate_per_address_per_s, burst_per_address;
    const struct cidr *exempt; /* borrowed; from the limits of one address */
    uint32_t n_exempt;
};

struct handshake_limits *handshake_limits_new(const struct handshake_limits_options *options)
    SP_MUST_CHECK;
/* The numbers may change at any time; `exempt` stays. Nobody who was let in is sent away. */
void handshake_limits_set(struct handshake_limits *l,
                          const struct handshake_limits_options *options);
void handshake_limits_free(struct handshake_limits *l); /* NULL is accepted */

/* A connection that begins with a handshake was accepted from `peer`. SP_OK: it counts until
 * handshake_limits_release(). Else SP_THROTTLED, counted in the metrics with its reason, logged at
 * a bounded rate. */
enum sp_err handshake_limits_admit(struct handshake_limits *l, const union ip_endpoint *peer)
    SP_MUST_CHECK;
/* Its handshake is over, either way. */
void handshake_limits_release(struct handshake_limits *l, const union ip_endpoint *peer);
/* May another be accepted at all now? */
bool handshake_limits_has_room(const struct handshake_limits *l);

/* Is there a total rate? Without one handshake_limits_begin() is always 0. */
bool handshake_limits_has_rate(const struct handshake_limits *l);
/* One is about to begin. 0: it may; else so long until one may. */
int64_t handshake_limits_begin_us(struct handshake_limits *l, int64_t now_us);
