/* Time limits, early answers, tunnels, back-pressure, and users that let go of a backend. */
#include "failing_alloc.h"
#include "upstream_fixture.h"

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* ---- Time limits ---- */

static void a_backend_that_does_not_answer_in_time_fails(void **state)
{
    (void)state;
    begin_get();
    fake_net_pass_ms(59999);
    assert_string_equal(user.log, "");
    fake_net_pass_ms(2);
    assert_string_equal(user.log, "failed:upstream_timeout");
    assert_true(backend.closed);
    assert_int_equal(owner.n_gone, 0);
    recorder_release(&user);
    assert_int_equal(owner.n_gone, 1);
}

static void the_deadline_is_for_the_whole_head(void **state)
{
    (void)state;
    begin_get();
    for (int i = 0; i < 59; i++) {
        says(i == 0 ? "HTTP/1.1 200 OK\r\n" : "X: 1\r\n");
        fake_net_pass_ms(1000);
    }
    assert_string_equal(user.log, "");
    fake_net_pass_ms(1001);
    assert_string_equal(user.log, "failed:upstream_timeout");
}

static void the_deadline_starts_when_the_request_is_sent(void **state)
{
    (void)state;
    begin_upload();
    fake_net_pass_ms(3600000); /* our client takes its time */
    assert_string_equal(user.log, "");
    assert_int_equal(recorder_send_text(&user, "x", true), SP_OK);
    fake_net_turn();
    fake_net_pass_ms(59999);
    assert_string_equal(user.log, "");
    fake_net_pass_ms(2);
    assert_string_equal(user.log, "failed:upstream_timeout");
}

static void a_backend_that_stops_taking_the_request_fails(void **state)
{
    (void)state;
    begin_upload();
    backend.takes = 100;
    assert_int_equal(recorder_send_zeros(&user, 1000, false), SP_OK);
    fake_net_turn();
    fake_net_pass_ms(29999);
    assert_string_equal(user.log, "");
    fake_net_pass_ms(2);
    assert_string_equal(user.log, "failed:upstream_timeout");
}

static void a_body_must_go_on_unless_we_paused_it(void **state)
{
    (void)state;
    begin_get();
    says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    user.s->ops->pause(user.s);
    fake_net_pass_ms(3600000);
    assert_string_equal(user.log, "head(200) body");
    user.s->ops->resume(user.s);
    fake_net_turn();
    fake_net_pass_ms(29999);
    assert_string_equal(user.log, "head(200) body");
    fake_net_pass_ms(2);
    assert_string_equal(user.log, "head(200) body failed:upstream_timeout");
}

/* ---- Answers before the request's end ---- */

