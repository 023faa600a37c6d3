#include "config_rows.h"

#define INT(field, ...) CONF_ROW_INT(struct handshake_conf, #field, field, __VA_ARGS__)

/* clang-format off */
static const struct conf_row rows[] = {
    {INT(budget_us, 50, 1000000, 250, "us",
        "Time for handshakes in one turn of a loop that has data to carry as well.")},
    {INT(min_share_percent, 0, 50, 5, "percent",
        "Of a core, what the handshakes of a thread get at least while some wait, however busy the "
        "data is; 0: what is left.")},
    {INT(max_waiting, 2, 1000000, 256, "handshakes",
        "Of one thread; with as many waiting for their turn it accepts no connection until half of "
        "them are gone, or refuses those who come (`shed_after_ms`).")},
    {INT(max_open, 2, 1000000, 4096, "connections",
        "Of one thread; the same for connections in their handshake, waiting or not.")},
    {INT(target_wait_ms, 1, 60000, 50, "ms",
        "Wait up to which handshakes are served in the order of their arrival; above it the newest "
        "go first.")},
    {INT(max_wait_ms, 10, 60000, 2000, "ms",
        "A handshake that has waited longer is dropped before it costs anything.")},
    {INT(shed_after_ms, 0, 600000, 1000, "ms",
        "When waits have been above `target_wait_ms` for so long, clients beyond the first 64 that a "
        "thread cannot serve within twice of it, or beyond `max_waiting`, are refused as they "
        "arrive; 0: never.")},
    {INT(max_at_once, 0, 100000000, 0, "connections",
        "In their handshake at the same time, of all threads; above it accepting rests; 0: any "
        "number.")},
    {INT(max_at_once_per_address, 0, 1000000, 0, "connections",
        "The same of one client address (of IPv6: one /64); above it they are refused; 0: any "
        "number.")},
    {INT(rate_per_s, 0, 100000, 0, "handshakes/s",
        "How many may begin in a second, of all threads; the others wait for their turn; 0: any "
        "number.")},
    {INT(burst, 0, 1000000, 0, "handshakes",
        "How many of these may begin together after a pause; 0: those of a second.")},
    {INT(rate_per_address_per_s, 0, 100000, 0, "handshakes/s",
        "How many connections of one client address may begin a handshake in a second; above it "
        "they are refused; 0: any number.")},
    {INT(burst_per_address, 0, 1000000, 0, "handshakes",
        "How many of these may begin together after a pause; 0: those of a second.")},
    {CONF_ROW_MANY(struct handshake_conf, "exempt", CONF_CIDRS, exempt, n_exempt,
        "Networks that the limits for one address do not hold for."),
        .at_start = true},
};
/* clang-format on */

const struct conf_table conf_handshake_table = {
    .noun = "handshake setting",
    CONF_ROWS(struct handshake_conf, rows),
};
