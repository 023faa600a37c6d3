/* One question, one answer, over a blocking unix socket. */
#include "admin_client.h"

#include <sallyport/http/http1_parser.h>

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES     ((size_t)65536)
#define MAX_HEAD_BYTES 65536U

/* ---- The connection ---- */

struct connection {
    const struct admin_call *call;
    int fd;
    char *in; /* owned: received and not yet used */
    size_t len, cap;
    char path[ADMIN_SOCKET_MAX];
};

static enum admin_outcome tell(const struct connection *c, enum admin_outcome outcome,
                               const char *what)
{
    if (c->call->command != NULL)
        (void)fprintf(stderr, "sallyport %s: %s: %s\n", c->call->command->name, c->path, what);
    return outcome;
}

static const char *error_text(int error_number)
{
    switch (error_number) {
    case ENOENT:
    case ECONNREFUSED: return "nothing runs there (no program listens on this control socket)";
    case EACCES: return "you may not use this control socket";
    case EAGAIN: return "no answer in time";
    default: return strerror(error_number); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
}

static enum admin_outcome connect_to(struct connection *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = c->call->timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(c->call->timeout_ms % 1000) * 1000};

    memcpy(address.sun_path, c->path, sizeof(address.sun_path));
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return tell(c, ADMIN_FAILED, error_text(errno));
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return ADMIN_ANSWERED;
    return tell(c, errno == ENOENT || errno == ECONNREFUSED ? ADMIN_NOBODY : ADMIN_FAILED,
                error_text(errno));
}

