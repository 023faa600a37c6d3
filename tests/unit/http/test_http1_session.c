/* Requests in, responses out: what a client sees of HTTP/1.1. */
#include "session_fixture.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* ---- Requests ---- */

static void a_request_reaches_the_service_with_its_head(void **state)
{
    const struct http_head *head = &request(0)->head;

    (void)state;
    says("POST /x?y HTTP/1.1\r\nHost: shop\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(told(0), "POST:/x?y end");
    assert_true(view_eq(head->scheme, VIEW("https")));
    assert_true(view_eq(head->authority, VIEW("shop")));
    assert_int_equal(head->fields.n, 3);
    assert_int_equal(request(0)->s->id, 1);
}

static void a_response_of_known_length_keeps_the_connection(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says(GET);
    assert_string_equal(got(), OK_2);
    says(GET);
    assert_string_equal(got(), OK_2 OK_2);
    assert_false(fix.client.closed);
}

static void bytes_may_come_one_at_a_time(void **state)
{
    (void)state;
    fix.client.piece = 1;
    fix.service.on_event = NULL;
    says("\r\nPOST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: v\r\n\r\n");
    assert_string_equal(told(0), "POST:/one body trailers(T=v)");
    assert_string_equal(request(0)->body, "hello world");
    assert_int_equal(request(0)->s->bytes_received, 11);
    recorder_answer(request(0), 200, "ok");
    says(GET);
    assert_string_equal(told(1), "GET:/ end");
}

static void a_body_has_exactly_its_length(void **state)
{
    (void)state;
    says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\n"
         "Host: a\r\n\r\n");
    assert_string_equal(told(0), "POST:/ body end");
    assert_string_equal(request(0)->body, "hello");
    assert_int_equal(fix.service.n, 1); /* the next waits for this one's end */
    recorder_answer(request(0), 200, "ok");
    fake_net_turn();
    assert_string_equal(told(1), "GET:/next end");
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says(GET GET GET);
    assert_int_equal(fix.service.n, 3);
    assert_string_equal(got(), OK_2 OK_2 OK_2);
}

static void pipelined_requests_wait_for_a_client_that_does_not_read(void **state)
{
    (void)state;
    fix.client.takes = 0;
    fix.service.on_event = NULL;
    says(GET GET);
    assert_int_equal(recorder_send_zeros(request(0), 0, false), SP_INVALID); /* no head yet */
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 12000};
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_int_equal(recorder_send_zeros(request(0), 12000, true), SP_OK);
    recorder_release(request(0));
    fake_net_turn();
    assert_int_equal(fix.service.n, 1);
    fake_peer_takes(&fix.client, SIZE_MAX);
    fake_net_turn();
    assert_int_equal(fix.service.n, 2);
}

static void two_empty_lines_in_front_are_forgiven_and_no_third(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    fix.client.piece = 1;
    says("\r\n\r\n" GET);
    assert_string_equal(got(), OK_2);
    says("\r\n\r\n\r\n" GET);
    assert_int_equal(fix.service.n, 1);
    assert_int_equal(fix.service.refused, HTTP_ERROR_BAD_REQUEST_LINE);
}

static void an_idle_connection_holds_no_memory_for_a_request(void **state)
{
    struct iobuf_usage usage;

    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says(GET "\r\n");
    usage = iobuf_usage();
    assert_int_equal(usage.small_blocks + usage.large_blocks, 0);
    assert_int_equal(fix.client.vc->queue, VC_QUEUE_KEEP_ALIVE);
}

static void many_requests_on_one_connection_leave_nothing_behind(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    for (int i = 0; i < 1000; i++)
        says(GET);
    assert_int_equal(fix.service.n, 1000);
    assert_int_equal(fix.client.n_got, 1000 * strlen(OK_2));
}

/* ---- Framing of responses ---- */

struct framing_case {
    const char *request;
    struct http_head head;
    bool end;
    const char *body; /* NULL: none is sent */
    const char *expected;
    bool closes;
};

#define REQUEST(method, version) method " / HTTP/" version "\r\nHost: a\r\n\r\n"
#define KEEP_1_0                 "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

