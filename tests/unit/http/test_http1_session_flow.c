/* Back-pressure, users that let go in the middle of things, and memory that runs out. */
#include "failing_alloc.h"
#include "session_fixture.h"

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

/* ---- Back-pressure ---- */

static void upload(size_t n)
{
    static char bytes[1024];

    memset(bytes, 'x', sizeof(bytes));
    for (size_t at = 0; at < n; at += sizeof(bytes))
        fake_peer_says_bytes(&fix.client, bytes, sizeof(bytes));
    fake_net_turn();
}

static void a_paused_body_is_left_with_the_client(void **state)
{
    struct http_stream *s;

    (void)state;
    says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 102400\r\n\r\n");
    s = request(0)->s;
    s->ops->pause(s);
    upload(102400);
    assert_int_equal(request(0)->n_body, 0);
    assert_int_equal(fix.client.n_says, 102400 - 16384);
    s->ops->resume(s);
    assert_int_equal(request(0)->n_body, 0); /* never inside the call */
    fake_net_turn();
    assert_string_equal(told(0), "POST:/ body end");
    assert_int_equal(request(0)->n_body, 102400);
}

static void pause_in_body(struct recorder *r, const char *event)
{
    if (strcmp(event, "body") == 0)
        r->s->ops->pause(r->s);
}

static void a_user_may_pause_inside_the_event(void **state)
{
    (void)state;
    fix.service.on_event = pause_in_body;
    fix.client.piece = 100;
    says(CHUNKED "5\r\nfirst\r\n");
    assert_string_equal(request(0)->body, "first");
    says("6\r\nsecond\r\n0\r\n\r\n");
    assert_string_equal(told(0), "POST:/ body");
    request(0)->s->ops->resume(request(0)->s);
    fake_net_turn();
    assert_string_equal(request(0)->body, "firstsecond");
    assert_string_equal(told(0), "POST:/ body end");
}

static void writable_is_told_when_half_of_the_bound_is_left(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_TO_CLOSE};
    struct http_stream *s;

    (void)state;
    fix.client.takes = 0;
    says("GET / HTTP/1.0\r\n\r\n");
    s = request(0)->s;
    assert_int_equal(http_stream_send_head(s, &head, false), SP_OK);
    assert_int_equal(recorder_send_zeros(request(0), 20000, false), SP_OK);
    fake_net_turn();
    assert_true(s->ops->send_queued(s) > s->queue_bound);
    fake_peer_takes(&fix.client, 10000);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end");
    fake_peer_takes(&fix.client, 2000);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end writable");
    fake_peer_takes(&fix.client, SIZE_MAX);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end writable");
    assert_int_equal(s->ops->send_queued(s), 0);
}

static void single_bytes_do_not_hold_blocks_of_their_own(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};
    struct iobuf_usage usage;

    (void)state;
    fix.client.takes = 0;
    says(GET);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(recorder_send_text(request(0), "x", false), SP_OK);
    usage = iobuf_usage();
    assert_in_range(usage.small_blocks, 1, 5);
    assert_int_equal(usage.large_blocks, 0);
}

/* ---- Letting go inside events ---- */

static void release_on(struct recorder *r, const char *event)
{
    if (strcmp(event, r->act_on) == 0)
        recorder_release(r);
}

static void abort_on(struct recorder *r, const char *event)
{
    if (strcmp(event, r->act_on) == 0)
        r->s->ops->abort(r->s, HTTP_ERROR_INTERNAL);
}

static void answer_on(struct recorder *r, const char *event)
{
    if (strcmp(event, r->act_on) == 0)
        recorder_answer(r, 200, "ok");
}

static const char *const chunked_events[] = {"request", "body", "trailers"};

static void talk_until(recorder_hook hook, const char *event)
{
    fix.service.on_request = hook;
    fix.service.on_event = hook;
    fix.service.act_on = event;
    says(CHUNKED "3\r\nabc\r\n");
    says("3\r\nabc\r\n0\r\nT: v\r\n\r\n" GET);
}

