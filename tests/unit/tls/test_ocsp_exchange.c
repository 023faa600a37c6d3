#include "ocsp_world.h"

#include <sallyport/base/clock.h>
#include <sallyport/tls/ocsp_exchange.h>

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* The responder's end of a socket pair, on which everything that it will say is said before it is
 * asked. */
struct wire {
    int fd, responder_fd, cancel_fd;
    struct ocsp_url url;
    struct view request;
    struct ocsp_world *w;
};

static int setup(void **state)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    int fds[2];

    assert_non_null(wire);
    assert_int_equal(world_setup((void **)&wire->w), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    wire->fd = fds[0];
    wire->responder_fd = fds[1];
    wire->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wire->request = ocsp_subject_request(&wire->w->subject);
    assert_true(ocsp_url_parse(VIEW(WORLD_URL), &wire->url));
    *state = wire;
    return 0;
}

static int teardown(void **state)
{
    struct wire *wire = *state;
    int rc = world_teardown((void **)&wire->w);

    free((void *)(uintptr_t)wire->request.p);
    (void)close(wire->fd);
    if (wire->responder_fd >= 0)
        (void)close(wire->responder_fd);
    (void)close(wire->cancel_fd);
    free(wire);
    return rc;
}

#define WIRE struct wire *wire = *state

static void says(const struct wire *wire, struct view v)
{
    assert_int_equal(write(wire->responder_fd, v.p, v.len), (ssize_t)v.len);
}

