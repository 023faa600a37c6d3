/* The access log's two formats. */
#include "access_log.h"

#include "text_buf.h"

#include <sallyport/base/metrics.h>

#include <time.h>

/* Bytes that each of a peer's texts may take in a line, escaped. Their sum and what stands around
 * them is below ACCESS_LOG_LINE_MAX, so a line is never cut in the middle. */
enum {
    METHOD_MAX = 64,
    PATH_MAX_BYTES = 2048,
    HOST_MAX = 512,
    REFERER_MAX = 1024,
    AGENT_MAX = 512,
    ID_MAX = 256,
    SERVER_MAX = 512,
    SUBJECT_MAX = 512,
};
_Static_assert(METHOD_MAX + PATH_MAX_BYTES + HOST_MAX + REFERER_MAX + AGENT_MAX + ID_MAX +
                       SERVER_MAX + SUBJECT_MAX <
                   ACCESS_LOG_LINE_MAX - 1024,
               "a line has room for everything");

/* One escaped byte: at most 6 characters. Returns how many. */
typedef size_t (*escape_fn)(unsigned char c, char dst[6]);

static const char hex[] = "0123456789abcdef";

static bool is_printable(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t escape_text(unsigned char c, char dst[6])
{
    dst[0] = '\\';
    dst[1] = 'x';
    dst[2] = hex[c >> 4];
    dst[3] = hex[c & 15];
    return 4;
}

/* RFC 8259 7. A byte from 0x80 on is told as the code point of the same number: the line is ASCII
 * and valid whatever the peer meant. */
static size_t escape_json(unsigned char c, char dst[6])
{
    dst[0] = '\\';
    if (c == '"' || c == '\\') {
        dst[1] = (char)c;
        return 2;
    }
    dst[1] = 'u';
    dst[2] = dst[3] = '0';
    dst[4] = hex[c >> 4];
    dst[5] = hex[c & 15];
    return 6;
}

/* `v` in at most `max` bytes. */
static void put_escaped(struct text_buf *t, struct view v, size_t max, escape_fn escape)
{
    size_t end = t->len + max - 3; /* "..." always has room */

    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.p[i];
        char escaped[6];
        size_t n = 1;

        escaped[0] = (char)c;
        if (!is_printable(c))
            n = escape(c, escaped);
        if (t->len + n > end) {
            text_put(t, VIEW("..."));
            return;
        }
        text_put(t, (struct view){escaped, n});
    }
}

static struct view field_value(const struct access_entry *e, enum http_field_id id)
{
    const struct http_field *field =
        e->request == NULL ? NULL : http_fields_get(&e->request->fields, id);

    return field == NULL ? (struct view){NULL, 0} : field->value;
}

/* Who has shown a certificate; NULL: nobody. */
static const struct client_identity *identity_of(const struct access_entry *e)
{
    return e->identity != NULL && e->identity->fingerprint.len > 0 ? e->identity : NULL;
}

static const char *protocol_of(const struct access_entry *e)
{
    return e->request != NULL && e->request->version == HTTP_VERSION_1_0 ? "HTTP/1.0" : e->protocol;
}

/* ---- Text ---- */

/* "[23/Nov/2026:04:10:00.123 +0000]"; all but the milliseconds is made once a second. */
static void put_clf_time(struct text_buf *t, int64_t wall_ms)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static _Thread_local char text[20];
    static _Thread_local int64_t of_second = -1;
    time_t second = (time_t)(wall_ms / 1000);

    if (second != of_second) {
        struct text_buf s = text_buf_over(text, sizeof(text));
        struct tm tm = {0};

        (void)gmtime_r(&second, &tm);
        text_padded(&s, (uint64_t)tm.tm_mday, 2);
        text_char(&s, '/');
        text_str(&s, months[tm.tm_mon]);
        text_char(&s, '/');
        text_padded(&s, (uint64_t)tm.tm_year + 1900, 4);
        text_char(&s, ':');
        text_clock(&s, tm.tm_hour, tm.tm_min, tm.tm_sec);
        of_second = second;
    }
    text_char(t, '[');
    text_put(t, (struct view){text, sizeof(text)});
    text_char(t, '.');
    text_padded(t, (uint64_t)(wall_ms % 1000), 3);
    text_put(t, VIEW(" +0000]"));
}

