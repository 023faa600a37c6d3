#include "conf_kinds.h"
#include "config_rows.h"

static const struct conf_word modes[] = {
    {"per_thread", ACCEPT_PER_THREAD, NULL},
    {"dedicated", ACCEPT_DEDICATED, NULL},
    {"single", ACCEPT_SINGLE, NULL},
};

#define BOOL(field, ...) CONF_ROW_BOOL(struct accept_options, #field, field, __VA_ARGS__)
#define INT(field, ...)  CONF_ROW_INT(struct accept_options, #field, field, __VA_ARGS__)

/* clang-format off */
static const struct conf_row rows[] = {
    {CONF_ROW_ENUM(struct accept_options, "mode", mode, modes, ACCEPT_PER_THREAD,
        "Who accepts: every thread of the group, dedicated accept threads, or one thread of the group.")},
    {INT(threads, 1, 64, 1, NULL,
        "How many accept threads in mode \"dedicated\".")},
    {BOOL(reuse_port, false,
        "In mode \"per_thread\": one SO_REUSEPORT socket a thread instead of a shared one.")},
    {INT(accepts_per_turn, 1, 4096, 32, "connections",
        "Accepted at most in one turn of the loop, so that a flood of new clients leaves room for the "
        "established ones.")},
    {INT(backlog, 1, 65535, 511, "connections",
        "Queue of listen(2). Short queues win under a flood: who waits too long has gone when served.")},
    {BOOL(localhost_only, false,
        "Bind to the loopback address of the family instead of the address in the key.")},
    {BOOL(backdoor, false,
        "Connections to this port skip the throttles: health checks, administration.")},
    {INT(fd, -1, 1048576, -1, NULL,
        "A listening socket that is open already, such as one from a service manager; -1: none.")},
    {INT(recv_buffer_bytes, 0, 256 * MIB, 0, "bytes",
        "SO_RCVBUF, halved until the system takes it; 0: the system's own choice.")},
    {INT(send_buffer_bytes, 0, 256 * MIB, 0, "bytes",
        "SO_SNDBUF, likewise.")},
    {BOOL(tcp_nodelay, true,
        "TCP_NODELAY: small writes leave at once.")},
    {INT(tcp_keepalive_s, 0, 32767, 0, "seconds",
        "Idle time before the first keep-alive probe; 0: no probes.")},
    {INT(linger_s, -1, 3600, -1, "seconds",
        "SO_LINGER; -1: the system's own choice.")},
    {INT(fast_open, 0, 65535, 0, "connections",
        "Queue of TCP_FASTOPEN; 0: off.")},
    {INT(mark, 0, UINT32_MAX, 0, NULL,
        "SO_MARK for routing and firewall rules; 0: none.")},
    {INT(tos, 0, 255, 0, NULL,
        "IP_TOS and IPV6_TCLASS; 0: none.")},
    {INT(notsent_lowat_bytes, 0, 256 * MIB, 0, "bytes",
        "TCP_NOTSENT_LOWAT: how much may wait unsent in the kernel; 0: off.")},
    {CONF_ROW_STRING(struct accept_options, "congestion", congestion, &conf_kind_word,
        "TCP_CONGESTION, such as \"bbr\"."), .def_note = "the system's own choice"},
    {BOOL(transparent, false,
        "IP_TRANSPARENT: accept for addresses that are not this machine's.")},
    {.name = "unix_mode", .type = CONF_MODE, CONF_FIELD(struct accept_options, unix_mode),
        .max = 0777, .def = 0660, .help = "Permission bits of a unix socket."},
    {CONF_ROW_STRING(struct accept_options, "unix_owner", unix_owner, &conf_kind_owner,
        "Owner of a unix socket: \"user\", \"user:group\" or \":group\"."), .def_note = "unchanged"},
};
/* clang-format on */

const struct conf_table conf_accept_table = {
    .noun = "listener",
    CONF_ROWS(struct accept_options, rows),
};
