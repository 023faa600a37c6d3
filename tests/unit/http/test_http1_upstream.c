/* Requests out, responses in: what a backend sees of HTTP/1.1, and what a user hears of it. */
#include "upstream_fixture.h"
#include "websocket.h"

/* ---- Requests ---- */

static void a_request_has_host_first_and_the_fields_behind(void **state)
{
    struct http_head head = get_head();

    (void)state;
    begin();
    assert_int_equal(
        http_fields_add(&head.fields, &user.s->arena, HTTP_FIELD_OTHER, VIEW("X-a"), VIEW("1")),
        SP_OK);
    assert_int_equal(http_stream_send_head(user.s, &head, true), SP_OK);
    fake_net_turn();
    assert_string_equal(backend.got, "GET /x HTTP/1.1\r\nHost: shop\r\nX-a: 1\r\n\r\n");
    assert_true(user.s->send_ended);
    assert_false(user.s->reused);
}

struct request_case {
    struct http_head head;
    bool end;
    const char *body; /* NULL: none is sent */
    enum sp_err err;
    const char *expected; /* behind the Host line */
};

static const struct request_case request_cases[] = {
    {{.body = HTTP_BODY_LENGTH, .content_length = 2},
     false,
     "hi",
     SP_OK,
     "Content-Length: 2\r\n\r\nhi"},
    {{.body = HTTP_BODY_LENGTH, .content_length = 0},
     true,
     NULL,
     SP_OK,
     "Content-Length: 0\r\n\r\n"},
    {{.body = HTTP_BODY_UNSIZED},
     false,
     "hi",
     SP_OK,
     "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"},
    {{.body = HTTP_BODY_UNSIZED}, true, NULL, SP_OK, "Content-Length: 0\r\n\r\n"},
    {{.body = HTTP_BODY_NONE}, true, NULL, SP_OK, "Content-Length: 0\r\n\r\n"},
    {{.body = HTTP_BODY_LENGTH, .content_length = 2}, true, NULL, SP_INVALID, NULL},
    {{.body = HTTP_BODY_TO_CLOSE}, false, NULL, SP_INVALID, NULL},
    {{.body = HTTP_BODY_TUNNEL}, false, NULL, SP_INVALID, NULL},
    {{.body = HTTP_BODY_NONE, .protocol = {"websocket", 9}},
     true,
     NULL,
     SP_OK,
     "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {{.body = HTTP_BODY_NONE, .status = 200}, true, NULL, SP_INVALID, NULL},
};

static void each_body_gets_its_framing(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(request_cases); i++) {
        const struct request_case *c = &request_cases[i];
        struct http_head head = c->head;

        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        head.method = HTTP_METHOD_POST;
        head.method_text = VIEW("POST");
        head.path = VIEW("/");
        head.authority = VIEW("a");
        begin();
        assert_int_equal(http_stream_send_head(user.s, &head, c->end), c->err);
        if (c->body != NULL)
            assert_int_equal(recorder_send_text(&user, c->body, true), SP_OK);
        fake_net_turn();
        if (c->expected != NULL)
            assert_string_equal(backend.got + strlen("POST / HTTP/1.1\r\nHost: a\r\n"),
                                c->expected);
        if (i + 1 < SP_COUNT_OF(request_cases))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

static void trailers_go_behind_the_last_chunk(void **state)
{
    struct http_head head = get_head();
    struct http_fields trailers = {0};

    (void)state;
    head.body = HTTP_BODY_UNSIZED;
    begin();
    assert_int_equal(http_stream_send_head(user.s, &head, false), SP_OK);
    assert_int_equal(
        http_fields_add(&trailers, &user.s->arena, HTTP_FIELD_OTHER, VIEW("T"), VIEW("v")), SP_OK);
    assert_int_equal(user.s->ops->send_trailers(user.s, &trailers), SP_OK);
    assert_int_equal(user.s->ops->send_trailers(user.s, &trailers), SP_INVALID);
    fake_net_turn();
    assert_true(ends_with(backend.got, "\r\n\r\n0\r\nT: v\r\n\r\n"));
}

/* ---- Responses ---- */

struct response_case {
    const char *said;
    const char *log;
    const char *body;
    bool reusable;
    enum fake_end end; /* the backend's, behind it */
};

static const struct response_case response_cases[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "head(200) body end", "hello", true,
     FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "head(200) end", "", true, FAKE_OPEN},
    {"HTTP/1.1 204 No Content\r\n\r\n", "head(204) end", "", true, FAKE_OPEN},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "head(304) end", "", true,
     FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "head(200) body end", "hello", true, FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: v\r\n\r\n",
     "head(200) body trailers(T=v)", "x", true, FAKE_OPEN},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
     "head(100) head(103) head(200) body end", "x", true, FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "head(200) body end",
     "x", false, FAKE_OPEN},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "head(200) body end", "x", false, FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\n\r\nall of it", "head(200) body end", "all of it", false, FAKE_EOF},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n", "head(200) body end",
     "x", false, FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "head(200) body end", "x", false, FAKE_EOF},
    /* and what is none */
    {"", "failed:upstream_closed", "", false, FAKE_EOF},
    {"", "failed:upstream_closed", "", false, FAKE_RESET},
    {"HTTP/1.1 2", "failed:upstream_bad_response", "", false, FAKE_EOF},
    {"HTTP/1.1 2", "failed:upstream_bad_response", "", false, FAKE_RESET},
    {"HTTP/1.1 100 Continue\r\n\r\n", "head(100) failed:upstream_bad_response", "", false,
     FAKE_EOF},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "head(200) body failed:upstream_cut", "hel",
     false, FAKE_EOF},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     "head(200) body failed:upstream_cut", "hello", false, FAKE_EOF},
    {"HTTP/1.1 200 OK\r\n\r\npart", "head(200) body failed:upstream_cut", "part", false,
     FAKE_RESET},
    {"nonsense\r\n\r\n", "failed:upstream_bad_response", "", false, FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     "failed:upstream_bad_response", "", false, FAKE_OPEN},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     "head(200) failed:upstream_bad_response", "", false, FAKE_OPEN},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "failed:upstream_bad_response", "", false,
     FAKE_OPEN},
};