static void put_text_quoted(struct text_buf *t, struct view v, size_t max)
{
    text_char(t, '"');
    if (v.len == 0)
        text_char(t, '-');
    else
        put_escaped(t, v, max, escape_text);
    text_char(t, '"');
}

/* A number that may be absent. */
static void put_text_number(struct text_buf *t, struct view key, int64_t n)
{
    text_put(t, key);
    if (n < 0)
        text_char(t, '-');
    else
        text_i64(t, n);
}

static void put_request_line(struct text_buf *t, const struct access_entry *e)
{
    if (e->request == NULL || e->request->method_text.len == 0) {
        text_put(t, VIEW("\"-\""));
        return;
    }
    text_char(t, '"');
    put_escaped(t, e->request->method_text, METHOD_MAX, escape_text);
    text_char(t, ' ');
    put_escaped(t, e->request->path, PATH_MAX_BYTES, escape_text);
    text_char(t, ' ');
    text_str(t, protocol_of(e));
    text_char(t, '"');
}

static void put_text_rest(struct text_buf *t, const struct access_entry *e)
{
    text_put(t, VIEW(" host="));
    put_text_quoted(t, e->request == NULL ? (struct view){NULL, 0} : e->request->authority,
                    HOST_MAX);
    text_put(t, VIEW(" in="));
    text_u64(t, e->bytes_in);
    put_text_number(t, VIEW(" us="), e->duration_us);
    text_put(t, VIEW(" server="));
    put_text_quoted(t, e->server, SERVER_MAX);
    put_text_number(t, VIEW(" upstream_us="), e->upstream_us);
    text_put(t, VIEW(" tls="));
    text_str(t, e->tls_version == NULL ? "-" : e->tls_version);
    text_put(t, VIEW(" id="));
    if (e->request_id.len == 0)
        text_char(t, '-');
    put_escaped(t, e->request_id, ID_MAX, escape_text);
    text_put(t, VIEW(" error="));
    text_str(t, http_error_label(e->error));
    if (identity_of(e) != NULL) {
        text_put(t, VIEW(" client_cert="));
        put_text_quoted(t, e->identity->subject, SUBJECT_MAX);
        text_put(t, VIEW(" client_cert_sha256="));
        text_put(t, e->identity->fingerprint);
    }
}

struct view access_log_format_text(const struct access_entry *e, char *room, size_t cap)
{
    struct text_buf t = text_buf_over(room, cap);

    text_address(&t, &e->client);
    text_put(&t, VIEW(" - - "));
    put_clf_time(&t, e->wall_ms);
    text_char(&t, ' ');
    put_request_line(&t, e);
    text_char(&t, ' ');
    put_text_number(&t, VIEW(""), e->status == 0 ? -1 : e->status);
    text_char(&t, ' ');
    text_u64(&t, e->bytes_out);
    text_char(&t, ' ');
    put_text_quoted(&t, field_value(e, HTTP_FIELD_REFERER), REFERER_MAX);
    text_char(&t, ' ');
    put_text_quoted(&t, field_value(e, HTTP_FIELD_USER_AGENT), AGENT_MAX);
    put_text_rest(&t, e);
    return text_buf_view(&t);
}

/* ---- JSON ---- */

/* "2026-11-23T04:10:00.123Z"; all but the milliseconds is made once a second. */
static void put_iso_time(struct text_buf *t, int64_t wall_ms)
{
    static _Thread_local char text[19];
    static _Thread_local int64_t of_second = -1;
    time_t second = (time_t)(wall_ms / 1000);

    if (second != of_second) {
        struct text_buf s = text_buf_over(text, sizeof(text));
        struct tm tm = {0};

        (void)gmtime_r(&second, &tm);
        text_padded(&s, (uint64_t)tm.tm_year + 1900, 4);
        text_char(&s, '-');
        text_padded(&s, (uint64_t)tm.tm_mon + 1, 2);
        text_char(&s, '-');
        text_padded(&s, (uint64_t)tm.tm_mday, 2);
        text_char(&s, 'T');
        text_clock(&s, tm.tm_hour, tm.tm_min, tm.tm_sec);
        of_second = second;
    }
    text_put(t, (struct view){text, sizeof(text)});
    text_char(t, '.');
    text_padded(t, (uint64_t)(wall_ms % 1000), 3);
    text_char(t, 'Z');
}

