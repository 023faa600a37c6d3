/* How exchanges with an HTTP/2 backend end badly, and which of them may be tried again. */
#include "failing_alloc.h"
#include "http2_upstream_fixture.h"

#include <sallyport/base/metrics.h>

/* ---- Not acted on ---- */

static void a_refused_stream_says_so(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_upload(0);
    wire_reset(1, NGHTTP2_REFUSED_STREAM);
    fake_net_turn();
    assert_string_equal(u->log, "failed:upstream_refused");
    recorder_release(u);
    fake_net_turn();
    assert_true(upstream_conn_has_room(owner.up));
}

static void goaway_refuses_what_comes_behind_its_last_stream(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_settings();
    a = begin_get(0);
    b = begin_get(1);
    say_goaway(1, NGHTTP2_NO_ERROR);
    assert_string_equal(b->log, "failed:upstream_refused");
    assert_string_equal(a->log, "");
    assert_true(owner.up->draining);
    assert_false(upstream_conn_has_room(owner.up));
    recorder_release(b);
    wire_head(1, WIRE_END_STREAM, ":status 204", NULL);
    fake_net_turn();
    assert_string_equal(a->log, "head(204) end");
    recorder_release(a);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 1);
}

static void goaway_ends_an_unused_connection(void **state)
{
    (void)state;
    server_settings();
    say_goaway(0, NGHTTP2_NO_ERROR);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 1);
}

/* What a user that tries again at once finds. */
static void find_no_room(struct recorder *r, const char *event)
{
    (void)r;
    if (strncmp(event, "failed", 6) == 0)
        assert_false(upstream_conn_has_room(owner.up));
}

static void who_is_refused_finds_no_room_there(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    u->on_event = find_no_room;
    say_goaway(0, NGHTTP2_NO_ERROR);
    assert_string_equal(u->log, "failed:upstream_refused");
}

static void who_loses_the_connection_finds_no_room_there(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    u->on_event = find_no_room;
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(u->log, "failed:upstream_closed");
}

/* ---- Acted on, perhaps ---- */

static void a_reset_before_an_answer_is_not_taken_for_refused(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    wire_reset(1, NGHTTP2_INTERNAL_ERROR);
    fake_net_turn();
    assert_string_equal(u->log, "failed:upstream_reset");
}

static void refused_after_an_interim_response_was_begun(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    wire_head(1, 0, ":status 103", NULL);
    fake_net_turn();
    wire_reset(1, NGHTTP2_REFUSED_STREAM);
    fake_net_turn();
    assert_string_equal(u->log, "head(103) failed:upstream_reset");
}

static void a_reset_in_the_middle_cuts_the_response(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    wire_head(1, 0, ":status 200", NULL);
    wire_data(1, 0, "ab");
    fake_net_turn();
    wire_reset(1, NGHTTP2_CANCEL);
    fake_net_turn();
    assert_string_equal(u->log, "head(200) body failed:upstream_cut");
}

static void the_end_of_the_connection_fails_each_in_its_way(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_settings();
    a = begin_get(0);
    b = begin_get(1);
    wire_head(1, 0, ":status 200", NULL);
    fake_net_turn();
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(a->log, "head(200) failed:upstream_cut");
    assert_string_equal(b->log, "failed:upstream_closed");
    assert_int_equal(owner.n_gone, 0); /* users still hold streams */
    recorder_release(a);
    recorder_release(b);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 1);
}

static void a_whole_response_survives_the_connection(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    u->s->ops->pause(u->s);
    wire_head(1, 0, ":status 200", "content-length 2", NULL);
    wire_data(1, WIRE_END_STREAM, "ok");
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    u->s->ops->resume(u->s);
    fake_net_turn();
    assert_string_equal(u->log, "head(200) body end");
}

/* ---- Malformed ---- */

static void malformed(const char *f1, const char *f2, const char *data)
{
    struct recorder *u;

    server_settings();
    u = begin_get(0);
    (void)heard();
    wire_head(1, 0, f1, f2, NULL);
    if (data != NULL)
        wire_data(1, WIRE_END_STREAM, data);
    assert_string_equal(heard(), "RST(1,PROTOCOL_ERROR)");
    assert_string_equal(u->log, "failed:upstream_bad_response");
    recorder_release(u);
    fake_net_turn();
    assert_true(upstream_conn_has_room(owner.up)); /* the connection lives on */
}

