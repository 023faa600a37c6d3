#include "config_rows.h"

#define INT(field, ...) CONF_ROW_INT(struct http_limits_conf, #field, field, __VA_ARGS__)

/* clang-format off */
static const struct conf_row rows[] = {
    {INT(max_head_bytes, KIB, MIB, 32 * KIB, "bytes",
        "Of a request's head: the request line and all header fields.")},
    {INT(max_target_bytes, 64, MIB, 8 * KIB, "bytes",
        "Of a request's target: path and query.")},
    {INT(max_fields, 1, 10000, 100, "fields",
        "Header fields of a request, and of its trailers.")},
    {INT(max_trailer_bytes, 0, MIB, 8 * KIB, "bytes",
        "Of the trailer fields behind a chunked body.")},
    {INT(max_body_bytes, 0, INT64_MAX, 0, "bytes",
        "Of a request's body; 0: any size.")},
    {INT(max_requests_per_connection, 0, UINT32_MAX, 0, "requests",
        "After so many the connection is closed in good order; 0: any number.")},
    {INT(head_timeout_ms, 100, DAY_MS, 10000, "ms",
        "From the first byte of a request to the end of its head.")},
    {INT(keep_alive_timeout_ms, 100, DAY_MS, 60 * SECOND_MS, "ms",
        "How long a connection may idle between requests.")},
    {INT(body_timeout_ms, 100, DAY_MS, 30 * SECOND_MS, "ms",
        "Between two pieces of a request's body.")},
    {INT(send_timeout_ms, 100, DAY_MS, 30 * SECOND_MS, "ms",
        "Between two writes that the client takes.")},
    {INT(min_rate_bytes_per_s, 0, 1024 * MIB, 64, "bytes/s",
        "Of a request's body, after a grace of 10 s and while it is being read; 0: off.")},
    {INT(tunnel_timeout_ms, 1000, INT32_MAX, HOUR_MS, "ms",
        "How long an upgraded connection (WebSocket) may idle.")},
    {INT(buffer_bytes, 4 * KIB, 64 * MIB, 64 * KIB, "bytes",
        "Held in each direction before the faster side has to wait.")},
};
/* clang-format on */

const struct conf_table conf_limits_table = {
    .noun = "set of limits",
    CONF_ROWS(struct http_limits_conf, rows),
};
