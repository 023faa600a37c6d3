/* Field blocks that are written. */
#include "failing_alloc.h"
#include "http2_fields.h"
#include "unit_test.h"

#include <stdio.h>

static struct arena arena;

static int arena_setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int arena_teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct http_field field(const char *name, const char *value)
{
    return (struct http_field){
        .name = view_of(name), .value = view_of(value), .id = http_field_id_of(view_of(name))};
}

#define FIELDS(...)                                                \
    ((struct http_fields){.v = (struct http_field[]){__VA_ARGS__}, \
                          .n = SP_COUNT_OF(((struct http_field[]){__VA_ARGS__}))})

/* "name: value" lines; a name that nghttp2 would have to copy stands behind a "+", a field that it
 * must not index behind a "!". */
static const char *text_of(const struct http2_fields_block *block)
{
    static char text[2048];
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < block->n; i++) {
        const nghttp2_nv *nv = &block->nv[i];
        int n = snprintf(text + len, sizeof(text) - len, "%s%s%.*s: %.*s\n",
                         (nv->flags & NGHTTP2_NV_FLAG_NO_COPY_NAME) != 0 ? "" : "+",
                         (nv->flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? "!" : "", (int)nv->namelen,
                         (const char *)nv->name, (int)nv->valuelen, (const char *)nv->value);

        assert_int_equal(nv->flags & NGHTTP2_NV_FLAG_NO_COPY_VALUE, 0);
        len += (size_t)n;
    }
    return text;
}

static const char *written(const struct http_head *head)
{
    struct http2_fields_block block;

    assert_int_equal(http2_fields_write_head(head, VIEW("http"), &arena, &block), SP_OK);
    return text_of(&block);
}

static enum sp_err refusal(const struct http_head *head)
{
    struct http2_fields_block block;

    return http2_fields_write_head(head, VIEW("http"), &arena, &block);
}

static struct http_head post(void)
{
    return (struct http_head){
        .method = HTTP_METHOD_POST,
        .method_text = VIEW("POST"),
        .scheme = VIEW("https"), /* the client's: not this connection's */
        .authority = VIEW("a.example"),
        .path = VIEW("/x"),
    };
}

static void a_request_loses_what_is_of_its_connection(void **state)
{
    struct http_head head = post();

    (void)state;
    head.body = HTTP_BODY_LENGTH;
    head.content_length = 1200;
    head.fields =
        FIELDS(field("Host", "other"), field("Connection", "x"), field("X-Own", " v "),
               field("Content-Length", "7"), field("Upgrade", "y"), field("TE", "trailers"),
               field("Keep-Alive", "1"), field("Transfer-Encoding", "chunked"));
    assert_string_equal(written(&head), ":method: POST\n:scheme: http\n:authority: a.example\n"
                                        ":path: /x\n+X-Own: v\nte: trailers\n"
                                        "content-length: 1200\n");
}

static void a_wish_for_a_tunnel_is_an_extended_connect(void **state)
{
    struct http_head head = post();

    (void)state;
    head.method = HTTP_METHOD_GET;
    head.method_text = VIEW("GET");
    head.protocol = VIEW("websocket");
    head.fields = FIELDS(field("Sec-WebSocket-Key", "k"), field("Sec-WebSocket-Version", "13"));
    assert_string_equal(written(&head),
                        ":method: CONNECT\n:protocol: websocket\n:scheme: http\n"
                        ":authority: a.example\n:path: /x\n+Sec-WebSocket-Version: 13\n");
}

static void an_open_tunnel_is_a_200_without_proof(void **state)
{
    struct http_head head = {
        .status = 101,
        .body = HTTP_BODY_TUNNEL,
        .protocol = VIEW("websocket"),
        .fields = FIELDS(field("Sec-WebSocket-Accept", "p"), field("Sec-WebSocket-Protocol", "c")),
    };

    (void)state;
    assert_string_equal(written(&head), ":status: 200\n+Sec-WebSocket-Protocol: c\n");
    head.body = HTTP_BODY_NONE;
    assert_int_equal(refusal(&head), SP_INVALID);
}

static void a_field_that_must_not_be_indexed_stays_so(void **state)
{
    struct http_head head = {.status = 204, .body = HTTP_BODY_LENGTH};
    struct http_field secret = field("set-cookie", "s");

    (void)state;
    secret.never_indexed = true;
    head.fields = FIELDS(secret, field("server", "x"));
    assert_string_equal(written(&head), ":status: 204\n!set-cookie: s\nserver: x\n");
}

static void a_request_that_would_be_malformed_is_not_written(void **state)
{
    struct http_head head = post();

    (void)state;
    head.path = VIEW("/a b");
    assert_int_equal(refusal(&head), SP_INVALID);
    head = post();
    head.method_text = VIEW("P\r\n");
    assert_int_equal(refusal(&head), SP_INVALID);
    head = post();
    head.authority = VIEW("u@a");
    assert_int_equal(refusal(&head), SP_INVALID);
    head = post();
    head.fields = FIELDS(field("x y", "v"));
    assert_int_equal(refusal(&head), SP_INVALID);
    head.fields = FIELDS(field("x", "v\r\ny: z"));
    assert_int_equal(refusal(&head), SP_INVALID);
    head = post();
    head.protocol = VIEW("a b");
    assert_int_equal(refusal(&head), SP_INVALID);
}

static void trailers_have_no_pseudo_fields(void **state)
{
    struct http_fields trailers = FIELDS(field("Grpc-Status", "0"), field("Content-Length", "3"),
                                         field("Connection", "x"), field("Host", "y"));
    struct http2_fields_block block;

    (void)state;
    assert_int_equal(http2_fields_write_trailers(&trailers, &arena, &block), SP_OK);
    assert_string_equal(text_of(&block), "+Grpc-Status: 0\n");
    trailers = FIELDS(field("x", "a\nb"));
    assert_int_equal(http2_fields_write_trailers(&trailers, &arena, &block), SP_INVALID);
}

static void each_allocation_may_fail(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH};

    (void)state;
    for (unsigned nth = 0;; nth++) {
        enum sp_err err;

        failing_alloc_arm(nth);
        err = refusal(&head);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        arena_fini(&arena);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_loses_what_is_of_its_connection),
        TEST(a_wish_for_a_tunnel_is_an_extended_connect),
        TEST(an_open_tunnel_is_a_200_without_proof),
        TEST(a_field_that_must_not_be_indexed_stays_so),
        TEST(a_request_that_would_be_malformed_is_not_written),
        TEST(trailers_have_no_pseudo_fields),
        TEST(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