static void a_head_without_status_is_malformed(void **state)
{
    (void)state;
    malformed("server x", NULL, NULL);
}

static void a_connection_field_is_malformed(void **state)
{
    (void)state;
    malformed(":status 200", "transfer-encoding chunked", NULL);
}

static void more_data_than_its_length_is_malformed(void **state)
{
    (void)state;
    malformed(":status 200", "content-length 1", "ab");
}

static void less_data_than_its_length_is_malformed(void **state)
{
    (void)state;
    malformed(":status 200", "content-length 3", "ab");
}

static void a_switch_of_protocols_is_malformed(void **state)
{
    (void)state;
    malformed(":status 101", NULL, NULL);
}

static void endless_interim_responses_are_malformed(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    for (int i = 0; i < 17; i++)
        wire_head(1, 0, ":status 103", NULL);
    fake_net_turn();
    assert_non_null(strstr(u->log, "failed:upstream_bad_response"));
}

static void a_head_over_the_limits_says_so(void **state)
{
    struct recorder *u;
    char field[3000] = "x ";

    (void)state;
    memset(field + 2, 'a', sizeof(field) - 3);
    server_settings();
    u = begin_get(0);
    (void)heard();
    wire_head(1, 0, ":status 200", field, NULL);
    assert_string_equal(heard(), "RST(1,CANCEL)");
    assert_string_equal(u->log, "failed:upstream_head_too_large");
}

/* ---- Aborts ---- */

static void an_abort_resets_one_exchange(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_settings();
    a = begin_get(0);
    b = begin_get(1);
    (void)heard();
    a->s->ops->abort(a->s, HTTP_ERROR_CLIENT_CLOSED);
    recorder_release(a);
    assert_string_equal(heard(), "RST(1,CANCEL)");
    wire_head(1, WIRE_END_STREAM, ":status 200", NULL); /* crossed on the way */
    wire_head(3, WIRE_END_STREAM, ":status 200", NULL);
    fake_net_turn();
    assert_string_equal(b->log, "head(200) end");
    assert_int_equal(owner.up->n_exchanges, 1);
}

static void a_release_in_the_middle_cancels(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    wire_head(1, 0, ":status 200", NULL);
    (void)heard();
    recorder_release(u);
    assert_string_equal(heard(), "RST(1,CANCEL)");
    assert_int_equal(owner.up->n_exchanges, 0);
}

/* ---- Time ---- */

/* Seconds in which the server says nothing but that it is there. */
static void pass_seconds(int n)
{
    for (int i = 0; i < n; i++) {
        fake_net_pass_ms(1000);
        if (strstr(wire_heard(), "PING") != NULL)
            wire_frame(NGHTTP2_PING, WIRE_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    }
    fake_net_turn();
}

static void an_answer_that_does_not_come_times_out(void **state)
{
    struct recorder *a, *b;

    (void)state;
    server_settings();
    a = begin_get(0);
    b = begin_upload(1); /* its request is not whole: the server owes nothing yet */
    (void)heard();
    pass_seconds(59);
    assert_string_equal(a->log, "");
    fake_net_pass_slowly_ms(2000, 1000);
    assert_string_equal(a->log, "failed:upstream_timeout");
    assert_string_equal(b->log, "");
    assert_string_equal(heard(), "RST(1,CANCEL)");
}

static void a_body_that_stops_times_out(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    wire_head(1, 0, ":status 200", NULL);
    wire_data(1, 0, "x");
    (void)heard();
    pass_seconds(29);
    assert_string_equal(u->log, "head(200) body");
    fake_net_pass_slowly_ms(3000, 1000);
    assert_string_equal(u->log, "head(200) body failed:upstream_timeout");
}

static void a_server_that_takes_nothing_times_out(void **state)
{
    struct recorder *u;

    (void)state;
    server_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    u = begin_upload(0);
    send_text(u, "abc", true);
    (void)heard();
    pass_seconds(31);
    assert_string_equal(u->log, "failed:upstream_timeout");
}

/* ---- Liveness ---- */

static void silence_is_asked_whether_anybody_is_there(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    (void)heard();
    fake_net_pass_slowly_ms(9000, 1000);
    assert_string_equal(wire_heard(), "");
    fake_net_pass_slowly_ms(2000, 1000);
    assert_string_equal(wire_heard(), "PING");
    wire_frame(NGHTTP2_PING, WIRE_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    fake_net_turn();
    fake_net_pass_slowly_ms(40000, 1000); /* gRPC's servers allow one in five minutes */
    assert_string_equal(wire_heard(), "");
    assert_string_equal(u->log, "");
}

static void no_answer_to_a_ping_is_the_end(void **state)
{
    struct recorder *u;

    (void)state;
    server_settings();
    u = begin_get(0);
    fake_net_pass_slowly_ms(11000, 1000);
    fake_net_pass_slowly_ms(16000, 1000);
    assert_string_equal(u->log, "failed:upstream_closed");
    recorder_release(u);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 1);
}

static void a_request_on_a_silent_connection_asks_as_well(void **state)
{
    (void)state;
    server_settings();
    fake_net_pass_ms(20000);
    assert_string_equal(heard(), "");
    (void)begin_get(0);
    assert_string_equal(heard(),
                        "PING HEADERS(1,:method=GET,:scheme=http,:authority=shop,:path=/x,END)");
}

/* ---- Floods ---- */

static void a_server_that_resets_everything_loses_the_connection(void **state)
{
    (void)state;
    for (size_t id = 0; id < HTTP2_BUDGET_COUNT; id++)
        conf.http2.budgets.allowance[id] = 0;
    server_settings();
    for (uint32_t i = 0; i < 20000 && owner.up != NULL; i++)
        wire_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    fake_net_turn();
    assert_non_null(strstr(wire_heard(), "GOAWAY(0,ENHANCE_YOUR_CALM,pings)"));
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 1);
}

