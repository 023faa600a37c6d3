/* Windows and queues of HTTP/2: who is slow waits alone, and nobody fills memory. */
#include "http2_fixture.h"

static void pause_recorder(struct recorder *r)
{
    r->s->ops->pause(r->s);
}

static void resume_recorder(struct recorder *r)
{
    r->s->ops->resume(r->s);
}

static void open_unsized(struct recorder *r)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};

    assert_int_equal(http_stream_send_head(r->s, &head, false), SP_OK);
}

static size_t queued(const struct recorder *r)
{
    return r->s->ops->send_queued(r->s);
}

/* What the connection holds back while the client takes nothing. */
static size_t in_connection(void)
{
    return fix.client.vc->write.vio.buf->len;
}

/* ---- Receiving ---- */

static void a_paused_stream_gets_its_window_s_worth_and_no_more(void **state)
{
    (void)state;
    wire_post(1, "/stands", NULL);
    fake_net_turn();
    pause_recorder(request(0));
    wire_zeros(1, 0, 65536);
    assert_string_equal(heard(), ""); /* no window is opened */
    assert_int_equal(request(0)->n_body, 0);
    resume_recorder(request(0));
    assert_string_equal(heard(), "WINDOW(1,65536) WINDOW(1,65536)"); /* what was taken, and more */
    assert_int_equal(request(0)->n_body, 65536);
}

static void more_than_the_window_is_an_error_of_the_stream(void **state)
{
    (void)state;
    wire_post(1, "/stands", NULL);
    fake_net_turn();
    pause_recorder(request(0));
    wire_zeros(1, 0, 65537);
    assert_string_equal(heard(), "RST(1,FLOW_CONTROL_ERROR)");
    assert_string_equal(told(0), "POST:/stands failed:client_closed");
    assert_false(fix.client.closed);
}

static void a_stream_that_stands_still_does_not_stop_its_neighbours(void **state)
{
    (void)state;
    wire_post(1, "/stands", NULL);
    fake_net_turn();
    pause_recorder(request(0));
    wire_zeros(1, 0, 65536);
    wire_post(3, "/goes", NULL);
    for (unsigned i = 0; i < 100; i++) {
        wire_zeros(3, 0, 60000);
        (void)heard();
    }
    wire_zeros(3, WIRE_END_STREAM, 1);
    (void)heard();
    assert_int_equal(request(1)->n_body, 6000001);
    assert_string_equal(told(1), "POST:/goes body end");
    assert_int_equal(request(0)->n_body, 0);
}

static unsigned granted(const char *log, const char *word)
{
    unsigned sum = 0;

    for (const char *at = strstr(log, word); at != NULL; at = strstr(at + 1, word))
        sum += (unsigned)strtoul(at + strlen(word), NULL, 10);
    return sum;
}

static void the_window_of_a_fast_upload_grows_to_its_bound(void **state)
{
    unsigned sent = 0, given = 60000;

    (void)state;
    wire_post(1, "/fast", NULL);
    fake_net_turn();
    for (unsigned i = 0; i < 40; i++) {
        wire_zeros(1, 0, given - sent);
        sent = given;
        given += granted(heard(), "WINDOW(1,");
    }
    assert_true(given - sent <= fix.conf.http2.max_stream_window_bytes);
    assert_true(given - sent > fix.conf.http2.max_stream_window_bytes / 2);
}

static void grown_windows_leave_half_of_the_connection_to_others(void **state)
{
    unsigned sent = 0, given = 60000;

    (void)state;
    wire_close();
    fixture_teardown(state);
    fixture_open();
    http2_defaults(&fix.conf.http2);
    fix.conf.http2.receive_bytes = 200000;
    fix.client.alpn = "h2";
    fixture_accept(&fix.client);
    wire_open(&fix.client);
    wire_preface();
    wire_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    wire_post(1, "/fast", NULL);
    (void)heard();
    for (unsigned i = 0; i < 40; i++) {
        wire_zeros(1, 0, given - sent);
        sent = given;
        given += granted(heard(), "WINDOW(1,");
    }
    assert_true(given - sent <= 65536 + 100000);
}

static void bytes_that_nobody_takes_are_given_back_to_the_connection(void **state)
{
    unsigned given = 0;

    (void)state;
    for (uint32_t id = 1; id < 60; id += 2) {
        wire_post(id, "/left", NULL);
        fake_net_turn();
        pause_recorder(request(id / 2 % 8));
        wire_zeros(id, 0, 60000);
        fake_net_turn();
        recorder_release(request(id / 2 % 8));
        given += granted(heard(), "WINDOW(0,");
    }
    assert_false(fix.client.closed);
    assert_true(given >= 30 * 60000 - 1048576);
}