static void check_response(const struct response_case *c, size_t piece)
{
    backend.piece = piece;
    begin_get();
    if (c->said[0] != '\0')
        fake_peer_says(&backend, c->said);
    if (c->end != FAKE_OPEN)
        fake_peer_ends(&backend, c->end);
    fake_net_turn();
    assert_string_equal(user.log, c->log);
    assert_int_equal(user.n_body, strlen(c->body));
    assert_memory_equal(user.body, c->body, user.n_body);
    if (user.s != NULL)
        recorder_release(&user);
    fake_net_turn();
    assert_int_equal(owner.n_idle, c->reusable);
    assert_int_equal(owner.n_gone, !c->reusable);
    assert_int_equal(backend.closed, !c->reusable);
}

static void each_response_is_told_and_the_connection_kept_if_it_can_be(void **state)
{
    static const size_t pieces[] = {0, 1, 7};

    for (size_t i = 0; i < SP_COUNT_OF(response_cases); i++)
        for (size_t j = 0; j < SP_COUNT_OF(pieces); j++) {
            if (i + j > 0)
                assert_int_equal(fixture_setup(state), 0);
            check_response(&response_cases[i], pieces[j]);
            if (i + 1 < SP_COUNT_OF(response_cases) || j + 1 < SP_COUNT_OF(pieces))
                assert_int_equal(fixture_teardown(state), 0);
        }
}

static void the_response_to_head_announces_its_length(void **state)
{
    struct http_head head = get_head();

    (void)state;
    head.method = HTTP_METHOD_HEAD;
    head.method_text = VIEW("HEAD");
    begin();
    assert_int_equal(http_stream_send_head(user.s, &head, true), SP_OK);
    fake_net_turn();
    says("HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n");
    assert_string_equal(user.log, "head(200) end");
    assert_int_equal(user.head.body, HTTP_BODY_LENGTH);
    assert_int_equal(user.head.content_length, 123456);
}

