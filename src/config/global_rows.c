/* The object at the top of the file, and the small ones that stand once in it. */
#include "conf_kinds.h"
#include "config_rows.h"

static const struct conf_word thread_words[] = {{"auto", THREADS_AUTO, NULL}};
static const struct conf_word path_words[] = {{"-", 0, NULL}};
static const struct conf_word access_formats[] = {{"text", false, NULL}, {"json", true, NULL}};

/* clang-format off */

/* ---- threads ---- */
#define INT(field, ...) CONF_ROW_INT(struct threads_conf, #field, field, __VA_ARGS__)
static const struct conf_row threads_rows[] = {
    {INT(net, 1, 256, THREADS_AUTO, NULL,
        "Data threads; \"auto\": one a core."),
        CONF_WORDS(thread_words)},
    {INT(ssl, 0, 256, THREADS_AUTO, NULL,
        "Handshake threads; \"auto\": one a core; 0: handshakes run on the data threads."),
        CONF_WORDS(thread_words)},
    {INT(task, 1, 64, 1, NULL,
        "Threads for work that may block, such as reading files.")},
    {INT(ssl_nice, 0, 19, 19, NULL,
        "How much the handshake threads stand back behind the data threads, as in nice(1).")},
};
#undef INT
static const struct conf_table threads_table = {
    .noun = "set of threads", CONF_ROWS(struct threads_conf, threads_rows)};

/* ---- throttle ---- */
#define INT(field, ...) CONF_ROW_INT(struct throttle_conf, #field, field, __VA_ARGS__)
static const struct conf_row throttle_rows[] = {
    {INT(max_connections, 0, 100000000, 0, "connections",
        "Of all clients together; 0: what the limit of open descriptors allows.")},
    {INT(max_connections_per_address, 0, 100000000, 0, "connections",
        "Of one client address; 0: any number.")},
    {CONF_ROW_MANY(struct throttle_conf, "exempt", CONF_CIDRS, exempt, n_exempt,
        "Networks that the limit for one address does not hold for."),
        .at_start = true},
    {INT(accept_headroom_percent, 0, 90, 10, "percent",
        "Of the descriptors, kept away from new clients."),
        .at_start = true},
    {INT(connect_headroom_percent, 0, 90, 10, "percent",
        "Of the descriptors, kept away from connections to backends."),
        .at_start = true},
    {INT(memory_ceiling_bytes, 0, INT64_MAX, 0, "bytes",
        "Resident memory above which no client is accepted; 0: off.")},
    {INT(default_inactivity_ms, 1000, DAY_MS, 120 * SECOND_MS, "ms",
        "How long a connection may be still when no other timeout watches it.")},
    {INT(max_keep_alive, 0, 100000000, 0, "connections",
        "Idle client connections for each data thread; above it the one that idled longest is "
        "closed; 0: any number.")},
};
#undef INT
static const struct conf_table throttle_table = {
    .noun = "throttle", CONF_ROWS(struct throttle_conf, throttle_rows)};

/* ---- log ---- */
static const struct conf_row access_rows[] = {
    {CONF_ROW_PATH(struct log_conf, "path", access_path,
        "File of the access log; \"-\": standard output."),
        CONF_WORDS(path_words), .def_note = "no access log"},
    {CONF_ROW_ENUM(struct log_conf, "format", access_json, access_formats, false,
        "How a line is written.")},
};
static const struct conf_table access_table = {
    .noun = "access log", CONF_ROWS(struct log_conf, access_rows)};

static const struct conf_row log_rows[] = {
    {CONF_ROW_STRING(struct log_conf, "levels", levels, &conf_kind_log_levels,
        "The least level that is written, and exceptions by subject. Levels: trace, debug, info, "
        "warn, error."),
        .def_text = "info"},
    {CONF_ROW_PATH(struct log_conf, "path", path,
        "File of the program's log; \"-\": standard output."),
        CONF_WORDS(path_words), .def_note = "standard error"},
    {CONF_ROW_GROUP(struct log_conf, "access", &access_table,
        "A line for each request.")},
    {CONF_ROW_INT(struct log_conf, "queue_bytes", queue_bytes, 4 * KIB, 1024 * MIB, MIB, "bytes",
        "Lines that wait for the disk, for each log; what does not fit is dropped and counted.")},
};
static const struct conf_table log_table = {
    .noun = "log", CONF_ROWS(struct log_conf, log_rows)};