static void after_an_early_answer_the_rest_goes_nowhere(void **state)
{
    (void)state;
    begin_upload();
    assert_int_equal(recorder_send_text(&user, "abc", false), SP_OK);
    fake_net_turn();
    says("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    assert_string_equal(user.log, "head(413) body end");
    assert_int_equal(recorder_send_text(&user, "def", true), SP_OK);
    fake_net_turn();
    assert_true(ends_with(backend.got, "abc\r\n"));
    recorder_release(&user);
    assert_int_equal(owner.n_gone, 1);
    assert_int_equal(backend.how, VC_CLOSE_ABORT);
}

static void an_answer_is_read_although_the_request_cannot_be_sent(void **state)
{
    (void)state;
    begin_upload();
    backend.write_error = true;
    assert_int_equal(recorder_send_text(&user, "abc", false), SP_OK);
    fake_net_turn();
    assert_string_equal(user.log, "");
    assert_int_equal(recorder_send_text(&user, "def", false), SP_OK);
    says("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\nno");
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(user.log, "head(413) body end");
}

static void without_an_answer_a_failed_write_is_a_closed_connection(void **state)
{
    (void)state;
    finish_get();
    begin();
    backend.write_error = true;
    assert_int_equal(http_stream_send_head(user.s,
                                           &(struct http_head){.method = HTTP_METHOD_GET,
                                                               .method_text = VIEW("GET"),
                                                               .path = VIEW("/")},
                                           true),
                     SP_OK);
    fake_net_turn();
    fake_peer_ends(&backend, FAKE_RESET);
    fake_net_turn();
    assert_string_equal(user.log, "failed:upstream_closed");
}

static void a_silent_backend_behind_a_failed_write_is_not_waited_for_without_end(void **state)
{
    (void)state;
    begin_upload();
    backend.write_error = true;
    assert_int_equal(recorder_send_text(&user, "abc", false), SP_OK);
    fake_net_turn();
    fake_net_pass_ms(60001);
    assert_string_equal(user.log, "failed:upstream_timeout");
}

/* ---- Tunnels ---- */

static void begin_tunnel(bool end)
{
    struct http_head head = get_head();

    head.protocol = VIEW("websocket");
    begin();
    assert_int_equal(http_stream_send_head(user.s, &head, end), SP_OK);
    fake_net_turn();
}

#define SWITCHING \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void after_101_bytes_pass_both_ways(void **state)
{
    (void)state;
    begin_tunnel(true);
    assert_int_equal(recorder_send_text(&user, "early", false), SP_INVALID);
    says(SWITCHING "first");
    assert_string_equal(user.log, "head(101) body");
    assert_int_equal(user.head.body, HTTP_BODY_TUNNEL);
    assert_true(view_eq(user.head.protocol, VIEW("websocket")));
    assert_false(user.s->send_ended);
    assert_int_equal(recorder_send_text(&user, "ping", false), SP_OK);
    fake_net_turn();
    assert_true(ends_with(backend.got, "\r\n\r\nping"));
    assert_int_equal(recorder_send_text(&user, "bye", true), SP_OK);
    fake_net_turn();
    assert_true(backend.got_end);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(user.log, "head(101) body end");
    recorder_release(&user);
    assert_int_equal(owner.n_gone, 1);
}

static void a_tunnel_ends_on_the_backends_side_first(void **state)
{
    (void)state;
    begin_tunnel(false);
    says(SWITCHING);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(user.log, "head(101) end");
    assert_int_equal(recorder_send_text(&user, "still", false), SP_OK);
    fake_net_turn();
    assert_true(ends_with(backend.got, "still"));
}

static void the_last_bytes_into_a_tunnel_are_sent_after_release(void **state)
{
    (void)state;
    begin_tunnel(true);
    says(SWITCHING);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    backend.takes = 1;
    assert_int_equal(recorder_send_text(&user, "bye", true), SP_OK);
    recorder_release(&user);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 0);
    fake_peer_takes(&backend, SIZE_MAX);
    fake_net_turn();
    assert_true(ends_with(backend.got, "bye"));
    assert_int_equal(owner.n_gone, 1);
    assert_int_equal(backend.how, VC_CLOSE_CLEAN);
}

static void a_backend_that_does_not_take_them_is_cut(void **state)
{
    (void)state;
    begin_tunnel(true);
    says(SWITCHING);
    fake_peer_ends(&backend, FAKE_EOF);
    fake_net_turn();
    backend.takes = 1;
    assert_int_equal(recorder_send_text(&user, "bye", true), SP_OK);
    recorder_release(&user);
    fake_net_turn();
    fake_net_pass_slowly_ms(61000, 1000);
    assert_int_equal(owner.n_gone, 1);
    assert_int_equal(backend.how, VC_CLOSE_ABORT);
}

static void a_reset_tunnel_fails(void **state)
{
    (void)state;
    begin_tunnel(true);
    says(SWITCHING);
    fake_peer_ends(&backend, FAKE_RESET);
    fake_net_turn();
    assert_string_equal(user.log, "head(101) failed:upstream_cut");
}

static void a_refused_tunnel_is_an_ordinary_exchange(void **state)
{
    (void)state;
    begin_tunnel(true);
    says(OK_2);
    assert_string_equal(user.log, "head(200) body end");
    recorder_release(&user);
    assert_int_equal(owner.n_idle, 1);
}

/* ---- Back-pressure ---- */

