/* One line per request, as text or JSON, formatted on the data thread into a buffer of fixed size
 * and handed to a log sink, which never waits. Whatever a peer sent is escaped and shortened.
 *
 * Text begins like the combined format that many tools read, and goes on with key=value:
 *
 *     203.0.113.9 - - [23/Nov/2026:04:10:00.123 +0000] "GET /a?b HTTP/1.1" 200 5120 "-" "curl/8.5"
 *       host="shop.example.com" in=0 us=1830 server="127.0.0.1:9001" upstream_us=1422
 *       tls=TLSv1.3 id=0f3c... error=-                                       (all in one line)
 *
 * and, of a client that has shown a certificate, client_cert="CN=..." client_cert_sha256=...
 *
 * In it "\xHH" stands for a byte that is not printable ASCII, a quote or a backslash. JSON has the
 * same values under the names of access_log.c:put_json(); a byte outside ASCII is \u00HH there. A
 * peer's text that was too long ends in "...". */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/log_sink.h>
#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>
#include <sallyport/net/client_identity.h>

#include <stdatomic.h>

/* What happened with one request. Everything is borrowed. */
struct access_entry {
    int64_t wall_ms; /* when its head was read */
    union ip_endpoint client;
    const struct http_head *request;        /* NULL, or partly empty: it could not be read */
    const char *protocol;                   /* "HTTP/1.1", "HTTP/2" */
    const char *tls_version;                /* NULL: none */
    const struct client_identity *identity; /* NULL: no certificate was asked for */
    struct view request_id;
    struct view server;           /* the backend server asked last; empty: none */
    uint64_t bytes_in, bytes_out; /* of the bodies */
    int64_t duration_us;
    int64_t upstream_us; /* asked for a server to the end of its response; -1: none was asked */
    uint16_t status;     /* 0: the client got no answer */
    enum http_error error;
};

struct access_log {
    struct log_sink *sink; /* borrowed; NULL: no log */
    bool json;
    atomic_uint_least64_t counted; /* dropped lines that are in the metrics already */
};

/* Longest line: each text of a peer has its own bound. */
#define ACCESS_LOG_LINE_MAX ((size_t)8192)
struct view access_log_format_text(const struct access_entry *e, char *room, size_t cap);
struct view access_log_format_json(const struct access_entry *e, char *room, size_t cap);

static inline bool access_log_is_on(const struct access_log *log)
{
    return log->sink != NULL;
}
/* Any thread. */
void access_log_write(struct access_log *log, const struct access_entry *e);