/* ---- forwarding ---- */
#define BOOL(field, ...) CONF_ROW_BOOL(struct forwarding_conf, #field, field, __VA_ARGS__)
static const struct conf_row forwarding_rows[] = {
    {CONF_ROW_MANY(struct forwarding_conf, "trusted", CONF_CIDRS, trusted, n_trusted,
        "Peers whose Forwarded, X-Forwarded-* and X-Request-Id are believed.")},
    {BOOL(forwarded, false,
        "Send Forwarded (RFC 7239).")},
    {BOOL(x_forwarded, true,
        "Send X-Forwarded-For, -Proto, -Host and -Port.")},
    {BOOL(via, false,
        "Send Via.")},
    {BOOL(request_id, true,
        "Send X-Request-Id.")},
};
#undef BOOL
static const struct conf_table forwarding_table = {
    .noun = "forwarding", CONF_ROWS(struct forwarding_conf, forwarding_rows)};

/* ---- the whole: what is referred to or inherited stands before who does it ---- */
#define C struct config
static const struct conf_row config_rows[] = {
    {CONF_TOUCHES(NOTHING),
     CONF_ROW_OBJECT(C, "limits", limits, &conf_limits_table,
        "What a client may grow and how long it may take, for all ports.")},
    {CONF_TOUCHES(PORTS),
     CONF_ROW_OBJECT(C, "http2", http2, &conf_http2_table,
        "What an HTTP/2 connection may carry and what its peer may do, for all ports and for backends.")},
    {CONF_TOUCHES(BUNDLES),
     CONF_ROW_OBJECT(C, "certificates", certificates, &conf_certificates_table,
        "What holds for the certificates of all bundles.")},
    {CONF_TOUCHES(BUNDLES), .opens = CONF_TOUCHES_BUNDLES,
     CONF_ROW_MANY(C, "bundles", CONF_MAP, bundles, n_bundles,
        "Certificate bundles by name."),
        .table = &conf_bundle_table, .kind = &conf_kind_name,
        .name_offset = offsetof(struct bundle_conf, name)},
    {CONF_TOUCHES(BACKENDS), .opens = CONF_TOUCHES_BACKENDS,
     CONF_ROW_MANY(C, "backends", CONF_MAP, backends, n_backends,
        "Groups of servers by name."),
        .table = &conf_backend_table, .kind = &conf_kind_name,
        .name_offset = offsetof(struct backend_conf, name)},
    {CONF_TOUCHES(PORTS), .opens = CONF_TOUCHES_LISTENERS,
     CONF_ROW_MANY(C, "ports", CONF_MAP, ports, n_ports,
        "Where clients connect. The key is \"443\" for all addresses, \"127.0.0.1:443\", "
        "\"[::1]:443\" or \"unix:/path\"; port 0 is one that the system chooses."),
        .table = &conf_port_table, .min = 1, .required = true, .kind = &conf_kind_port,
        .name_offset = offsetof(struct port_conf, name)},
    {CONF_TOUCHES(ROUTES),
     CONF_ROW_MANY(C, "routes", CONF_LIST, routes, n_routes,
        "What happens to a request: the first route that fits its host and path."),
        .table = &conf_route_table},
    {CONF_TOUCHES(PROCESS),
     CONF_ROW_OBJECT(C, "threads", threads, &threads_table,
        "How many threads there are.")},
    {CONF_TOUCHES(HANDSHAKES),
     CONF_ROW_OBJECT(C, "handshake", handshake, &conf_handshake_table,
        "How TLS handshakes share the machine.")},
    {CONF_TOUCHES(LIMITS),
     CONF_ROW_OBJECT(C, "throttle", throttle, &throttle_table,
        "Limits over all connections.")},
    {CONF_TOUCHES(LOGS),
     CONF_ROW_OBJECT(C, "log", log, &log_table,
        "What is written down.")},
    {CONF_TOUCHES(FORWARDING),
     CONF_ROW_OBJECT(C, "forwarding", forwarding, &forwarding_table,
        "What backends are told about the client.")},
    {CONF_TOUCHES(CONTROL),
     CONF_ROW_OBJECT(C, "admin", admin, &conf_admin_table,
        "How the running program is asked and told.")},
    {CONF_TOUCHES(PROCESS),
     CONF_ROW_STRING(C, "user", user, &conf_kind_word,
        "User to become when the ports are open."),
        .def_note = "the user who starts the program"},
    {CONF_TOUCHES(LIMITS),
     CONF_ROW_INT(C, "drain_timeout_ms", drain_timeout_ms, 0, DAY_MS, 30 * SECOND_MS, "ms",
        "After SIGTERM: how long open requests may take to end.")},
};
/* clang-format on */

const struct conf_table conf_config_table = {
    .noun = "configuration",
    CONF_ROWS(C, config_rows),
};