static void interim_heads_live_as_long_as_the_stream(void **state)
{
    struct view link;

    (void)state;
    begin_get();
    says("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    link = user.head.fields.v[0].value;
    says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_true(view_eq(link, VIEW("</style.css>")));
}

static void interim_responses_without_end_are_refused(void **state)
{
    (void)state;
    begin_get();
    for (int i = 0; i < 16; i++)
        says("HTTP/1.1 102 Processing\r\n\r\n");
    assert_false(ends_with(user.log, "failed:upstream_bad_response"));
    says("HTTP/1.1 102 Processing\r\n\r\n");
    assert_true(ends_with(user.log, "failed:upstream_bad_response"));
}

static void a_head_that_is_too_large_is_told_so(void **state)
{
    (void)state;
    begin_get();
    says("HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < 300; i++)
        says("0123456789");
    assert_string_equal(user.log, "failed:upstream_head_too_large");
}

/* ---- One exchange after the other ---- */

static void a_connection_serves_one_request_after_the_other(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        begin_get();
        assert_int_equal(user.s->reused, i > 0);
        says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_string_equal(user.log, "head(200) body end");
        recorder_release(&user);
        assert_int_equal(owner.n_idle, i + 1);
    }
    assert_int_equal(iobuf_usage().small_blocks + iobuf_usage().large_blocks, 0);
}

static void bytes_that_nobody_asked_for_end_an_idle_connection(void **state)
{
    (void)state;
    finish_get();
    says("HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert_int_equal(owner.n_gone, 1);
    assert_true(backend.closed);
}

static void an_idle_connection_that_the_backend_closes_is_gone(void **state)
{
    (void)state;
    finish_get();
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 1);
}

static void the_owners_timeout_ends_an_idle_connection(void **state)
{
    (void)state;
    finish_get();
    net_vc_set_inactivity_timeout(owner.up->vc, 5000);
    fake_net_pass_ms(5001);
    assert_int_equal(owner.n_gone, 1);
}

static void a_response_that_was_there_before_the_request_is_none(void **state)
{
    (void)state;
    finish_get();
    begin();
    says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    assert_string_equal(user.log, "failed:upstream_closed");
    assert_true(user.s->reused);
}

static void close_ends_an_idle_connection_without_a_word(void **state)
{
    (void)state;
    finish_get();
    upstream_conn_close(owner.up);
    assert_true(backend.closed);
    assert_int_equal(owner.n_gone, 0);
    owner.up = NULL;
}

/* ---- WebSocket of an HTTP/2 client: RFC 8441 5 ---- */

/* The key that was made, and what proves it. */
static void begin_websocket(char proof[WEBSOCKET_PROOF_LEN])
{
    struct http_head head = get_head();
    const char *key;

    head.version = HTTP_VERSION_2;
    head.protocol = VIEW("websocket");
    begin();
    assert_int_equal(http_stream_send_head(user.s, &head, true), SP_OK);
    fake_net_turn();
    key = strstr(backend.got, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    key += strlen("Sec-WebSocket-Key: ");
    assert_true(websocket_proof_make((struct view){key, WEBSOCKET_KEY_LEN}, proof));
    assert_memory_equal(key + WEBSOCKET_KEY_LEN, "\r\n", 2);
}

static void a_key_is_made_and_its_proof_goes_no_further(void **state)
{
    char proof[WEBSOCKET_PROOF_LEN], answer[256];

    (void)state;
    begin_websocket(proof);
    assert_true(snprintf(answer, sizeof(answer),
                         "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %.*s\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
                         WEBSOCKET_PROOF_LEN, proof) > 0);
    says(answer);
    assert_string_equal(user.log, "head(101)");
    assert_int_equal(user.head.fields.n, 3);
    assert_null(websocket_proof(&user.head.fields));
    assert_true(view_eq(user.head.fields.v[2].name, VIEW("X")));
}

static void without_the_proof_there_is_no_tunnel(void **state)
{
    char proof[WEBSOCKET_PROOF_LEN];

    (void)state;
    begin_websocket(proof);
    says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    assert_string_equal(user.log, "failed:upstream_bad_response");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        upstream_test(a_request_has_host_first_and_the_fields_behind),
        upstream_test(each_body_gets_its_framing),
        upstream_test(trailers_go_behind_the_last_chunk),
        upstream_test(each_response_is_told_and_the_connection_kept_if_it_can_be),
        upstream_test(the_response_to_head_announces_its_length),
        upstream_test(interim_heads_live_as_long_as_the_stream),
        upstream_test(interim_responses_without_end_are_refused),
        upstream_test(a_head_that_is_too_large_is_told_so),
        upstream_test(a_connection_serves_one_request_after_the_other),
        upstream_test(bytes_that_nobody_asked_for_end_an_idle_connection),
        upstream_test(an_idle_connection_that_the_backend_closes_is_gone),
        upstream_test(the_owners_timeout_ends_an_idle_connection),
        upstream_test(a_response_that_was_there_before_the_request_is_none),
        upstream_test(close_ends_an_idle_connection_without_a_word),
        upstream_test(a_key_is_made_and_its_proof_goes_no_further),
        upstream_test(without_the_proof_there_is_no_tunnel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
