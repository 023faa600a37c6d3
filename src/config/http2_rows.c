#include "conf_reader.h"
#include "config_rows.h"

#define INT(field, ...) CONF_ROW_INT(struct http2_conf, #field, field, __VA_ARGS__)

/* clang-format off */

/* The table of http2_budgets.h, as rows. */
static const struct conf_row budget_rows[] = {
#define X(id, key, default_, most, unit_, per_request, per_frame, bytes, help_)                    \
    {CONF_ROW_INT(struct http2_budgets_conf, #key, allowance[HTTP2_BUDGET_##id], 0, most,          \
        default_, unit_, help_)},
    HTTP2_BUDGETS(X)
#undef X
};
static const struct conf_table budgets_table = {
    .noun = "set of HTTP/2 budgets", CONF_ROWS(struct http2_budgets_conf, budget_rows)};

static const struct conf_row rows[] = {
    {INT(max_streams, 1, 10000, 128, "streams",
        "Open at a time on one connection (SETTINGS_MAX_CONCURRENT_STREAMS).")},
    {INT(stream_window_bytes, 16 * KIB, 16 * MIB, 64 * KIB, "bytes",
        "Of a body, sent before the receiver has taken any of it (SETTINGS_INITIAL_WINDOW_SIZE).")},
    {INT(max_stream_window_bytes, 16 * KIB, 64 * MIB, MIB, "bytes",
        "Up to which the window of a body grows that is taken as fast as it comes: for full speed on "
        "a long path.")},
    {INT(receive_bytes, 64 * KIB, 1024 * MIB, 4 * MIB, "bytes",
        "The connection's own window: what bodies that nobody takes can hold of memory, all streams "
        "of a connection together.")},
    {INT(send_bytes, 64 * KIB, 1024 * MIB, MIB, "bytes",
        "Queued for the peer on all streams of a connection together; above it, a stream is given more "
        "only when it has nothing left.")},
    {CONF_ROW_OBJECT(struct http2_conf, "budgets", budgets, &budgets_table,
        "What a peer may do at once; it comes back within 10 seconds, and with useful work. Who goes "
        "past one is sent away (GOAWAY, ENHANCE_YOUR_CALM); 0: unlimited.")},
};
/* clang-format on */

/* What no row can say alone: a window that one stream fills may not be the connection's whole. */
static void http2_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    struct http2_conf *http2 = object;

    if (http2->max_stream_window_bytes < http2->stream_window_bytes)
        conf_error(r, at, "\"max_stream_window_bytes\" is below \"stream_window_bytes\"");
    if (http2->receive_bytes / 2 < http2->stream_window_bytes)
        conf_error(r, at, "\"receive_bytes\" is below twice \"stream_window_bytes\"");
}

const struct conf_table conf_http2_table = {
    .noun = "HTTP/2 setting",
    CONF_ROWS(struct http2_conf, rows),
    .finish = http2_finish,
};
