/* Plain ports that take HTTP/2 by prior knowledge: the first bytes tell. */
#include "http2_fixture.h"

static int setup(void **state)
{
    (void)state;
    fixture_open();
    http2_defaults(&fix.conf.http2);
    fix.conf.h2c = true;
    fix.port.tls = false;
    fixture_accept(&fix.client);
    wire_open(&fix.client);
    return 0;
}

#define prior_test(f) cmocka_unit_test_setup_teardown(f, setup, http2_teardown)

static void the_preface_begins_http2(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    wire_preface();
    wire_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    wire_get(1, "/");
    assert_string_equal(heard(), HELLO " HEADERS(1,:status=200,content-length=2) DATA(1,2,END)");
}

static void the_preface_may_come_in_pieces(void **state)
{
    (void)state;
    fix.client.piece = 1;
    wire_preface();
    wire_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_string_equal(heard(), "SETTINGS WINDOW(0,983041) SETTINGS+ACK");
}

static void anything_else_is_http1(void **state)
{
    static const struct {
        const char *start, *answer;
    } cases[] = {
        {"GET /", "HTTP/1.1 200 "},
        {"PUT /", "HTTP/1.1 200 "},
        {"PRI /", "HTTP/1.1 200 "},
        {"PRI * HTTP/2.0\r\nX: ", "HTTP/1.1 505 "},
    };

    (void)state;
    fix.service.on_request = recorder_answer_ok;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct fake_peer client = {.piece = i % 2};

        fixture_accept(&client);
        fake_peer_says(&client, cases[i].start);
        fake_peer_says(&client, " HTTP/1.1\r\nHost: a.test\r\n\r\n");
        fake_net_turn();
        assert_int_equal(strncmp(client.got, cases[i].answer, strlen(cases[i].answer)), 0);
        fake_peer_ends(&client, FAKE_EOF);
        fake_net_turn();
        fake_peer_fini(&client);
    }
}

static void http2_is_not_taken_where_the_port_does_not_say_so(void **state)
{
    struct fake_peer client = {.piece = 0};

    (void)state;
    fix.conf.h2c = false;
    fixture_accept(&client);
    fake_peer_says_bytes(&client, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    fake_net_turn();
    assert_int_equal(strncmp(client.got, "HTTP/1.1 505 ", 13), 0);
    fake_peer_ends(&client, FAKE_EOF);
    fake_net_turn();
    fake_peer_fini(&client);
}

static void who_says_nothing_is_closed_in_time(void **state)
{
    (void)state;
    fake_net_pass_ms(9000);
    fake_peer_says(&fix.client, "PRI");
    fake_net_turn();
    assert_false(fix.client.closed);
    fake_net_pass_ms(1100);
    assert_true(fix.client.closed);
    assert_string_equal(got(), "");
}

static void who_leaves_is_forgotten(void **state)
{
    (void)state;
    fake_peer_says(&fix.client, "PRI");
    fake_net_turn();
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_true(fix.client.closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        prior_test(the_preface_begins_http2),
        prior_test(the_preface_may_come_in_pieces),
        prior_test(anything_else_is_http1),
        prior_test(http2_is_not_taken_where_the_port_does_not_say_so),
        prior_test(who_says_nothing_is_closed_in_time),
        prior_test(who_leaves_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