static void a_paused_body_is_left_with_the_backend(void **state)
{
    static char bytes[102400];

    (void)state;
    begin_get();
    says("HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n");
    user.s->ops->pause(user.s);
    fake_peer_says_bytes(&backend, bytes, sizeof(bytes));
    fake_net_turn();
    assert_int_equal(user.n_body, 0);
    assert_int_equal(backend.n_says, 102400 - IOBUF_SMALL_BYTES); /* the first read */
    user.s->ops->resume(user.s);
    assert_int_equal(user.n_body, 0);
    fake_net_turn();
    assert_int_equal(user.n_body, 102400);
    assert_string_equal(user.log, "head(200) body end");
}

static void what_arrived_before_a_reset_is_still_told(void **state)
{
    (void)state;
    begin_get();
    says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12");
    user.s->ops->pause(user.s);
    fake_peer_says(&backend, "34");
    fake_peer_ends(&backend, FAKE_RESET);
    fake_net_turn();
    assert_string_equal(user.log, "head(200) body");
    user.s->ops->resume(user.s);
    fake_net_turn();
    assert_string_equal(user.log, "head(200) body end");
    recorder_release(&user);
    assert_int_equal(owner.n_gone, 1);
}

static void writable_is_told_when_half_of_the_bound_is_left(void **state)
{
    (void)state;
    begin_upload();
    backend.takes = 0;
    assert_int_equal(recorder_send_zeros(&user, 20000, false), SP_OK);
    fake_net_turn();
    fake_peer_takes(&backend, 10000);
    fake_net_turn();
    assert_string_equal(user.log, "");
    fake_peer_takes(&backend, SIZE_MAX);
    fake_net_turn();
    assert_string_equal(user.log, "writable");
    assert_int_equal(user.s->ops->send_queued(user.s), 0);
}

/* ---- Letting go ---- */

static void abort_cuts_and_release_tells_the_owner(void **state)
{
    (void)state;
    begin_get();
    user.s->ops->abort(user.s, HTTP_ERROR_CLIENT_CLOSED);
    assert_true(backend.closed);
    assert_int_equal(backend.how, VC_CLOSE_ABORT);
    assert_null(user.s->vc);
    assert_int_equal(recorder_send_text(&user, "x", false), SP_INVALID);
    fake_net_turn();
    assert_int_equal(owner.n_gone, 0);
    recorder_release(&user);
    assert_int_equal(owner.n_gone, 1);
}

static void release_before_the_response_ends_the_connection(void **state)
{
    (void)state;
    begin_get();
    says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012");
    recorder_release(&user);
    assert_int_equal(owner.n_gone, 1);
    assert_int_equal(owner.n_idle, 0);
}

static void release_on(struct recorder *r, const char *event)
{
    if (strcmp(event, r->act_on) == 0)
        recorder_release(r);
}

static void abort_on(struct recorder *r, const char *event)
{
    if (strcmp(event, r->act_on) == 0)
        r->s->ops->abort(r->s, HTTP_ERROR_CLIENT_CLOSED);
}

static const char *const events[] = {"head", "body", "trailers", "end", "failed"};