static void put_json_key(struct text_buf *t, struct view key)
{
    text_put(t, VIEW(",\""));
    text_put(t, key);
    text_put(t, VIEW("\":"));
}

static void put_json_text(struct text_buf *t, struct view key, struct view v, size_t max)
{
    put_json_key(t, key);
    if (v.len == 0) {
        text_put(t, VIEW("null"));
        return;
    }
    text_char(t, '"');
    put_escaped(t, v, max, escape_json);
    text_char(t, '"');
}

static void put_json_number(struct text_buf *t, struct view key, int64_t n)
{
    put_json_key(t, key);
    if (n < 0)
        text_put(t, VIEW("null"));
    else
        text_i64(t, n);
}

static void put_json_request(struct text_buf *t, const struct access_entry *e)
{
    static const struct http_head unread = {0};
    const struct http_head *request = e->request == NULL ? &unread : e->request;

    put_json_text(t, VIEW("method"), request->method_text, METHOD_MAX);
    put_json_text(t, VIEW("host"), request->authority, HOST_MAX);
    put_json_text(t, VIEW("path"), request->path, PATH_MAX_BYTES);
    put_json_text(t, VIEW("protocol"), view_of(protocol_of(e)), METHOD_MAX);
    put_json_text(t, VIEW("referer"), field_value(e, HTTP_FIELD_REFERER), REFERER_MAX);
    put_json_text(t, VIEW("user_agent"), field_value(e, HTTP_FIELD_USER_AGENT), AGENT_MAX);
}

static void put_json(struct text_buf *t, const struct access_entry *e)
{
    text_put(t, VIEW("{\"time\":\""));
    put_iso_time(t, e->wall_ms);
    text_put(t, VIEW("\",\"client\":\""));
    text_address(t, &e->client);
    text_char(t, '"');
    put_json_request(t, e);
    put_json_number(t, VIEW("status"), e->status == 0 ? -1 : e->status);
    put_json_number(t, VIEW("bytes_in"), (int64_t)e->bytes_in);
    put_json_number(t, VIEW("bytes_out"), (int64_t)e->bytes_out);
    put_json_number(t, VIEW("duration_us"), e->duration_us);
    put_json_text(t, VIEW("server"), e->server, SERVER_MAX);
    put_json_number(t, VIEW("upstream_us"), e->upstream_us);
    put_json_text(t, VIEW("tls"), view_of(e->tls_version), METHOD_MAX);
    put_json_text(t, VIEW("request_id"), e->request_id, ID_MAX);
    put_json_text(t, VIEW("error"),
                  e->error == HTTP_ERROR_NONE ? (struct view){NULL, 0}
                                              : view_of(http_error_label(e->error)),
                  METHOD_MAX);
    if (identity_of(e) != NULL) {
        put_json_text(t, VIEW("client_cert"), e->identity->subject, SUBJECT_MAX);
        put_json_text(t, VIEW("client_cert_sha256"), e->identity->fingerprint, SUBJECT_MAX);
    }
    text_char(t, '}');
}

struct view access_log_format_json(const struct access_entry *e, char *room, size_t cap)
{
    struct text_buf t = text_buf_over(room, cap);

    put_json(&t, e);
    return text_buf_view(&t);
}

/* The sink counts what it drops; whoever sees the count grow adds the difference to its metrics. */
static void count_dropped(struct access_log *log)
{
    uint64_t dropped = log_sink_dropped(log->sink);
    uint64_t counted = atomic_load_explicit(&log->counted, memory_order_relaxed);

    if (dropped > counted &&
        atomic_compare_exchange_strong_explicit(&log->counted, &counted, dropped,
                                                memory_order_relaxed, memory_order_relaxed))
        METRIC_ADD(access_log_dropped, dropped - counted);
}

void access_log_write(struct access_log *log, const struct access_entry *e)
{
    char room[ACCESS_LOG_LINE_MAX];

    if (log->sink == NULL)
        return;
    log_sink_write(log->sink, log->json ? access_log_format_json(e, room, sizeof(room))
                                        : access_log_format_text(e, room, sizeof(room)));
    count_dropped(log);
}