static const struct framing_case framing_cases[] = {
    {GET,
     {.status = 200, .body = HTTP_BODY_UNSIZED},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
     false},
    {GET,
     {.status = 200, .body = HTTP_BODY_TO_CLOSE},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
     false},
    {GET,
     {.status = 200, .body = HTTP_BODY_UNSIZED},
     true,
     NULL,
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     false},
    {GET,
     {.status = 200, .body = HTTP_BODY_NONE},
     true,
     NULL,
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     false},
    {GET,
     {.status = 204, .body = HTTP_BODY_NONE},
     true,
     NULL,
     "HTTP/1.1 204 No Content\r\n\r\n",
     false},
    {GET,
     {.status = 204, .body = HTTP_BODY_LENGTH, .content_length = 3},
     false,
     "abc",
     "HTTP/1.1 204 No Content\r\n\r\n",
     false},
    {GET,
     {.status = 304, .body = HTTP_BODY_LENGTH, .content_length = 9},
     true,
     NULL,
     "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
     false},
    {GET,
     {.status = 304, .body = HTTP_BODY_NONE},
     true,
     NULL,
     "HTTP/1.1 304 Not Modified\r\n\r\n",
     false},
    {REQUEST("HEAD", "1.1"),
     {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 7},
     true,
     NULL,
     "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
     false},
    {REQUEST("HEAD", "1.1"),
     {.status = 404, .body = HTTP_BODY_LENGTH, .content_length = 4},
     false,
     "page",
     "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n",
     false},
    {REQUEST("HEAD", "1.1"),
     {.status = 200, .body = HTTP_BODY_UNSIZED},
     false,
     "page",
     "HTTP/1.1 200 OK\r\n\r\n",
     false},
    {REQUEST("GET", "1.0"),
     {.status = 200, .body = HTTP_BODY_UNSIZED},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi",
     true},
    {REQUEST("GET", "1.0"),
     {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 2},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
     true},
    {KEEP_1_0,
     {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 2},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
     false},
    {KEEP_1_0,
     {.status = 200, .body = HTTP_BODY_UNSIZED},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi",
     true},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
     {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 2},
     false,
     "hi",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
     true},
};

static void each_body_gets_the_framing_that_fits_the_client(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(framing_cases); i++) {
        const struct framing_case *c = &framing_cases[i];

        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        says(c->request);
        assert_int_equal(fix.service.n, 1);
        assert_int_equal(http_stream_send_head(request(0)->s, &c->head, c->end), SP_OK);
        if (c->body != NULL)
            assert_int_equal(recorder_send_text(request(0), c->body, true), SP_OK);
        assert_true(request(0)->s->send_ended);
        recorder_release(request(0));
        fake_net_turn();
        assert_string_equal(got(), c->expected);
        assert_int_equal(fix.client.got_end, c->closes);
        if (i + 1 < SP_COUNT_OF(framing_cases))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

static void fields_keep_order_and_spelling_and_lose_what_belongs_to_the_connection(void **state)
{
    struct http_head head = {.status = 299, .reason = VIEW("Fine"), .body = HTTP_BODY_NONE};
    struct arena *arena;

    (void)state;
    says(GET);
    arena = &request(0)->s->arena;
    const struct {
        enum http_field_id id;
        struct view name, value;
    } fields[] = {
        {HTTP_FIELD_OTHER, VIEW("X-oNe"), VIEW("1")},
        {HTTP_FIELD_CONNECTION, VIEW("Connection"), VIEW("close")},
        {HTTP_FIELD_TRANSFER_ENCODING, VIEW("Transfer-Encoding"), VIEW("chunked")},
        {HTTP_FIELD_CONTENT_LENGTH, VIEW("Content-Length"), VIEW("77")},
        {HTTP_FIELD_SET_COOKIE, VIEW("set-cookie"), VIEW("a=b")},
        {HTTP_FIELD_SET_COOKIE, VIEW("Set-Cookie"), VIEW("")},
    };
    for (size_t i = 0; i < SP_COUNT_OF(fields); i++)
        assert_int_equal(
            http_fields_add(&head.fields, arena, fields[i].id, fields[i].name, fields[i].value),
            SP_OK);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, true), SP_OK);
    fake_net_turn();
    assert_string_equal(got(), "HTTP/1.1 299 Fine\r\nX-oNe: 1\r\nset-cookie: a=b\r\n"
                               "Set-Cookie: \r\nContent-Length: 0\r\n\r\n");
}

static void trailers_follow_the_last_chunk(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};
    struct http_fields trailers = {0};

    (void)state;
    says(GET);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_int_equal(recorder_send_text(request(0), "data", false), SP_OK);
    assert_int_equal(http_fields_add(&trailers, &request(0)->s->arena, HTTP_FIELD_OTHER,
                                     VIEW("grpc-status"), VIEW("0")),
                     SP_OK);
    assert_int_equal(request(0)->s->ops->send_trailers(request(0)->s, &trailers), SP_OK);
    recorder_release(request(0));
    fake_net_turn();
    assert_true(ends_with(got(), "\r\n\r\n4\r\ndata\r\n0\r\ngrpc-status: 0\r\n\r\n"));
    says(GET);
    assert_int_equal(fix.service.n, 2);
}

static void a_promised_length_is_kept_or_the_call_fails(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 5};

    (void)state;
    says(GET);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, true), SP_INVALID);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_INVALID);
    assert_int_equal(recorder_send_text(request(0), "toolong", false), SP_INVALID);
    assert_int_equal(recorder_send_text(request(0), "few", true), SP_INVALID);
    recorder_release(request(0));
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_ABORT);
}

/* ---- Interim responses ---- */

static enum sp_err send_status(uint16_t status)
{
    struct http_head head = {.status = status};

    return http_stream_send_head(request(0)->s, &head, false);
}