/* ---- Memory ---- */

static void each_allocation_may_fail(void **state)
{
    unsigned nth = 0;
    bool hit = true;

    (void)state;
    for (; hit && nth < 500; nth++) {
        struct http_head head = get_head();

        if (owner.up == NULL) {
            (void)fixture_teardown(NULL);
            (void)fixture_setup(NULL);
        }
        failing_alloc_arm(nth);
        users[0] = (struct recorder){.super.ops = &recorder_ops};
        users[0].s = upstream_conn_request(owner.up, &options, &users[0].super);
        if (users[0].s != NULL && http_stream_send_head(users[0].s, &head, true) == SP_OK)
            fake_net_turn();
        hit = failing_alloc_hit();
        if (users[0].s != NULL)
            recorder_release(&users[0]);
        fake_net_turn();
        (void)wire_heard();
    }
    assert_true(nth > 1);
    assert_false(hit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        upstream_test(a_refused_stream_says_so),
        upstream_test(goaway_refuses_what_comes_behind_its_last_stream),
        upstream_test(goaway_ends_an_unused_connection),
        upstream_test(who_is_refused_finds_no_room_there),
        upstream_test(who_loses_the_connection_finds_no_room_there),
        upstream_test(a_reset_before_an_answer_is_not_taken_for_refused),
        upstream_test(refused_after_an_interim_response_was_begun),
        upstream_test(a_reset_in_the_middle_cuts_the_response),
        upstream_test(the_end_of_the_connection_fails_each_in_its_way),
        upstream_test(a_whole_response_survives_the_connection),
        upstream_test(a_head_without_status_is_malformed),
        upstream_test(a_connection_field_is_malformed),
        upstream_test(more_data_than_its_length_is_malformed),
        upstream_test(less_data_than_its_length_is_malformed),
        upstream_test(a_switch_of_protocols_is_malformed),
        upstream_test(endless_interim_responses_are_malformed),
        upstream_test(a_head_over_the_limits_says_so),
        upstream_test(an_abort_resets_one_exchange),
        upstream_test(a_release_in_the_middle_cancels),
        upstream_test(an_answer_that_does_not_come_times_out),
        upstream_test(a_body_that_stops_times_out),
        upstream_test(a_server_that_takes_nothing_times_out),
        upstream_test(silence_is_asked_whether_anybody_is_there),
        upstream_test(no_answer_to_a_ping_is_the_end),
        upstream_test(a_request_on_a_silent_connection_asks_as_well),
        upstream_test(a_server_that_resets_everything_loses_the_connection),
        upstream_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