static bool send_all(const struct connection *c, struct view v)
{
    while (v.len > 0) {
        ssize_t n = send(c->fd, v.p, v.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        v = view_from(v, (size_t)n);
    }
    return true;
}

/* More bytes into c->in. 0: the end; -1: errno. */
static ssize_t receive(struct connection *c)
{
    ssize_t n;

    if (c->cap - c->len < READ_BYTES) {
        char *grown = realloc(c->in, c->cap + 2 * READ_BYTES);

        if (grown == NULL)
            return -1;
        c->in = grown;
        c->cap += 2 * READ_BYTES;
    }
    do
        n = recv(c->fd, c->in + c->len, READ_BYTES, 0);
    while (n < 0 && errno == EINTR);
    c->len += n > 0 ? (size_t)n : 0;
    return n;
}

static void consume(struct connection *c, size_t n)
{
    memmove(c->in, c->in + n, c->len - n);
    c->len -= n;
}

/* ---- The request ---- */

static bool put(char *dst, size_t cap, size_t *at, const char *fmt, ...) SP_PRINTF(4, 5);
static bool put(char *dst, size_t cap, size_t *at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(dst + *at, cap - *at, fmt, args);
    va_end(args);
    *at += n > 0 ? (size_t)n : 0;
    return n >= 0 && *at < cap;
}

static bool send_request(const struct connection *c)
{
    const struct admin_call *call = c->call;
    char head[8192];
    size_t at = 0;
    bool ok =
        put(head, sizeof(head), &at, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            call->method == NULL ? "GET" : call->method, call->path);

    for (size_t i = 0; ok && i < call->n_fields; i++)
        ok =
            put(head, sizeof(head), &at, "%s: %s\r\n", call->fields[i].name, call->fields[i].value);
    if (ok && call->content_type != NULL)
        ok = put(head, sizeof(head), &at, "Content-Type: %s\r\n", call->content_type);
    if (ok && call->body.p != NULL)
        ok = put(head, sizeof(head), &at, "Content-Length: %zu\r\n", call->body.len);
    ok = ok && put(head, sizeof(head), &at, "\r\n");
    if (!ok) {
        errno = EMSGSIZE;
        return false;
    }
    return send_all(c, (struct view){head, at}) && send_all(c, call->body);
}

/* ---- The answer ---- */

static const struct http1_limits head_limits = {.max_head_bytes = MAX_HEAD_BYTES,
                                                .max_target_bytes = MAX_HEAD_BYTES,
                                                .max_fields = 200,
                                                .max_trailer_bytes = MAX_HEAD_BYTES};

static enum http_method method_of(const struct admin_call *call)
{
    return call->method == NULL ? HTTP_METHOD_GET : http_method_of(view_of(call->method));
}

/* False: no head came (errno 0: what came is none). */
static bool read_head(struct connection *c, struct admin_reply *r, struct http_head *head)
{
    struct http1_head_scan scan = {0};
    enum http_error error;
    struct view bytes;
    size_t n = 0;
    ssize_t got;

    for (;;) {
        enum http1_scan found =
            http1_head_scan(&scan, (struct view){c->in, c->len}, &head_limits, &n, &error);

        errno = 0;
        if (found == HTTP1_SCAN_ERROR)
            return false;
        if (found == HTTP1_SCAN_DONE)
            break;
        got = receive(c);
        if (got <= 0)
            return false;
    }
    bytes = arena_copy(&r->arena, (struct view){c->in, n});
    consume(c, n);
    return bytes.p != NULL && http1_parse_response(bytes, method_of(c->call), &head_limits,
                                                   &r->arena, head) == HTTP_ERROR_NONE;
}

/* Where the body's bytes go. */
struct sink {
    const struct admin_call *call;
    bool in_pieces;
    char *p; /* owned */
    size_t len, cap;
};

static bool take(struct sink *s, struct view piece)
{
    if (s->in_pieces)
        return piece.len == 0 || s->call->piece(s->call->arg, piece);
    if (s->cap - s->len <= piece.len) {
        size_t cap = (s->cap + piece.len) * 2 + 1024;
        char *grown = realloc(s->p, cap);

        if (grown == NULL)
            return false;
        s->p = grown;
        s->cap = cap;
    }
    if (piece.len > 0)
        memcpy(s->p + s->len, piece.p, piece.len);
    s->len += piece.len;
    s->p[s->len] = '\0';
    return true;
}

static bool read_sized(struct connection *c, struct sink *s, uint64_t left)
{
    for (;;) {
        size_t n = c->len < left ? c->len : (size_t)left;

        if (!take(s, (struct view){c->in, n}))
            return false;
        consume(c, n);
        left -= n;
        if (left == 0)
            return true;
        if (receive(c) <= 0)
            return false;
    }
}

static bool read_chunked(struct connection *c, struct sink *s)
{
    struct http1_chunked chunked;

    http1_chunked_init(&chunked);
    for (;;) {
        size_t skip = 0, data = 0;
        enum http_error error;

        switch (http1_chunked_next(&chunked, (struct view){c->in, c->len}, &skip, &data, &error)) {
        case HTTP1_CHUNK_ERROR: return false;
        case HTTP1_CHUNK_TRAILERS: return take(s, (struct view){NULL, 0});
        case HTTP1_CHUNK_DATA:
            if (!take(s, (struct view){c->in + skip, data}))
                return false;
            consume(c, skip + data);
            break;
        case HTTP1_CHUNK_MORE:
            consume(c, skip);
            if (receive(c) <= 0)
                return false;
            break;
        }
    }
}

static bool read_body(struct connection *c, struct sink *s, const struct http_head *head)
{
    switch (head->body) {
    case HTTP_BODY_NONE: return read_sized(c, s, 0);
    case HTTP_BODY_LENGTH: return read_sized(c, s, head->content_length);
    case HTTP_BODY_UNSIZED: return read_chunked(c, s);
    case HTTP_BODY_TO_CLOSE:
    case HTTP_BODY_TUNNEL: break;
    }
    return false;
}

static enum admin_outcome exchange(struct connection *c, struct admin_reply *r)
{
    struct http_head head;
    struct sink sink = {.call = c->call};

    if (!send_request(c) || !read_head(c, r, &head))
        return tell(c, ADMIN_FAILED, errno == 0 ? "the answer is not HTTP" : error_text(errno));
    r->status = head.status;
    r->fields = head.fields;
    sink.in_pieces = c->call->piece != NULL && head.status < 300;
    bool whole = read_body(c, &sink, &head);
    r->body = arena_copy(&r->arena, (struct view){sink.p, sink.len});
    free(sink.p);
    if (whole || sink.in_pieces)
        return ADMIN_ANSWERED;
    return tell(c, ADMIN_FAILED, "the answer was cut short");
}

enum admin_outcome admin_client_ask(const struct admin_call *call, struct admin_reply *reply)
{
    struct connection c = {.call = call, .fd = -1};
    enum admin_outcome outcome;

    *reply = (struct admin_reply){0};
    arena_init(&reply->arena);
    if (!admin_client_socket(call->command, call->options, c.path))
        return ADMIN_FAILED;
    outcome = connect_to(&c);
    if (outcome == ADMIN_ANSWERED)
        outcome = exchange(&c, reply);
    if (c.fd >= 0)
        (void)close(c.fd);
    free(c.in);
    return outcome;
}

void admin_reply_fini(struct admin_reply *r)
{
    arena_fini(&r->arena);
}

struct view admin_reply_field(const struct admin_reply *r, const char *name)
{
    for (uint32_t i = 0; i < r->fields.n; i++)
        if (view_eq_nocase(r->fields.v[i].name, view_of(name)))
            return r->fields.v[i].value;
    return (struct view){NULL, 0};
}

void admin_reply_tell_problem(const struct admin_reply *r, const struct command *command)
{
    json_t *problem = json_loadb(r->body.p, r->body.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));

    if (detail != NULL)
        (void)fprintf(stderr, "sallyport %s: %s\n", command->name, detail);
    else
        (void)fprintf(stderr, "sallyport %s: %u %s\n", command->name, r->status,
                      http_status_reason(r->status));
    json_decref(problem);
}

bool admin_client_ask_ok(const struct admin_call *call, struct admin_reply *reply)
{
    if (admin_client_ask(call, reply) != ADMIN_ANSWERED)
        return false;
    if (reply->status >= 300)
        admin_reply_tell_problem(reply, call->command);
    return reply->status < 300;
}

/* ---- Paths ---- */

bool admin_client_escape(struct view name, char *dst, size_t cap)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:";
    size_t at = 0;

    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.p[i];

        if (at + 4 > cap)
            return false;
        if (byte != '\0' && strchr(plain, byte) != NULL) {
            dst[at++] = name.p[i];
            continue;
        }
        (void)snprintf(dst + at, 4, "%%%02X", byte);
        at += 3;
    }
    dst[at] = '\0';
    return at < cap;
}
