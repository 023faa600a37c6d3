/* What every processor, listener and connection of the net layer shares: the threads, the throttle,
 * the limits. One per process (tests make their own). */
#pragma once

#include <sallyport/event/event_processor.h>
#include <sallyport/net/handshake_limits.h>
#include <sallyport/net/net_handler.h>
#include <sallyport/net/net_throttle.h>

struct net_core_options {
    int n_net_threads;             /* >= 1 */
    int64_t default_inactivity_ms; /* of a connection that nobody gave a timeout */
    uint32_t max_keep_alive;       /* idle client connections per thread; 0: unlimited */
    int64_t handshake_budget_ns;   /* per turn, where data and handshakes share a loop */
    struct handshake_queue_options handshakes; /* of each thread; max_waiting 0: defaults */
    uint32_t handshake_floor_percent;          /* handshake_floor.h; 0: off */
    struct handshake_limits_options handshake_limits;
    struct net_throttle_options throttle;
};

struct net_core {
    struct event_processor *ep; /* borrowed */
    int et_net, et_task;
    size_t handler_offset; /* of struct net_handler * in an ethread's storage */
    struct net_throttle *throttle;
    struct handshake_limits *handshake_limits;
    _Atomic int64_t default_inactivity_ms;
    atomic_uint max_keep_alive;
    int64_t handshake_budget_ns; /* at the start; see net_core_change_commit() */
    struct handshake_queue_options handshakes;
    uint32_t handshake_floor_percent;
    atomic_uint_least64_t next_vc_id;
};

/* Registers ET_NET and spawns its threads in `ep`, not yet started. */
struct net_core *net_core_new(struct event_processor *ep, const struct net_core_options *options)
    SP_MUST_CHECK;
/* After event_processor_stop(); closes nothing: handlers closed their connections on stopping. */
void net_core_free(struct net_core *core);
/* Other settings while the threads run, in two steps; both on a thread that may block, one at a
 * time. What changes: both times of idling, the numbers of the throttle and of the limits of
 * handshakes, their queues, budgets and least share. What stays: threads, exempt networks,
 * headrooms. */
struct net_core_change;
struct net_core_change *net_core_change_prepare(struct net_core *core) SP_MUST_CHECK; /* NULL: no
                                                                                         memory */
/* Cannot fail; each thread goes on with it within a turn. The change is void. */
void net_core_change_commit(struct net_core_change *c, const struct net_core_options *options);
void net_core_change_abandon(struct net_core_change *c); /* NULL is accepted */

/* Connections, descriptors or memory are short: each data thread lets some of its oldest idle
 * client connections go. Any thread; cheap when asked again before it happened. */
void net_core_relieve(struct net_core *core);
/* Threads of another type with a net handler: ET_SSL. `nice`: their scheduling weight, as long as
 * handshakes get their least share with it. */
enum sp_err net_core_spawn(struct net_core *core, int type, int n, int nice) SP_MUST_CHECK;
