/* What a server may say on an HTTP/2 connection, to exchanges that send, wait, pause, abort and let
 * go, and that try again where they are refused. The first byte cuts the input into pieces, the
 * second chooses what the exchanges do; the rest is said, behind SETTINGS unless the second byte is
 * odd. Whatever it is: users are told in order, bodies are as long as announced, what we say is
 * whole frames, a connection that has room takes a request, and nothing is left in the end. */
#include "fake_vc.h"
#include "upstream_conn.h"

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

enum { N_USERS = 6, MAX_TRIES = 3 };

/* What an exchange does: a bit each. */
enum { UPLOADS = 1, PAUSES = 2, LETS_GO = 4, ASKS_TUNNEL = 8, ASKS_HEAD = 16 };

struct user {
    struct http_stream_user super;
    struct http_stream *s; /* NULL: released */
    unsigned does;
    unsigned tries;
    uint64_t announced, received; /* UINT64_MAX: nothing was announced */
    bool has_head, ended, tunnel;
};

static struct {
    struct upstream_conn_owner super;
    struct upstream_conn *up; /* NULL once it is gone */
    struct user users[N_USERS];
} owner;

static void let_go(struct user *u)
{
    struct http_stream *s = u->s;

    u->s = NULL;
    http_stream_release(s);
}

static struct user *user_of(struct http_stream_user *super, struct http_stream *s)
{
    struct user *u = container_of(super, struct user, super);

    FUZZ_CHECK(u->s == s);
    return u;
}

/* ---- Requests ---- */

static void send_bytes(struct user *u, size_t n, bool end)
{
    static const char zeros[4096];
    struct iobuf body;

    iobuf_init(&body);
    for (size_t i = 0; i < n; i += sizeof(zeros))
        FUZZ_CHECK(iobuf_append(&body, zeros, n - i < sizeof(zeros) ? n - i : 4096) == SP_OK);
    (void)http_stream_send_body(u->s, &body, end);
    iobuf_clear(&body);
}

static struct http_head head_of(const struct user *u)
{
    struct http_head head = {.method = HTTP_METHOD_GET,
                             .method_text = VIEW("GET"),
                             .authority = VIEW("a"),
                             .path = VIEW("/")};

    if ((u->does & ASKS_TUNNEL) != 0)
        head.protocol = VIEW("websocket");
    else if ((u->does & UPLOADS) != 0)
        head = (struct http_head){.method = HTTP_METHOD_POST,
                                  .method_text = VIEW("POST"),
                                  .authority = VIEW("a"),
                                  .path = VIEW("/"),
                                  .body = HTTP_BODY_UNSIZED};
    else if ((u->does & ASKS_HEAD) != 0) {
        head.method = HTTP_METHOD_HEAD;
        head.method_text = VIEW("HEAD");
    }
    return head;
}

static const struct http_stream_user_ops user_ops;

static void ask(struct user *u)
{
    static const struct upstream_exchange_options options = {.response_timeout_ms = 5000,
                                                             .idle_timeout_ms = 4000,
                                                             .max_head_bytes = 2048,
                                                             .max_fields = 20,
                                                             .buffer_bytes = 16384};
    struct http_head head = head_of(u);
    bool uploads = head.body == HTTP_BODY_UNSIZED;

    if (owner.up == NULL || !upstream_conn_has_room(owner.up) || u->tries++ == MAX_TRIES)
        return;
    u->super.ops = &user_ops;
    u->announced = UINT64_MAX;
    u->received = 0;
    u->has_head = u->ended = u->tunnel = false;
    u->s = upstream_conn_request(owner.up, &options, &u->super);
    FUZZ_CHECK(u->s != NULL);
    FUZZ_CHECK(http_stream_send_head(u->s, &head, !uploads) == SP_OK);
    if (uploads)
        send_bytes(u, 20000, (u->does & PAUSES) == 0);
}

/* ---- What they are told ---- */

static void ended(struct user *u)
{
    FUZZ_CHECK(!u->ended && u->has_head);
    FUZZ_CHECK(u->announced == UINT64_MAX || u->announced == u->received);
    u->ended = true;
    if (!u->tunnel)
        let_go(u);
}

static void on_head(struct http_stream_user *super, struct http_stream *s,
                    const struct http_head *head, bool end)
{
    struct user *u = user_of(super, s);

    FUZZ_CHECK(!u->has_head && !u->ended && head->status >= 100 && head->status <= 599);
    if (head->status / 100 == 1 && head->status != 101) {
        FUZZ_CHECK(!end);
        return;
    }
    u->has_head = true;
    u->tunnel = head->status == 101;
    FUZZ_CHECK(!u->tunnel || ((u->does & ASKS_TUNNEL) != 0 && !end && !s->send_ended));
    FUZZ_CHECK((head->body == HTTP_BODY_TUNNEL) == u->tunnel);
    if (head->body == HTTP_BODY_LENGTH && (u->does & ASKS_HEAD) == 0 && head->status != 304)
        u->announced = head->content_length;
    if (u->tunnel)
        send_bytes(u, 10, (u->does & PAUSES) == 0);
    if (end)
        ended(u);
    else if ((u->does & PAUSES) != 0)
        s->ops->pause(s);
}

