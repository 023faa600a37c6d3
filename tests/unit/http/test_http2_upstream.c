/* Exchanges on a connection to a backend that speaks HTTP/2. How they end badly is in
 * test_http2_upstream_ends.c. */
#include "http2_upstream_fixture.h"

static void a_request_gets_its_response(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    assert_string_equal(heard(),
                        "HEADERS(1,:method=GET,:scheme=http,:authority=shop,:path=/x,END)");
    wire_head(1, 0, ":status 200", "content-length 2", "server x", NULL);
    wire_data(1, WIRE_END_STREAM, "ok");
    fake_net_turn();
    assert_string_equal(u->log, "head(200) body end");
    assert_string_equal(u->body, "ok");
    assert_int_equal(u->head.body, HTTP_BODY_LENGTH);
    assert_int_equal(owner.up->n_exchanges, 1);
    recorder_release(u);
    fake_net_turn();
    assert_int_equal(owner.up->n_exchanges, 0);
    assert_true(owner.n_changed > 0);
    assert_true(upstream_conn_has_room(owner.up));
}

static void exchanges_run_side_by_side(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_settings();
    a = begin_get(0);
    b = begin_get(1);
    assert_false(a->s->reused);
    assert_true(b->s->reused);
    wire_head(3, WIRE_END_STREAM, ":status 204", NULL);
    wire_head(1, 0, ":status 200", NULL);
    fake_net_turn();
    assert_string_equal(b->log, "head(204) end");
    assert_string_equal(a->log, "head(200)");
    recorder_release(b);
    wire_data(1, WIRE_END_STREAM, "x");
    fake_net_turn();
    assert_string_equal(a->log, "head(200) body end");
}

static void bodies_and_trailers_go_both_ways(void **state)
{
    struct http_field field = {.name = VIEW("X-Sum"), .value = VIEW("7")};
    struct http_fields trailers = {.v = &field, .n = 1};
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_upload(0);
    assert_string_equal(heard(), "HEADERS(1,:method=POST,:scheme=http,:authority=shop,:path=/x)");
    send_text(u, "abc", false);
    assert_string_equal(heard(), "DATA(1,3)");
    assert_int_equal(u->s->ops->send_trailers(u->s, &trailers), SP_OK);
    assert_string_equal(heard(), "HEADERS(1,x-sum=7,END)");
    wire_head(1, 0, ":status 200", "content-type application/grpc", NULL);
    wire_data(1, 0, "xyz");
    wire_head(1, WIRE_END_STREAM, "grpc-status 0", NULL);
    fake_net_turn();
    assert_string_equal(u->log, "head(200) body trailers(grpc-status=0)");
}

static void a_response_may_be_trailers_alone(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_upload(0);
    wire_head(1, WIRE_END_STREAM, ":status 200", "grpc-status 12", NULL);
    fake_net_turn();
    assert_string_equal(u->log, "head(200) end");
}

static void interim_responses_come_first(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    wire_head(1, 0, ":status 103", "link </a>", NULL);
    wire_head(1, 0, ":status 100", NULL);
    wire_head(1, WIRE_END_STREAM, ":status 404", NULL);
    fake_net_turn();
    assert_string_equal(u->log, "head(103) head(100) head(404) end");
}

static void a_length_is_announced_where_no_body_comes(void **state)
{
    struct http_head head = get_head();
    struct recorder *u;

    (void)state;
    server_settings();
    head.method = HTTP_METHOD_HEAD;
    head.method_text = VIEW("HEAD");
    u = begin(0);
    assert_int_equal(http_stream_send_head(u->s, &head, true), SP_OK);
    wire_head(1, 0, ":status 200", "content-length 1200", NULL);
    fake_net_turn();
    wire_data(1, WIRE_END_STREAM, "");
    fake_net_turn();
    assert_string_equal(u->log, "head(200) end");
    assert_int_equal(u->head.body, HTTP_BODY_LENGTH);
    assert_int_equal(u->head.content_length, 1200);
}

static void an_early_response_is_whole_without_the_rest_of_the_request(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_upload(0);
    send_text(u, "abc", false);
    wire_head(1, WIRE_END_STREAM, ":status 413", NULL);
    wire_reset(1, NGHTTP2_NO_ERROR);
    fake_net_turn();
    assert_string_equal(u->log, "head(413) end");
    recorder_release(u);
    fake_net_turn();
    assert_int_equal(owner.up->n_exchanges, 0);
}

/* ---- Tunnels ---- */

static void a_tunnel_waits_for_the_servers_word(void **state)
{
    struct recorder *u;

    (void)state;
    u = begin_tunnel(0);
    assert_string_equal(heard(), "");
    wire_setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    assert_string_equal(heard(), "SETTINGS+ACK HEADERS(1,:method=CONNECT,:protocol=websocket,"
                                 ":scheme=http,:authority=shop,:path=/x)");
    wire_head(1, 0, ":status 200", NULL);
    wire_data(1, 0, "hi");
    fake_net_turn();
    assert_string_equal(u->log, "head(101) body");
    assert_int_equal(u->head.body, HTTP_BODY_TUNNEL);
    assert_false(u->s->send_ended);
    send_text(u, "you", false);
    assert_string_equal(heard(), "DATA(1,3)");
    wire_data(1, WIRE_END_STREAM, "");
    send_text(u, "", true);
    assert_string_equal(heard(), "DATA(1,0,END)");
    assert_string_equal(u->log, "head(101) body end");
}

