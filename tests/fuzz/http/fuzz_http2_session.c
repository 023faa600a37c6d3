/* What a client may say on an HTTP/2 connection, to a service that answers, waits, pauses, aborts
 * and lets go. The first byte cuts the input into pieces, the second chooses what the service does;
 * the rest is said, behind preface and SETTINGS unless the second byte is odd. Whatever it is:
 * users are told in order, bodies are as long as announced, what we say is whole frames, and
 * nothing is left in the end. */
#include "fake_vc.h"

#include <sallyport/http/http_port.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(expr) (SP_LIKELY(expr) ? (void)0 : fuzz_failed(#expr, __LINE__))

_Noreturn static void fuzz_failed(const char *expr, int line)
{
    (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, line, expr);
    abort();
}

/* ---- The service: each request has a user that lives by a plan ---- */

enum plan { PLAN_ANSWER, PLAN_WAIT_FOR_END, PLAN_PAUSE_AND_STREAM, PLAN_LET_GO, PLAN_COUNT };

struct user {
    struct http_stream_user super;
    struct http_stream *s;
    struct list link;
    enum plan plan;
    uint64_t announced; /* UINT64_MAX: nothing was */
    uint64_t received;
    bool ended, failed, tunnel;
};

static struct {
    struct http_service super;
    struct list users;
    unsigned n_users;
    unsigned n_requests;
    uint8_t choice;
} service;

static void let_go(struct user *u)
{
    struct http_stream *s = u->s;

    list_remove(&u->link);
    service.n_users--;
    free(u);
    http_stream_release(s);
}

static void answer(struct user *u, size_t n)
{
    static const char zeros[4096];
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};
    struct http_field field = {.name = VIEW("x-end"), .value = VIEW("1")};
    struct http_fields trailers = {.v = &field, .n = 1, .cap = 1};
    struct iobuf body;

    iobuf_init(&body);
    if (u->tunnel)
        head = (struct http_head){.status = 101, .body = HTTP_BODY_TUNNEL};
    if (http_stream_send_head(u->s, &head, false) == SP_OK) {
        for (size_t i = 0; i < n; i += sizeof(zeros))
            FUZZ_CHECK(iobuf_append(&body, zeros, n - i < 4096 ? n - i : 4096) == SP_OK);
        (void)http_stream_send_body(u->s, &body, false);
        if (u->s->ops->send_trailers(u->s, &trailers) != SP_OK)
            (void)http_stream_send_body(u->s, &body, true);
    }
    iobuf_clear(&body);
    let_go(u);
}

static struct user *user_of(struct http_stream_user *u, struct http_stream *s)
{
    struct user *user = container_of(u, struct user, super);

    FUZZ_CHECK(user->s == s && !user->failed);
    return user;
}

static void on_head(struct http_stream_user *u, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    (void)u;
    (void)s;
    (void)head;
    (void)end;
    FUZZ_CHECK(false);
}

static void ended(struct user *u)
{
    FUZZ_CHECK(!u->ended);
    u->ended = true;
    FUZZ_CHECK(u->announced == UINT64_MAX || u->announced == u->received);
    if (u->plan == PLAN_WAIT_FOR_END)
        answer(u, 2);
}

static void on_body(struct http_stream_user *u, struct http_stream *s, struct iobuf *data, bool end)
{
    struct user *user = user_of(u, s);

    FUZZ_CHECK(!user->ended && (data->len > 0 || end));
    user->received += data->len;
    iobuf_clear(data);
    FUZZ_CHECK(user->received <= user->announced);
    if (end)
        ended(user);
    else if (user->plan == PLAN_LET_GO)
        let_go(user);
    else if (user->plan == PLAN_PAUSE_AND_STREAM)
        s->ops->pause(s);
}

static void on_trailers(struct http_stream_user *u, struct http_stream *s,
                        const struct http_fields *trailers)
{
    FUZZ_CHECK(trailers->n > 0);
    ended(user_of(u, s));
}

static void on_writable(struct http_stream_user *u, struct http_stream *s)
{
    (void)user_of(u, s);
}

static void on_failed(struct http_stream_user *u, struct http_stream *s, enum http_error why)
{
    struct user *user = user_of(u, s);

    FUZZ_CHECK(why != HTTP_ERROR_NONE);
    user->failed = true;
    if (s->answerable)
        answer(user, 10);
    else
        let_go(user);
}

static const struct http_stream_user_ops user_ops = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .failed = on_failed,
};