static void on_body(struct http_stream_user *super, struct http_stream *s, struct iobuf *data,
                    bool end)
{
    struct user *u = user_of(super, s);

    FUZZ_CHECK(u->has_head && !u->ended && (data->len > 0 || end));
    u->received += data->len;
    iobuf_clear(data);
    FUZZ_CHECK(u->received <= u->announced);
    if (end)
        ended(u);
    else if ((u->does & LETS_GO) != 0)
        let_go(u);
}

static void on_trailers(struct http_stream_user *super, struct http_stream *s,
                        const struct http_fields *trailers)
{
    FUZZ_CHECK(trailers->n > 0);
    ended(user_of(super, s));
}

static void on_writable(struct http_stream_user *super, struct http_stream *s)
{
    (void)user_of(super, s);
}

/* As a transaction does: again, in the same breath. */
static void on_failed(struct http_stream_user *super, struct http_stream *s, enum http_error why)
{
    struct user *u = user_of(super, s);

    FUZZ_CHECK(why != HTTP_ERROR_NONE);
    FUZZ_CHECK(why != HTTP_ERROR_UPSTREAM_REFUSED || !u->has_head);
    FUZZ_CHECK(why != HTTP_ERROR_UPSTREAM_CLOSED || !u->has_head);
    let_go(u);
    ask(u);
}

static const struct http_stream_user_ops user_ops = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .failed = on_failed,
};

/* ---- The owner ---- */

static void on_changed(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    FUZZ_CHECK(o == &owner.super && up == owner.up);
}

static void on_gone(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    FUZZ_CHECK(o == &owner.super && up == owner.up && up->n_exchanges == 0);
    owner.up = NULL;
}

/* ---- The conversation ---- */

static void fill(struct config *conf)
{
    conf->limits =
        (struct http_limits_conf){.max_head_bytes = 2048, .max_fields = 20, .buffer_bytes = 16384};
    conf->http2 = (struct http2_conf){.max_streams = 20,
                                      .stream_window_bytes = 16384,
                                      .max_stream_window_bytes = 65536,
                                      .receive_bytes = 131072,
                                      .send_bytes = 65536};
#define X(id, key, default_, ...) conf->http2.budgets.allowance[HTTP2_BUDGET_##id] = default_;
    HTTP2_BUDGETS(X)
#undef X
}

static void ask_all(uint8_t choice)
{
    static const unsigned does[N_USERS] = {0, UPLOADS, PAUSES, LETS_GO, ASKS_TUNNEL, ASKS_HEAD};

    for (size_t i = 0; i < N_USERS; i++) {
        owner.users[i] = (struct user){.does = does[i] ^ (unsigned)(choice >> 1 >> (i % 3)) % 4};
        ask(&owner.users[i]);
    }
    fake_net_turn();
}

static void say(struct fake_peer *server, const uint8_t *data, size_t size)
{
    /* SETTINGS with ENABLE_CONNECT_PROTOCOL */
    static const uint8_t hello[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1};

    server->piece = data[0];
    if ((data[1] & 1) == 0)
        fake_peer_says_bytes(server, hello, sizeof(hello));
    fake_peer_says_bytes(server, data + 2, size - 2);
    fake_net_turn();
}

/* Those who paused go on, and one leaves. */
static void go_on(void)
{
    for (size_t i = 0; i < N_USERS; i++)
        if (owner.users[i].s != NULL)
            owner.users[i].s->ops->resume(owner.users[i].s);
    fake_net_turn();
    if (owner.users[0].s != NULL) {
        owner.users[0].s->ops->abort(owner.users[0].s, HTTP_ERROR_CLIENT_CLOSED);
        let_go(&owner.users[0]);
    }
    fake_net_turn();
}

static void check_frames(const struct fake_peer *server)
{
    const uint8_t *p = (const uint8_t *)server->got;
    size_t left = server->n_got;

    if (left < 24)
        return;
    p += 24; /* the preface */
    left -= 24;
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
    struct config conf = {0};
    struct backend_conf backend = {.idle_timeout_ms = 4000};
    struct fake_peer server = {0};

    fill(&conf);
    fake_net_open();
    owner.super = (struct upstream_conn_owner){.changed = on_changed, .gone = on_gone};
    owner.up = http2_upstream_new(
        fake_vc_connect(&server),
        &(struct upstream_conn_options){.config = &conf, .backend = &backend}, &owner.super);
    FUZZ_CHECK(owner.up != NULL);
    ask_all(data[1]);
    say(&server, data, size);
    go_on();
    fake_net_pass_slowly_ms(20000, 1000);
    fake_peer_ends(&server, FAKE_EOF);
    fake_net_turn();
    for (size_t i = 0; i < N_USERS; i++)
        if (owner.users[i].s != NULL)
            let_go(&owner.users[i]);
    fake_net_turn();
    FUZZ_CHECK(server.closed && owner.up == NULL);
    check_frames(&server);
    fake_net_close();
    fake_peer_fini(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct iobuf_usage usage;

    if (size < 2 || size > 65536)
        return 0;
    converse(data, size);
    usage = iobuf_usage();
    FUZZ_CHECK(usage.small_blocks == 0 && usage.large_blocks == 0);
    return 0;
}