static void padding_counts_and_is_given_back(void **state)
{
    uint8_t padded[256] = {250}; /* 5 bytes and 250 of padding */
    unsigned given = 0;

    (void)state;
    wire_post(1, "/padded", NULL);
    for (unsigned i = 0; i < 2000; i++) {
        wire_frame(NGHTTP2_DATA, 0x8, 1, padded, sizeof(padded));
        given += granted(heard(), "WINDOW(1,");
    }
    assert_int_equal(request(0)->n_body, 2000 * 5);
    assert_true(given > 2000 * 256 - 65536);
}

/* ---- Sending ---- */

static void a_download_waits_in_its_own_queue(void **state)
{
    (void)state;
    wire_window(0, 10000000);
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10000000);
    wire_get(1, "/big");
    fake_net_turn();
    fake_peer_takes(&fix.client, 0);
    open_unsized(request(0));
    assert_int_equal(recorder_send_zeros(request(0), 1000000, false), SP_OK);
    fake_net_turn();
    assert_true(in_connection() <= 16384 + 16384 + 256); /* the mark, and one frame over it */
    assert_true(queued(request(0)) > 950000);
    fake_peer_takes(&fix.client, SIZE_MAX);
    (void)heard();
    assert_int_equal(wire.n_data, 1000000);
    assert_string_equal(told(0), "GET:/big end writable");
    recorder_release(request(0));
}

static void a_window_of_the_stream_holds_that_stream_alone(void **state)
{
    (void)state;
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
    wire_get(1, "/a");
    wire_get(3, "/b");
    assert_string_equal(heard(), "SETTINGS+ACK");
    open_unsized(request(0));
    open_unsized(request(1));
    assert_int_equal(recorder_send_zeros(request(0), 4096, true), SP_OK);
    assert_int_equal(recorder_send_text(request(1), "small", true), SP_OK);
    assert_string_equal(heard(), "HEADERS(1,:status=200) HEADERS(3,:status=200) DATA(1,1000) "
                                 "DATA(3,5,END)");
    wire_window(1, 5000);
    assert_string_equal(heard(), "DATA(1,3096,END)");
    recorder_release(request(0));
    recorder_release(request(1));
}

static void streams_share_what_may_be_queued(void **state)
{
    (void)state;
    fix.conf.http2.send_bytes = 10000;
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    wire_get(1, "/a");
    wire_get(3, "/b");
    (void)heard();
    open_unsized(request(0));
    open_unsized(request(1));
    assert_int_equal(recorder_send_zeros(request(0), 8000, false), SP_OK);
    assert_true(queued(request(0)) <= request(0)->s->queue_bound);
    assert_int_equal(recorder_send_zeros(request(1), 4000, false), SP_OK);
    assert_true(queued(request(1)) > request(1)->s->queue_bound); /* nothing more, please */
    wire_window(3, 2000);
    (void)heard();
    assert_string_equal(told(1), "GET:/b end writable"); /* there is room again */
    assert_int_equal(recorder_send_zeros(request(1), 4000, false), SP_OK);
    wire_window(1, 8000);
    (void)heard();
    assert_string_equal(told(0), "GET:/a end"); /* it never had to wait */
    assert_int_equal(recorder_send_zeros(request(0), 4000, true), SP_OK);
    recorder_release(request(0));
    recorder_release(request(1));
}

static void a_released_response_goes_on_to_its_end(void **state)
{
    (void)state;
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
    wire_get(1, "/a");
    (void)heard();
    open_unsized(request(0));
    assert_int_equal(recorder_send_zeros(request(0), 4096, true), SP_OK);
    recorder_release(request(0));
    assert_string_equal(heard(), "HEADERS(1,:status=200) DATA(1,1000)");
    wire_window(1, 5000);
    assert_string_equal(heard(), "DATA(1,3096,END)");
}

static void who_opens_no_window_is_reset_in_time(void **state)
{
    (void)state;
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    wire_get(1, "/a");
    wire_get(3, "/b");
    (void)heard();
    open_unsized(request(0));
    assert_int_equal(recorder_send_zeros(request(0), 4096, true), SP_OK);
    (void)heard();
    fake_net_pass_slowly_ms(19000, 500);
    assert_string_equal(told(0), "GET:/a end");
    fake_net_pass_slowly_ms(2500, 500);
    assert_string_equal(told(0), "GET:/a end failed:client_send_timeout");
    assert_string_equal(wire_heard(), "RST(1,CANCEL)");
    assert_string_equal(told(1), "GET:/b end"); /* it owes nothing */
    recorder_release(request(0));
    recorder_release(request(1));
}