static void a_tunnel_that_is_refused_is_an_ordinary_answer(void **state)
{
    struct recorder *u;

    (void)state;
    server_setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    u = begin_tunnel(0);
    (void)heard();
    wire_head(1, 0, ":status 403", NULL);
    wire_data(1, WIRE_END_STREAM, "no");
    assert_string_equal(heard(), "DATA(1,0,END)");
    assert_string_equal(u->log, "head(403) body end");
    recorder_release(u);
    fake_net_turn();
    assert_int_equal(owner.up->n_exchanges, 0);
}

static void a_server_without_tunnels_is_not_asked(void **state)
{
    struct recorder *early = begin_tunnel(0), *late;

    (void)state;
    server_settings();
    assert_string_equal(early->log, "failed:tunnel_unsupported");
    late = begin_tunnel(1);
    assert_string_equal(late->log, "failed:tunnel_unsupported");
    assert_string_equal(heard(), "");
}

/* ---- Capacity ---- */

static void the_servers_limit_is_the_capacity(void **state)
{
    (void)state;
    assert_int_equal(owner.up->capacity, UPSTREAM_CONN_GUESS);
    server_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    assert_int_equal(owner.up->capacity, 1);
    assert_true(owner.n_changed > 0);
    (void)begin_get(0);
    assert_false(upstream_conn_has_room(owner.up));
    server_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000000);
    assert_int_equal(owner.up->capacity, 200); /* http2.max_streams */
    assert_true(upstream_conn_has_room(owner.up));
}

/* Else requests would gather there and wait, while another connection could be opened for them. */
static void what_the_server_has_said_before_is_expected(void **state)
{
    struct upstream_conn_owner other = {.changed = NULL, .gone = NULL};
    struct fake_peer peer = {0};
    struct upstream_conn *up = http2_upstream_new(
        fake_vc_connect(&peer),
        &(struct upstream_conn_options){.config = &conf, .backend = &backend_conf, .expected = 3},
        &other);

    (void)state;
    assert_non_null(up);
    assert_int_equal(up->capacity, 3);
    upstream_conn_close(up);
    fake_peer_ends(&peer, FAKE_EOF);
    fake_net_turn();
    assert_true(peer.closed);
    fake_peer_fini(&peer);
}

static void a_limit_that_shrinks_holds_requests_back(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    a = begin_get(0);
    (void)heard();
    server_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    b = begin_get(1); /* the owner had asked before it heard */
    assert_string_equal(heard(), "");
    wire_head(1, WIRE_END_STREAM, ":status 204", NULL);
    fake_net_turn();
    recorder_release(a);
    assert_string_equal(heard(),
                        "HEADERS(3,:method=GET,:scheme=http,:authority=shop,:path=/x,END)");
    wire_head(3, WIRE_END_STREAM, ":status 204", NULL);
    fake_net_turn();
    assert_string_equal(b->log, "head(204) end");
}

/* ---- Flow ---- */

static void a_paused_exchange_does_not_hold_up_its_neighbour(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_settings();
    a = begin_get(0);
    b = begin_get(1);
    a->s->ops->pause(a->s);
    wire_head(1, 0, ":status 200", NULL);
    wire_head(3, 0, ":status 200", NULL);
    wire_zeros(1, 0, 60000);
    wire_zeros(3, WIRE_END_STREAM, 60000);
    fake_net_turn();
    assert_string_equal(a->log, "head(200)");
    assert_string_equal(b->log, "head(200) body end");
    a->s->ops->resume(a->s);
    fake_net_turn();
    assert_string_equal(a->log, "head(200) body");
}

static void an_upload_waits_for_the_servers_window(void **state)
{
    struct recorder *u;

    (void)state;
    server_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4);
    u = begin_upload(0);
    (void)heard();
    send_text(u, "abcdef", true);
    assert_string_equal(heard(), "DATA(1,4)");
    assert_int_equal(u->s->ops->send_queued(u->s), 2);
    wire_window(1, 10);
    assert_string_equal(heard(), "DATA(1,2,END)");
}

/* ---- The owner ---- */

static void an_unused_connection_is_closed_with_a_word(void **state)
{
    (void)state;
    server_settings();
    upstream_conn_close(owner.up);
    owner.up = NULL;
    assert_string_equal(heard(), "GOAWAY(0,NO_ERROR)");
    assert_true(backend.got_end);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_true(backend.closed);
    assert_int_equal(owner.n_gone, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        upstream_test(a_request_gets_its_response),
        upstream_test(exchanges_run_side_by_side),
        upstream_test(bodies_and_trailers_go_both_ways),
        upstream_test(a_response_may_be_trailers_alone),
        upstream_test(interim_responses_come_first),
        upstream_test(a_length_is_announced_where_no_body_comes),
        upstream_test(an_early_response_is_whole_without_the_rest_of_the_request),
        upstream_test(a_tunnel_waits_for_the_servers_word),
        upstream_test(a_tunnel_that_is_refused_is_an_ordinary_answer),
        upstream_test(a_server_without_tunnels_is_not_asked),
        upstream_test(the_servers_limit_is_the_capacity),
        upstream_test(what_the_server_has_said_before_is_expected),
        upstream_test(a_limit_that_shrinks_holds_requests_back),
        upstream_test(a_paused_exchange_does_not_hold_up_its_neighbour),
        upstream_test(an_upload_waits_for_the_servers_window),
        upstream_test(an_unused_connection_is_closed_with_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