static void talk_until(recorder_hook hook, const char *event)
{
    user.on_event = hook;
    user.act_on = event;
    begin_get();
    fake_peer_says(&backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    fake_net_turn();
    if (strcmp(event, "failed") == 0)
        says("zz");
    else if (strcmp(event, "trailers") == 0)
        says("1\r\ny\r\n0\r\nT: v\r\n\r\n");
    else
        says("0\r\n\r\n");
}

static void a_user_may_release_in_any_event(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(events); i++) {
        bool whole = strcmp(events[i], "end") == 0 || strcmp(events[i], "trailers") == 0;

        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        talk_until(release_on, events[i]);
        assert_null(user.s);
        assert_int_equal(owner.n_idle, whole);
        assert_int_equal(owner.n_gone, !whole);
        if (i + 1 < SP_COUNT_OF(events))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

static void a_user_may_abort_in_any_event(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(events); i++) {
        size_t n_told;

        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        talk_until(abort_on, events[i]);
        assert_true(backend.closed);
        n_told = strlen(user.log);
        fake_net_pass_ms(100000);
        assert_int_equal(strlen(user.log), n_told);
        recorder_release(&user);
        assert_int_equal(owner.n_gone, 1);
        if (i + 1 < SP_COUNT_OF(events))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

/* The owner hands the connection out again at once. */
static struct recorder next_user;

static void use_again(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    struct http_head head = get_head();

    (void)o;
    owner.n_idle++;
    if (owner.n_idle > 1)
        return;
    next_user = (struct recorder){.super.ops = &recorder_ops};
    next_user.s = upstream_conn_request(up, &options, &next_user.super);
    assert_int_equal(http_stream_send_head(next_user.s, &head, true), SP_OK);
}

static void an_idle_connection_may_be_used_again_at_once(void **state)
{
    (void)state;
    owner.super.changed = use_again;
    user.on_event = release_on;
    user.act_on = "end";
    begin_get();
    says(OK_2);
    assert_null(user.s);
    says(OK_2);
    assert_string_equal(next_user.log, "head(200) body end");
    recorder_release(&next_user);
    assert_int_equal(owner.n_idle, 2);
}

/* ---- Memory ---- */

static bool talk_with_failing_alloc(unsigned nth)
{
    struct http_head head = get_head();
    bool hit, whole;

    head.body = HTTP_BODY_LENGTH;
    head.content_length = 3;
    begin();
    iobuf_thread_fini(); /* so that every block is allocated */
    failing_alloc_arm(nth);
    if (http_stream_send_head(user.s, &head, false) == SP_OK) {
        struct iobuf data;

        iobuf_init(&data);
        if (iobuf_append(&data, "abc", 3) != SP_OK ||
            http_stream_send_body(user.s, &data, true) != SP_OK)
            user.s->ops->abort(user.s, HTTP_ERROR_NOMEM);
        iobuf_clear(&data);
    } else {
        user.s->ops->abort(user.s, HTTP_ERROR_NOMEM);
    }
    fake_net_turn();
    fake_peer_says(&backend, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n");
    fake_net_turn();
    hit = failing_alloc_hit();
    whole = strcmp(user.log, "head(103) head(200) body trailers(T=v)") == 0;
    recorder_release(&user);
    fake_net_turn();
    assert_true(hit || whole);
    assert_int_equal(owner.n_idle, whole);
    assert_int_equal(owner.n_gone, !whole);
    return !hit;
}

static void the_process_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0; !talk_with_failing_alloc(nth); nth++) {
        assert_true(nth < 1000);
        assert_int_equal(fixture_teardown(state), 0);
        assert_int_equal(fixture_setup(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        upstream_test(a_backend_that_does_not_answer_in_time_fails),
        upstream_test(the_deadline_is_for_the_whole_head),
        upstream_test(the_deadline_starts_when_the_request_is_sent),
        upstream_test(a_backend_that_stops_taking_the_request_fails),
        upstream_test(a_body_must_go_on_unless_we_paused_it),
        upstream_test(after_an_early_answer_the_rest_goes_nowhere),
        upstream_test(an_answer_is_read_although_the_request_cannot_be_sent),
        upstream_test(without_an_answer_a_failed_write_is_a_closed_connection),
        upstream_test(a_silent_backend_behind_a_failed_write_is_not_waited_for_without_end),
        upstream_test(after_101_bytes_pass_both_ways),
        upstream_test(a_tunnel_ends_on_the_backends_side_first),
        upstream_test(the_last_bytes_into_a_tunnel_are_sent_after_release),
        upstream_test(a_backend_that_does_not_take_them_is_cut),
        upstream_test(a_reset_tunnel_fails),
        upstream_test(a_refused_tunnel_is_an_ordinary_exchange),
        upstream_test(a_paused_body_is_left_with_the_backend),
        upstream_test(what_arrived_before_a_reset_is_still_told),
        upstream_test(writable_is_told_when_half_of_the_bound_is_left),
        upstream_test(abort_cuts_and_release_tells_the_owner),
        upstream_test(release_before_the_response_ends_the_connection),
        upstream_test(a_user_may_release_in_any_event),
        upstream_test(a_user_may_abort_in_any_event),
        upstream_test(an_idle_connection_may_be_used_again_at_once),
        upstream_test(the_process_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