static void a_window_of_single_bytes_is_no_progress(void **state)
{
    (void)state;
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    wire_get(1, "/a");
    (void)heard();
    open_unsized(request(0));
    assert_int_equal(recorder_send_zeros(request(0), 4096, true), SP_OK);
    for (unsigned i = 0; i < 22; i++) {
        wire_window(1, 1);
        fake_net_pass_ms(1000);
    }
    assert_string_equal(told(0), "GET:/a end failed:client_send_timeout");
    recorder_release(request(0));
}

static void a_response_that_nobody_holds_any_more_is_reset_too(void **state)
{
    (void)state;
    wire_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    wire_get(1, "/a");
    (void)heard();
    open_unsized(request(0));
    assert_int_equal(recorder_send_zeros(request(0), 4096, true), SP_OK);
    recorder_release(request(0));
    (void)heard();
    fake_net_pass_slowly_ms(22000, 500);
    assert_string_equal(wire_heard(), "RST(1,CANCEL)");
    assert_int_equal(iobuf_usage().small_blocks, 0);
}

static void a_client_that_takes_nothing_at_all_is_cut_off(void **state)
{
    (void)state;
    wire_get(1, "/a");
    fake_net_turn();
    fake_peer_takes(&fix.client, 0);
    recorder_answer(request(0), 200, "ok");
    fake_net_pass_slowly_ms(22000, 500);
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_ABORT);
}

/* ---- Time ---- */

static void a_body_that_stops_is_answered_408(void **state)
{
    (void)state;
    wire_post(1, "/up", "100");
    wire_data(1, 0, "some");
    fake_net_turn();
    fake_net_pass_slowly_ms(31500, 500);
    assert_string_equal(told(0), "POST:/up body failed:client_body_timeout+answerable");
    recorder_answer(request(0), 408, "late");
    assert_string_equal(heard(), "HEADERS(1,:status=408,content-length=4) DATA(1,4,END) "
                                 "RST(1,NO_ERROR)");
    assert_false(fix.client.closed);
}

static void a_body_that_crawls_is_too_slow(void **state)
{
    (void)state;
    fix.conf.limits.min_rate_bytes_per_s = 100;
    wire_post(1, "/up", NULL);
    fake_net_turn();
    for (unsigned i = 0; i < 22; i++) {
        wire_data(1, 0, "some");
        fake_net_pass_ms(1000);
    }
    assert_string_equal(told(0), "POST:/up body failed:client_too_slow+answerable");
    recorder_answer(request(0), 408, "slow");
}

static void a_paused_client_is_not_slow(void **state)
{
    (void)state;
    fix.conf.limits.min_rate_bytes_per_s = 100;
    wire_post(1, "/up", NULL);
    fake_net_turn();
    pause_recorder(request(0));
    fake_net_pass_slowly_ms(100000, 1000);
    assert_string_equal(told(0), "POST:/up");
    recorder_answer(request(0), 200, "ok");
}

static void both_may_be_silent_once_the_answer_has_begun(void **state)
{
    (void)state;
    fix.conf.limits.min_rate_bytes_per_s = 100;
    wire_post(1, "/rpc", NULL);
    fake_net_turn();
    open_unsized(request(0));
    fake_net_pass_slowly_ms(1000000, 1000);
    assert_string_equal(told(0), "POST:/rpc");
    wire_data(1, WIRE_END_STREAM, "done");
    fake_net_turn();
    assert_string_equal(told(0), "POST:/rpc body end");
    assert_int_equal(recorder_send_text(request(0), "done", true), SP_OK);
    recorder_release(request(0));
    assert_string_equal(heard(), "HEADERS(1,:status=200) DATA(1,4,END)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http2_test(a_paused_stream_gets_its_window_s_worth_and_no_more),
        http2_test(more_than_the_window_is_an_error_of_the_stream),
        http2_test(a_stream_that_stands_still_does_not_stop_its_neighbours),
        http2_test(the_window_of_a_fast_upload_grows_to_its_bound),
        http2_test(grown_windows_leave_half_of_the_connection_to_others),
        http2_test(bytes_that_nobody_takes_are_given_back_to_the_connection),
        http2_test(padding_counts_and_is_given_back),
        http2_test(a_download_waits_in_its_own_queue),
        http2_test(a_window_of_the_stream_holds_that_stream_alone),
        http2_test(streams_share_what_may_be_queued),
        http2_test(a_released_response_goes_on_to_its_end),
        http2_test(who_opens_no_window_is_reset_in_time),
        http2_test(a_window_of_single_bytes_is_no_progress),
        http2_test(a_response_that_nobody_holds_any_more_is_reset_too),
        http2_test(a_client_that_takes_nothing_at_all_is_cut_off),
        http2_test(a_body_that_stops_is_answered_408),
        http2_test(a_body_that_crawls_is_too_slow),
        http2_test(a_paused_client_is_not_slow),
        http2_test(both_may_be_silent_once_the_answer_has_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
