/* How many connections there may be: in total, per client address, and by the descriptors and the
 * memory that are left. Lock-free, any thread: nobody ever waits here for a slow thread. */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/err.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct net_throttle;

struct net_throttle_options {
    uint32_t max_connections;             /* client side, in total; 0: from the descriptor limit */
    uint32_t max_connections_per_address; /* 0: unlimited */
    const struct cidr *exempt;            /* borrowed; from the per-address limit */
    uint32_t n_exempt;
    uint32_t accept_headroom_percent;  /* of the descriptors that accept leaves free */
    uint32_t connect_headroom_percent; /* that outgoing connections leave free */
    uint64_t memory_ceiling_bytes;     /* 0: off */
};

/* Both limits and the ceiling may change while connections are open; whoever is counted stays
 * counted, and nobody who is there is sent away. The rest of the options stays. */
void net_throttle_set(struct net_throttle *t, const struct net_throttle_options *options);

struct net_throttle *net_throttle_new(const struct net_throttle_options *options) SP_MUST_CHECK;
void net_throttle_free(struct net_throttle *t);

/* A connection was accepted from `peer`. SP_OK: it is counted until net_throttle_release(). Else
 * SP_THROTTLED, counted in the metrics with its reason, logged at a bounded rate. */
enum sp_err net_throttle_admit(struct net_throttle *t, const union ip_endpoint *peer) SP_MUST_CHECK;
void net_throttle_release(struct net_throttle *t, const union ip_endpoint *peer);
/* May accept be called at all now? False while the total is reached. */
bool net_throttle_accepting(const struct net_throttle *t);
/* The same for an outgoing connection; release with net_throttle_connect_done(). */
enum sp_err net_throttle_connect(struct net_throttle *t) SP_MUST_CHECK;
void net_throttle_connect_done(struct net_throttle *t);

/* What a descriptor's number says about how close to the limit the process is. EMERGENCY: stop
 * accepting for net_throttle_pause_ms(). HYPER: close it at once as well. */
enum fd_level { FD_OK, FD_EMERGENCY, FD_HYPER_EMERGENCY };
enum fd_level net_throttle_fd_level(const struct net_throttle *t, int fd);
int64_t net_throttle_pause_ms(const struct net_throttle *t, int fd);

/* Looks at the resident size of the process; on ET_TASK, about once a second. */
void net_throttle_sample_memory(struct net_throttle *t);
void net_throttle_set_memory(struct net_throttle *t, uint64_t resident_bytes);

struct net_throttle_state {
    uint32_t connections, max_connections;
    uint32_t outgoing, max_outgoing;
};
struct net_throttle_state net_throttle_state(const struct net_throttle *t);