static void on_request(struct http_service *svc, struct http_stream *s,
                       const struct http_head *head, bool end)
{
    struct user *u = calloc(1, sizeof(*u));

    (void)svc;
    FUZZ_CHECK(u != NULL);
    FUZZ_CHECK(head->method_text.len > 0 && head->authority.p != NULL && head->scheme.len > 0);
    u->super.ops = &user_ops;
    u->s = s;
    u->plan = (service.choice >> 1 >> (2 * (service.n_requests % 3))) % PLAN_COUNT;
    u->tunnel = head->protocol.len > 0;
    u->ended = end && !u->tunnel;
    u->announced = head->body == HTTP_BODY_LENGTH ? head->content_length : UINT64_MAX;
    s->user = &u->super;
    list_push_back(&service.users, &u->link);
    service.n_users++;
    service.n_requests++;
    if (u->plan == PLAN_ANSWER || (end && !u->tunnel && u->plan == PLAN_WAIT_FOR_END))
        answer(u, 2);
    else if (u->plan == PLAN_LET_GO && end) {
        s->ops->abort(s, HTTP_ERROR_INTERNAL);
        let_go(u);
    }
}

static enum sp_err on_error_answer(struct http_service *svc, struct http_stream *s,
                                   enum http_error why, struct http_head *head, struct iobuf *body)
{
    (void)svc;
    (void)s;
    (void)head;
    return iobuf_append_view(body, view_of(http_error_label(why)));
}

static void on_refused(struct http_service *svc, struct http_stream *s, enum http_error why)
{
    (void)svc;
    (void)s;
    FUZZ_CHECK(why != HTTP_ERROR_NONE);
}

static const struct http_service_ops service_ops = {
    .request = on_request,
    .error_answer = on_error_answer,
    .refused = on_refused,
};

/* ---- The conversation ---- */

static struct port_conf port_conf(void)
{
    struct port_conf conf = {
        .limits = {.max_head_bytes = 2048,
                   .max_target_bytes = 512,
                   .max_fields = 20,
                   .max_trailer_bytes = 512,
                   .head_timeout_ms = 3000,
                   .keep_alive_timeout_ms = 60000,
                   .body_timeout_ms = 5000,
                   .send_timeout_ms = 5000,
                   .tunnel_timeout_ms = 6000,
                   .min_rate_bytes_per_s = 10,
                   .buffer_bytes = 16384},
        .http2 = {.max_streams = 20,
                  .stream_window_bytes = 16384,
                  .max_stream_window_bytes = 65536,
                  .receive_bytes = 131072,
                  .send_bytes = 65536},
    };

#define X(id, key, default_, ...) conf.http2.budgets.allowance[HTTP2_BUDGET_##id] = default_;
    HTTP2_BUDGETS(X)
#undef X
    return conf;
}

static void say(struct fake_peer *client, const uint8_t *data, size_t size)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

    client->piece = data[0];
    if ((data[1] & 1) == 0)
        fake_peer_says_bytes(client, hello, sizeof(hello) - 1);
    fake_peer_says_bytes(client, data + 2, size - 2);
    fake_net_turn();
}

/* The plans that wait go on. */
static void let_all_go_on(void)
{
    struct list *n, *next;

    list_for_each_safe (n, next, &service.users) {
        struct user *u = container_of(n, struct user, link);

        if (u->plan == PLAN_PAUSE_AND_STREAM)
            answer(u, 40000);
    }
    fake_net_turn();
}

static void check_frames(const struct fake_peer *client)
{
    const uint8_t *p = (const uint8_t *)client->got;
    size_t left = client->n_got;

    while (left >= 9) {
        size_t n = 9 + ((size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2]);

        FUZZ_CHECK(n <= 9 + 16384 && p[3] <= 9);
        if (n > left)
            break; /* cut off */
        p += n;
        left -= n;
    }
}

static void converse(const uint8_t *data, size_t size)
{
    struct port_conf conf = port_conf();
    struct http_port port = {.conf = &conf, .service = &service.super, .tls = true};
    struct fake_peer client = {.alpn = "h2"};

    fake_net_open();
    (void)continuation_call(http_session_accept(), NET_EVENT_ACCEPT,
                            fake_vc_accept(&client, &port));
    say(&client, data, size);
    let_all_go_on();
    fake_net_pass_slowly_ms(14000, 1000);
    fake_peer_ends(&client, FAKE_EOF);
    fake_net_turn();
    FUZZ_CHECK(client.closed && service.n_users == 0);
    check_frames(&client);
    fake_net_close();
    fake_peer_fini(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct iobuf_usage usage;

    if (size < 2 || size > 65536)
        return 0;
    service.super.ops = &service_ops;
    service.n_users = service.n_requests = 0;
    service.choice = data[1];
    list_init(&service.users);
    converse(data, size);
    usage = iobuf_usage();
    FUZZ_CHECK(usage.small_blocks == 0 && usage.large_blocks == 0);
    return 0;
}