static void a_user_may_release_in_any_event(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(chunked_events); i++) {
        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        talk_until(release_on, chunked_events[i]);
        assert_null(request(0)->s);
        assert_true(fix.client.closed);
        assert_int_equal(fix.service.n, 1);
        if (i + 1 < SP_COUNT_OF(chunked_events))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

static void a_user_may_abort_in_any_event_and_hears_nothing_after_it(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(chunked_events); i++) {
        size_t n_told;

        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        talk_until(abort_on, chunked_events[i]);
        assert_true(fix.client.closed);
        n_told = strlen(told(0));
        fake_net_pass_ms(100000);
        assert_int_equal(strlen(told(0)), n_told);
        recorder_release(request(0));
        if (i + 1 < SP_COUNT_OF(chunked_events))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

static void a_user_may_answer_in_any_event(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(chunked_events); i++) {
        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        talk_until(answer_on, chunked_events[i]);
        assert_true(ends_with(got(), "ok"));
        /* Before the body's end an answer is the connection's last. */
        assert_int_equal(fix.service.n, i == 2 ? 2 : 1);
        assert_int_equal(fix.client.got_end, i < 2);
        if (i + 1 < SP_COUNT_OF(chunked_events))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

static void a_user_may_release_when_told_of_writable_or_failure(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};

    fix.service.on_event = release_on;
    fix.service.act_on = "writable";
    fix.client.takes = 0;
    says(GET);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_int_equal(recorder_send_zeros(request(0), 20000, false), SP_OK);
    fake_peer_takes(&fix.client, SIZE_MAX);
    fake_net_turn();
    assert_true(fix.client.closed);
    assert_int_equal(fixture_teardown(state), 0);

    assert_int_equal(fixture_setup(state), 0);
    fix.service.on_event = release_on;
    fix.service.act_on = "failed";
    says(GET);
    fake_peer_ends(&fix.client, FAKE_RESET);
    fake_net_turn();
    assert_null(request(0)->s);
}

static void forget_user(struct recorder *r, const char *event)
{
    (void)event;
    r->s->user = NULL;
    r->s = NULL;
}

static void a_request_that_nobody_takes_is_aborted(void **state)
{
    (void)state;
    fix.service.on_request = forget_user;
    says(GET);
    assert_true(fix.client.closed);
}

static void release_after_the_connection_is_gone_frees(void **state)
{
    (void)state;
    says(GET);
    fake_peer_ends(&fix.client, FAKE_RESET);
    fake_net_turn();
    fake_net_pass_ms(1000);
    recorder_release(request(0));
}

/* ---- Memory ---- */

/* An answer that may run out of memory. */
static void try_to_answer(struct recorder *r, const char *event)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 2};
    struct iobuf data;
    enum sp_err err;

    if (strcmp(event, "trailers") != 0)
        return;
    iobuf_init(&data);
    err = iobuf_append_view(&data, VIEW("ok"));
    if (err == SP_OK)
        err = http_stream_send_head(r->s, &head, false);
    if (err == SP_OK)
        err = http_stream_send_body(r->s, &data, true);
    iobuf_clear(&data);
    if (err != SP_OK)
        r->s->ops->abort(r->s, HTTP_ERROR_NOMEM);
    recorder_release(r);
}

/* Everything at once, on a fresh connection. True when no allocation failed. */
static bool talk_with_failing_alloc(unsigned nth)
{
    struct fake_peer peer = {.piece = 40};
    bool hit;

    fixture_accept(&peer);
    fix.service.n = 0;
    fix.service.on_request = NULL;
    fix.service.on_event = try_to_answer;
    iobuf_thread_fini(); /* so that every block is allocated */
    failing_alloc_arm(nth);
    fake_peer_says(&peer, CHUNKED "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: v\r\n\r\n");
    fake_net_turn();
    if (fix.service.n > 0 && request(0)->s != NULL) {
        struct recorder *r = request(0);

        r->on_event = NULL;
        if (r->s->vc != NULL)
            r->s->ops->abort(r->s, HTTP_ERROR_NOMEM);
        recorder_release(r);
    }
    fake_peer_ends(&peer, FAKE_EOF);
    fake_net_turn();
    hit = failing_alloc_hit();
    fake_net_pass_ms(3000);
    assert_true(peer.closed);
    if (!hit)
        assert_true(ends_with(peer.got, "\r\n\r\nok"));
    fake_peer_fini(&peer);
    return !hit;
}

static void the_process_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0; !talk_with_failing_alloc(nth); nth++)
        assert_true(nth < 1000);
}

static void without_memory_for_a_session_the_connection_closes(void **state)
{
    struct fake_peer peer = {0};
    struct net_vconnection *vc = fake_vc_accept(&peer, &fix.port);

    (void)state;
    failing_alloc_arm(0);
    (void)continuation_call(http_session_accept(), NET_EVENT_ACCEPT, vc);
    assert_true(failing_alloc_hit());
    assert_true(peer.closed);
    fake_net_turn();
    fake_peer_fini(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        session_test(a_paused_body_is_left_with_the_client),
        session_test(a_user_may_pause_inside_the_event),
        session_test(writable_is_told_when_half_of_the_bound_is_left),
        session_test(single_bytes_do_not_hold_blocks_of_their_own),
        session_test(a_user_may_release_in_any_event),
        session_test(a_user_may_abort_in_any_event_and_hears_nothing_after_it),
        session_test(a_user_may_answer_in_any_event),
        session_test(a_user_may_release_when_told_of_writable_or_failure),
        session_test(a_request_that_nobody_takes_is_aborted),
        session_test(release_after_the_connection_is_gone_frees),
        session_test(the_process_survives_each_failed_allocation),
        session_test(without_memory_for_a_session_the_connection_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