static void interim_responses_go_before_the_final_one(void **state)
{
    (void)state;
    says(GET);
    assert_int_equal(send_status(103), SP_OK);
    assert_int_equal(send_status(100), SP_OK);
    assert_false(request(0)->s->head_sent);
    recorder_answer(request(0), 200, "ok");
    fake_net_turn();
    assert_string_equal(got(),
                        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" OK_2);
}

static void http_1_0_clients_get_no_interim_response(void **state)
{
    (void)state;
    says(KEEP_1_0);
    assert_int_equal(send_status(103), SP_OK);
    fake_net_turn();
    assert_string_equal(got(), "");
}

#define EXPECT "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"

static void the_body_follows_a_forwarded_100(void **state)
{
    (void)state;
    says(EXPECT);
    assert_true(request(0)->head.expect_continue);
    assert_int_equal(send_status(100), SP_OK);
    says("abc");
    assert_string_equal(told(0), "PUT:/ body end");
    recorder_answer(request(0), 200, "ok");
    fake_net_turn();
    assert_false(fix.client.got_end);
}

static void a_final_answer_without_100_ends_the_connection(void **state)
{
    (void)state;
    says(EXPECT);
    recorder_answer(request(0), 417, "no");
    fake_net_turn();
    assert_string_equal(got(), "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n"
                               "Connection: close\r\n\r\nno");
    assert_true(fix.client.got_end);
}

/* ---- Tunnels ---- */

#define UPGRADE "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void open_tunnel(void)
{
    struct http_head head = {.status = 101, .body = HTTP_BODY_TUNNEL};

    says(UPGRADE);
    assert_true(view_eq(request(0)->head.protocol, VIEW("websocket")));
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    fake_net_turn();
}

static void after_101_bytes_pass_both_ways(void **state)
{
    (void)state;
    open_tunnel();
    assert_string_equal(got(), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\n\r\n");
    says("GET / HTTP/1.1\r\n\r\n"); /* means nothing here */
    assert_string_equal(told(0), "GET:/ws end body");
    assert_int_equal(recorder_send_text(request(0), "pong", false), SP_OK);
    fake_net_turn();
    assert_true(ends_with(got(), "\r\n\r\npong"));
    assert_int_equal(fix.service.n, 1);
}

/* RFC 8441 5: an HTTP/2 backend gives no proof of a WebSocket key; this client waits for one. */
static void a_websocket_key_is_proved_for_a_backend_that_has_no_proof(void **state)
{
    struct http_head head = {.version = HTTP_VERSION_2, .status = 101, .body = HTTP_BODY_TUNNEL};

    (void)state;
    says("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    fake_net_turn();
    assert_string_equal(got(), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

static void bytes_behind_the_upgrade_request_are_the_tunnels(void **state)
{
    struct http_head head = {.status = 101, .body = HTTP_BODY_TUNNEL};

    (void)state;
    says(UPGRADE "early");
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ws end body");
    assert_string_equal(request(0)->body, "early");
}

static void each_side_of_a_tunnel_ends_by_itself(void **state)
{
    (void)state;
    open_tunnel();
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ws end end");
    assert_false(fix.client.closed);
    assert_int_equal(recorder_send_text(request(0), "bye", true), SP_OK);
    recorder_release(request(0));
    fake_net_turn();
    assert_true(ends_with(got(), "bye"));
    assert_true(fix.client.got_end);
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_CLEAN);
}

static void a_tunnel_needs_a_client_that_asked_for_it(void **state)
{
    struct http_head head = {.status = 101, .body = HTTP_BODY_TUNNEL};

    (void)state;
    says(GET);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_INVALID);
}

static void an_idle_tunnel_ends(void **state)
{
    (void)state;
    open_tunnel();
    fake_net_pass_ms(3599999);
    assert_false(fix.client.closed);
    fake_net_pass_ms(2);
    assert_string_equal(told(0), "GET:/ws end failed:tunnel_idle");
    assert_int_equal(fix.client.how, VC_CLOSE_ABORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        session_test(a_request_reaches_the_service_with_its_head),
        session_test(a_response_of_known_length_keeps_the_connection),
        session_test(bytes_may_come_one_at_a_time),
        session_test(a_body_has_exactly_its_length),
        session_test(pipelined_requests_are_answered_in_order),
        session_test(pipelined_requests_wait_for_a_client_that_does_not_read),
        session_test(two_empty_lines_in_front_are_forgiven_and_no_third),
        session_test(an_idle_connection_holds_no_memory_for_a_request),
        session_test(many_requests_on_one_connection_leave_nothing_behind),
        session_test(each_body_gets_the_framing_that_fits_the_client),
        session_test(fields_keep_order_and_spelling_and_lose_what_belongs_to_the_connection),
        session_test(trailers_follow_the_last_chunk),
        session_test(a_promised_length_is_kept_or_the_call_fails),
        session_test(interim_responses_go_before_the_final_one),
        session_test(http_1_0_clients_get_no_interim_response),
        session_test(the_body_follows_a_forwarded_100),
        session_test(a_final_answer_without_100_ends_the_connection),
        session_test(after_101_bytes_pass_both_ways),
        session_test(a_websocket_key_is_proved_for_a_backend_that_has_no_proof),
        session_test(bytes_behind_the_upgrade_request_are_the_tunnels),
        session_test(each_side_of_a_tunnel_ends_by_itself),
        session_test(a_tunnel_needs_a_client_that_asked_for_it),
        session_test(an_idle_tunnel_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
