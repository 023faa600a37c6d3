/* How a port accepts: plain data, filled by the configuration, read by src/net/net_accept.c. Each
 * field is a row of src/config/accept_rows.c; a new option is one field, one row and the line in
 * net_accept.c or net_socket.c that applies it. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

enum accept_mode {
    ACCEPT_PER_THREAD, /* each thread of the group has the listener in its poll set */
    ACCEPT_DEDICATED,  /* `threads` blocking accept threads, connections spread over the group */
    ACCEPT_SINGLE,     /* one thread of the group polls, connections spread over the group */
};

struct accept_options {
    enum accept_mode mode;
    uint32_t threads; /* dedicated: how many, 1..64 */
    bool reuse_port;  /* per_thread: one SO_REUSEPORT socket a thread instead of one shared,
                         exclusively polled socket */
    uint32_t accepts_per_turn;  /* at most, per listener and loop turn */
    uint32_t backlog;           /* listen(2) */
    uint32_t defer_accept_s;    /* TCP_DEFER_ACCEPT; 0: off */
    bool localhost_only;        /* bind to the loopback address of the family */
    bool backdoor;              /* skips the connection throttles: health checks, admin */
    int32_t fd;                 /* pre-bound, listening descriptor to take over; -1: none */
    uint32_t recv_buffer_bytes; /* SO_RCVBUF; 0: system's. Halved until the system takes it. */
    uint32_t send_buffer_bytes; /* SO_SNDBUF; likewise */
    bool tcp_nodelay;
    uint32_t tcp_keepalive_s;     /* idle seconds before the first probe; 0: off */
    int32_t linger_s;             /* SO_LINGER; -1: system's */
    uint32_t fast_open;           /* TCP_FASTOPEN queue length; 0: off */
    uint32_t mark;                /* SO_MARK; 0: none */
    uint32_t tos;                 /* IP_TOS / IPV6_TCLASS; 0: none */
    uint32_t notsent_lowat_bytes; /* TCP_NOTSENT_LOWAT; 0: off */
    struct view congestion;       /* TCP_CONGESTION; empty: system's */
    bool transparent;             /* IP_TRANSPARENT on the listener */
    uint32_t unix_mode;           /* permission bits of a unix socket */
    struct view unix_owner;       /* "user", "user:group" or ":group"; empty: unchanged */
};