static void says_response(const struct wire *wire, struct view der)
{
    char head[200];

    (void)snprintf(head, sizeof(head),
                   "HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   der.len);
    says(wire, view_of(head));
    says(wire, der);
}

static enum ocsp_outcome run(const struct wire *wire, int64_t within_ms, struct view *response)
{
    return ocsp_exchange_run(&(struct ocsp_exchange){.fd = wire->fd,
                                                     .url = &wire->url,
                                                     .request = wire->request,
                                                     .deadline_ms = clock_mono_ms() + within_ms,
                                                     .cancel_fd = wire->cancel_fd,
                                                     .response_max = 4096},
                             response);
}

#define LONG_MS 60000

static void assert_outcome(const struct wire *wire, enum ocsp_outcome expected)
{
    struct view response = {NULL, 0};
    enum ocsp_outcome outcome = run(wire, LONG_MS, &response);

    if (outcome != expected)
        fail_msg("%s instead of %s", ocsp_outcome_label(outcome), ocsp_outcome_label(expected));
    assert_null(response.p);
    assert_int_equal(ERR_peek_error(), 0);
}

static void asked(const struct wire *wire, char *dst, size_t cap)
{
    ssize_t n = read(wire->responder_fd, dst, cap - 1);

    assert_true(n > 0);
    dst[n] = '\0';
}

static void a_short_request_is_a_get(void **state)
{
    WIRE;
    struct view der = response_new(wire->w, &(struct ocsp_recipe){0}), response;
    char text[2048];

    says_response(wire, der);
    assert_int_equal(run(wire, LONG_MS, &response), STAPLE_GOOD);
    assert_true(view_eq(response, der));
    asked(wire, text, sizeof(text));
    assert_memory_equal(text, "GET /status/M", 13);
    assert_non_null(strstr(text, "\r\nHost: ocsp.example\r\n"));
    assert_null(strchr(text, '+'));
    free((void *)(uintptr_t)response.p);
    free((void *)(uintptr_t)der.p);
}

static void a_long_one_is_a_post(void **state)
{
    WIRE;
    struct view der = response_new(wire->w, &(struct ocsp_recipe){0}), response;
    char text[2048], url[300];

    (void)snprintf(url, sizeof(url), "http://ocsp.example:8080/%0200d", 7);
    assert_true(ocsp_url_parse(view_of(url), &wire->url));
    says_response(wire, der);
    assert_int_equal(run(wire, LONG_MS, &response), STAPLE_GOOD);
    asked(wire, text, sizeof(text));
    assert_memory_equal(text, "POST /00", 8);
    assert_non_null(strstr(text, "\r\nHost: ocsp.example:8080\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: application/ocsp-request\r\n"));
    free((void *)(uintptr_t)response.p);
    free((void *)(uintptr_t)der.p);
}

static void what_follows_the_response_is_left_out(void **state)
{
    WIRE;
    struct view der = response_new(wire->w, &(struct ocsp_recipe){0}), response;

    says_response(wire, der);
    says(wire, VIEW("\r\n"));
    assert_int_equal(run(wire, LONG_MS, &response), STAPLE_GOOD);
    assert_int_equal(response.len, der.len);
    free((void *)(uintptr_t)response.p);
    free((void *)(uintptr_t)der.p);
}

static void another_status_or_type_is_no_answer(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 301 Moved\r\nLocation: http://elsewhere.example/\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    };

    for (size_t i = 0; i < SP_COUNT_OF(answers); i++) {
        struct wire *wire;

        assert_int_equal(setup((void **)&wire), 0);
        says(wire, view_of(answers[i]));
        assert_int_equal(shutdown(wire->responder_fd, SHUT_WR), 0);
        assert_outcome(wire, STAPLE_HTTP);
        assert_int_equal(teardown((void **)&wire), 0);
    }
    (void)state;
}

static void a_response_cut_short_is_no_answer(void **state)
{
    WIRE;
    struct view der = response_new(wire->w, &(struct ocsp_recipe){0});

    says(wire, VIEW("HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n"));
    says(wire, view_head(der, der.len - 1));
    assert_int_equal(shutdown(wire->responder_fd, SHUT_WR), 0);
    assert_outcome(wire, STAPLE_HTTP);
    free((void *)(uintptr_t)der.p);
}

static void a_large_response_is_not_waited_for(void **state)
{
    WIRE;
    static const char large[] = "HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n"
                                "\x30\x82\x20\x00\x0a\x01"; /* a SEQUENCE of 8192 bytes */

    says(wire, (struct view){large, sizeof(large) - 1});
    assert_outcome(wire, STAPLE_TOO_LARGE);
}

static void endless_fields_are_not_read(void **state)
{
    WIRE;
    static char fields[64 * 1024];

    for (size_t i = 0; i < sizeof(fields); i += 16)
        memcpy(fields + i, "X-Name: value.\r\n", 16);
    says(wire, VIEW("HTTP/1.0 200 OK\r\n"));
    says(wire, (struct view){fields, sizeof(fields)});
    assert_outcome(wire, STAPLE_TOO_LARGE);
}

static void nobody_waits_longer_than_meant(void **state)
{
    WIRE;
    struct view response;

    assert_int_equal(run(wire, 30, &response), STAPLE_TIMEOUT);
    says(wire, VIEW("HTTP/1.0 200 OK\r\nContent-Ty"));
    assert_int_equal(run(wire, 30, &response), STAPLE_TIMEOUT);
    assert_int_equal(run(wire, -1, &response), STAPLE_TIMEOUT);
}

static void who_stops_is_not_kept(void **state)
{
    WIRE;
    uint64_t n = 1;

    assert_int_equal(write(wire->cancel_fd, &n, sizeof(n)), sizeof(n));
    assert_outcome(wire, STAPLE_STOPPED);
}

static void a_responder_that_hangs_up_is_no_answer(void **state)
{
    WIRE;

    assert_int_equal(close(wire->responder_fd), 0);
    wire->responder_fd = -1;
    assert_outcome(wire, STAPLE_HTTP);
}

static void assert_url(const char *url, const char *host, unsigned port, const char *path)
{
    struct ocsp_url out = {.port = 0};

    assert_true(ocsp_url_parse(view_of(url), &out));
    assert_string_equal(out.host, host);
    assert_int_equal(out.port, port);
    assert_string_equal(out.path, path);
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    assert_url("http://ocsp.example", "ocsp.example", 80, "/");
    assert_url("HTTP://ocsp.example:8080/a/b", "ocsp.example", 8080, "/a/b");
    assert_url("http://[::1]:99/a?b=c", "::1", 99, "/a?b=c");
}

static void what_is_no_url_is_refused(void **state)
{
    static const char *const urls[] = {"",
                                       "http://",
                                       "https://ocsp.example/",
                                       "ldap://ocsp.example/",
                                       "ocsp.example",
                                       "http://ocsp.example:99999/",
                                       "http://ocsp.example/a b",
                                       "http://ocsp.example/\r\nX: y"};
    char longer[2000] = "http://";
    struct ocsp_url out = {.port = 0};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(urls); i++)
        if (ocsp_url_parse(view_of(urls[i]), &out))
            fail_msg("\"%s\" was taken", urls[i]);
    memset(longer + 7, 'a', sizeof(longer) - 8);
    assert_false(ocsp_url_parse(view_of(longer), &out));
    longer[300] = '\0';
    assert_false(ocsp_url_parse(view_of(longer), &out));
    assert_int_equal(ERR_peek_error(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_short_request_is_a_get),
        TEST(a_long_one_is_a_post),
        TEST(what_follows_the_response_is_left_out),
        cmocka_unit_test(another_status_or_type_is_no_answer),
        TEST(a_response_cut_short_is_no_answer),
        TEST(a_large_response_is_not_waited_for),
        TEST(endless_fields_are_not_read),
        TEST(nobody_waits_longer_than_meant),
        TEST(who_stops_is_not_kept),
        TEST(a_responder_that_hangs_up_is_no_answer),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(what_is_no_url_is_refused),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as in the program */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
