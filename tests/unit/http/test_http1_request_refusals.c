/* Request heads that must be refused, each with its reason, whole and one byte at a time. Many are
 * what request smuggling is made of: bytes that two parsers read in two ways. */
#include "http1_feed.h"
#include "unit_test.h"

#include <stdio.h>

struct refusal {
    enum http_error error;
    struct view bytes;
};
/* Bytes may hold NUL. */
#define BAD(id, literal)                 \
    {                                    \
        HTTP_ERROR_##id,                 \
        {                                \
            literal, sizeof(literal) - 1 \
        }                                \
    }
/* A good start line and Host, then these field lines. */
#define BAD_FIELDS(id, literal) BAD(id, "POST / HTTP/1.1\r\nHost: a\r\n" literal "\r\n\r\n")
#define BAD_LINE(id, literal)   BAD(id, literal "\r\nHost: a\r\n\r\n")
#define BAD_HOST_VALUE(literal) BAD(BAD_HOST, "GET / HTTP/1.1\r\nHost: " literal "\r\n\r\n")

static const struct refusal line_ends[] = {
    BAD(BAD_LINE_END, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_LINE_END, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\nHost: a\n\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    BAD(BAD_LINE_END, "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"),
    BAD(BAD_LINE_END, "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n"),
    BAD_FIELDS(BAD_LINE_END, "X: a\rTransfer-Encoding: chunked"),
    BAD_FIELDS(BAD_LINE_END, "X: a\nTransfer-Encoding: chunked"),
    BAD_FIELDS(BAD_LINE_END, "X: a\n\r"),
    BAD_FIELDS(BAD_LINE_END, "X\r: a"),
    BAD_FIELDS(BAD_LINE_END, "X\n: a"),
    BAD_FIELDS(BAD_LINE_END, "X:\n a"),
    BAD_FIELDS(BAD_LINE_END, "Content-Length: 5\r"),
};

static const struct refusal request_lines[] = {
    BAD(BAD_REQUEST_LINE, "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_REQUEST_LINE, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_REQUEST_LINE, "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_REQUEST_LINE, "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_REQUEST_LINE, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    BAD(BAD_REQUEST_LINE, "\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_REQUEST_LINE, "(GET) / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD_LINE(BAD_REQUEST_LINE, "GET"),
    BAD_LINE(BAD_REQUEST_LINE, "GET "),
    BAD_LINE(BAD_REQUEST_LINE, "GET /"),
    BAD_LINE(BAD_REQUEST_LINE, "GET / "),
    BAD_LINE(BAD_REQUEST_LINE, "GET  HTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET  / HTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET /  HTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET / HTTP/1.1 "),
    BAD_LINE(BAD_REQUEST_LINE, "GET / HTTP/1.1 x"),
    BAD_LINE(BAD_REQUEST_LINE, "GET /a b HTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET\t/\tHTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET /\0 HTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET /\x7f HTTP/1.1"),
    BAD_LINE(BAD_REQUEST_LINE, "GET /\x1b HTTP/1.1"),
    BAD_LINE(BAD_METHOD, "G\tET / HTTP/1.1"),
    BAD_LINE(BAD_METHOD, "G(T / HTTP/1.1"),
    BAD_LINE(BAD_METHOD, "GET: / HTTP/1.1"),
    BAD_LINE(BAD_METHOD, "G\xc3\x89T / HTTP/1.1"),
    BAD_LINE(METHOD_UNSUPPORTED, "CONNECT a:443 HTTP/1.1"),
    BAD_LINE(METHOD_UNSUPPORTED, "CONNECT / HTTP/1.1"),
    BAD_LINE(METHOD_UNSUPPORTED, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1"),
    BAD_LINE(BAD_VERSION, "GET / http/1.1"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/1"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/1.10"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/01.1"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/1,1"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/1.x"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/x.1"),
    BAD_LINE(BAD_VERSION, "GET / HTTP/1.1\t"),
    BAD_LINE(BAD_VERSION, "GET / HTTPS/1.1"),
    BAD_LINE(BAD_VERSION, "GET / ICY/1.1"),
    BAD_LINE(BAD_VERSION, "GET / /"),
    BAD_LINE(VERSION_UNSUPPORTED, "GET / HTTP/1.2"),
    BAD_LINE(VERSION_UNSUPPORTED, "GET / HTTP/0.9"),
    BAD_LINE(VERSION_UNSUPPORTED, "GET / HTTP/2.0"),
    BAD_LINE(VERSION_UNSUPPORTED, "GET / HTTP/9.9"),
    BAD(VERSION_UNSUPPORTED, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
};

static const struct refusal targets[] = {
    BAD_LINE(BAD_TARGET, "GET a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET ?a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET * HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "OPTIONS ** HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "OPTIONS *?a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /a#b HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /a?b#c HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /a\\b HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET \\a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /<a> HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /\"a\" HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /a\tb HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /?\t HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /\xc3\xa9 HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET /?\xa0 HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET a:443 HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http:/a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http:a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http:// HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http:///a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://?a HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://u@a/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://u:p@a/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://a:/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://a:99999/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://a\\b/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://a/b#c HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET http://a#c HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET ftp://a/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET ws://a/ HTTP/1.1"),
    BAD_LINE(BAD_TARGET, "GET file:///etc/passwd HTTP/1.1"),
};

static const struct refusal fields[] = {
    BAD(OBS_FOLD, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    BAD(OBS_FOLD, "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"),
    BAD_FIELDS(OBS_FOLD, "X: a\r\n b"),
    BAD_FIELDS(OBS_FOLD, "X: a\r\n\tb"),
    BAD_FIELDS(OBS_FOLD, "X: a\r\n "),
    BAD_FIELDS(OBS_FOLD, "Transfer-Encoding:\r\n chunked"),
    BAD_FIELDS(OBS_FOLD, " Content-Length: 5"),
    BAD_FIELDS(BAD_FIELD_NAME, "Content-Length : 5"),
    BAD_FIELDS(BAD_FIELD_NAME, "Content-Length\t: 5"),
    BAD_FIELDS(BAD_FIELD_NAME, "Transfer-Encoding : chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, "Transfer Encoding: chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, "Transfer-Encoding\0: chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, "\0Transfer-Encoding: chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, "Transfer-Encoding\x0b: chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, "Transfer-Encoding\xa0: chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, "\"Transfer-Encoding\": chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, ": chunked"),
    BAD_FIELDS(BAD_FIELD_NAME, ":"),
    BAD_FIELDS(BAD_FIELD_NAME, "no colon"),
    BAD_FIELDS(BAD_FIELD_NAME, "nocolon"),
    BAD_FIELDS(BAD_FIELD_NAME, "a,b: c"),
    BAD_FIELDS(BAD_FIELD_NAME, "a(b): c"),
    BAD_FIELDS(BAD_FIELD_NAME, "N\xc3\xa4me: c"),
    BAD_FIELDS(BAD_FIELD_NAME, "X\x7f: c"),
    BAD_FIELDS(BAD_FIELD_VALUE, "X: a\0b"),
    BAD_FIELDS(BAD_FIELD_VALUE, "X: a\x01"),
    BAD_FIELDS(BAD_FIELD_VALUE, "X:\x08 a"),
    BAD_FIELDS(BAD_FIELD_VALUE, "X: a\x7f"),
    BAD_FIELDS(BAD_FIELD_VALUE, "X: a\x0b"),
    BAD_FIELDS(BAD_FIELD_VALUE, "X: a\x0c"),
    BAD_FIELDS(BAD_FIELD_VALUE, "Transfer-Encoding: \x0b"
                                "chunked"),
    BAD_FIELDS(BAD_FIELD_VALUE, "Transfer-Encoding: chunked\0"),
    BAD_FIELDS(BAD_FIELD_VALUE, "Content-Length: 5\0"),
};

static const struct refusal hosts[] = {
    BAD(BAD_HOST, "GET / HTTP/1.1\r\n\r\n"),
    BAD(BAD_HOST, "GET / HTTP/1.1\r\nHosts: a\r\n\r\n"),
    BAD(BAD_HOST, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    BAD(BAD_HOST, "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"),
    BAD(BAD_HOST, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    BAD(BAD_HOST, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"),
    BAD(BAD_HOST, "GET / HTTP/1.0\r\nHost:\r\n\r\n"),
    BAD(BAD_HOST, "GET http://a/ HTTP/1.1\r\n\r\n"),
    BAD(BAD_HOST, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
    BAD(BAD_HOST, "GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    BAD(BAD_HOST, "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(BAD_HOST, "GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n"),
    BAD_HOST_VALUE(""),
    BAD_HOST_VALUE(":80"),
    BAD_HOST_VALUE("a b"),
    BAD_HOST_VALUE("a\tb"),
    BAD_HOST_VALUE("a,b"),
    BAD_HOST_VALUE("a/b"),
    BAD_HOST_VALUE("a?b"),
    BAD_HOST_VALUE("a#b"),
    BAD_HOST_VALUE("a@b"),
    BAD_HOST_VALUE("a\\b"),
    BAD_HOST_VALUE("a%00b"),
    BAD_HOST_VALUE("<a>"),
    BAD_HOST_VALUE("\"a\""),
    BAD_HOST_VALUE("\xc3\xa4"),
    BAD_HOST_VALUE("a:"),
    BAD_HOST_VALUE("a:b"),
    BAD_HOST_VALUE("a:80:80"),
    BAD_HOST_VALUE("a:-1"),
    BAD_HOST_VALUE("a:+80"),
    BAD_HOST_VALUE("a:65536"),
    BAD_HOST_VALUE("a:000080"),
    BAD_HOST_VALUE("a:80 "
                   "b"),
    BAD_HOST_VALUE("["),
    BAD_HOST_VALUE("[]"),
    BAD_HOST_VALUE("[::1"),
    BAD_HOST_VALUE("::1"),
    BAD_HOST_VALUE("[::1]80"),
    BAD_HOST_VALUE("[::1]:"),
    BAD_HOST_VALUE("[::g]"),
    BAD_HOST_VALUE("[::1%25eth0]"),
    BAD_HOST_VALUE("[v1.a]"),
    BAD_HOST_VALUE("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]"),
};

static const struct refusal framing[] = {
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length:"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: +5"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: -5"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5a"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 0x5"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5 5"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5, 5"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5,6"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5,"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5.0"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5e1"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: \"5\""),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: \xef\xbc\x95"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 9223372036854775808"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 18446744073709551615"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 18446744073709551621"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 99999999999999999999999999"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5\r\nContent-Length: 5"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5\r\ncontent-length: 6"),
    BAD_FIELDS(BAD_CONTENT_LENGTH, "Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH:"),
    BAD_FIELDS(LENGTH_AND_CHUNKED, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    BAD_FIELDS(LENGTH_AND_CHUNKED, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    BAD_FIELDS(LENGTH_AND_CHUNKED, "Transfer-Encoding: chunked\r\nContent-Length: 0"),
    BAD_FIELDS(LENGTH_AND_CHUNKED, "Transfer-Encoding: x\r\nContent-Length:"),
    BAD_FIELDS(LENGTH_AND_CHUNKED, "Transfer-Encoding:\r\nContent-Length: 5"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding:"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: ,"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked,"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: ,chunked"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked, chunked"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked, identity"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked;q=1"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked chunked"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: \"chunked\""),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked\xa0"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: [chunked]"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: x\r\ntransfer-encoding: chunked"),
    BAD_FIELDS(BAD_TRANSFER_ENCODING, "Transfer-Encoding: chunked\r\nTransfer-Encoding:"),
    BAD(BAD_TRANSFER_ENCODING, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD_FIELDS(TE_UNSUPPORTED, "Transfer-Encoding: identity"),
    BAD_FIELDS(TE_UNSUPPORTED, "Transfer-Encoding: xchunked"),
    BAD_FIELDS(TE_UNSUPPORTED, "Transfer-Encoding: chunke"),
    BAD_FIELDS(TE_UNSUPPORTED, "Transfer-Encoding: gzip"),
    BAD_FIELDS(TE_UNSUPPORTED, "Transfer-Encoding: gzip, chunked"),
    BAD_FIELDS(TE_UNSUPPORTED, "Transfer-Encoding: identity, chunked"),
};

static const struct refusal intents[] = {
    BAD_FIELDS(EXPECTATION, "Expect: 200-ok"),
    BAD_FIELDS(EXPECTATION, "Expect: 100-continue, fireworks"),
    BAD_FIELDS(EXPECTATION, "Expect: 100-continue\r\nExpect: x"),
    BAD_FIELDS(BAD_UPGRADE, "Connection: upgrade\r\nUpgrade:"),
    BAD_FIELDS(BAD_UPGRADE, "Connection: upgrade\r\nUpgrade: a b"),
    BAD_FIELDS(BAD_UPGRADE, "Connection: upgrade\r\nUpgrade: /1"),
    BAD_FIELDS(BAD_UPGRADE, "Connection: upgrade\r\nUpgrade: a/"),
    BAD_FIELDS(BAD_UPGRADE, "Connection: upgrade\r\nUpgrade: a/1/2"),
};

static void assert_refused(const struct refusal *bad, size_t step)
{
    struct http_head head;
    struct arena arena;
    enum http_error error;

    arena_init(&arena);
    error = feed_request(bad->bytes, step, &feed_limits, &arena, &head);
    arena_fini(&arena);
    if (error != bad->error)
        (void)fprintf(stderr, "step %zu, %s instead of %s:\n" VIEW_FMT "\n", step,
                      error < HTTP_ERROR_COUNT ? http_error_label(error) : "incomplete",
                      http_error_label(bad->error), VIEW_ARG(bad->bytes));
    assert_int_equal(error, bad->error);
}

/* Even a caller that had not scanned first would be safe. */
static void assert_not_parsed(const struct refusal *bad)
{
    struct http_head head;
    struct arena arena;

    arena_init(&arena);
    assert_int_not_equal(http1_parse_request(bad->bytes, &feed_limits, &arena, &head),
                         HTTP_ERROR_NONE);
    arena_fini(&arena);
}

static void assert_all_refused(const struct refusal *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_refused(&list[i], SIZE_MAX);
        assert_refused(&list[i], 1);
        assert_refused(&list[i], 7);
        assert_not_parsed(&list[i]);
    }
}

#define REFUSES(test, list)                          \
    static void test(void **state)                   \
    {                                                \
        (void)state;                                 \
        assert_all_refused(list, SP_COUNT_OF(list)); \
    }
REFUSES(only_cr_lf_ends_a_line, line_ends)
REFUSES(malformed_request_lines_are_refused, request_lines)
REFUSES(malformed_targets_are_refused, targets)
REFUSES(malformed_field_lines_are_refused, fields)
REFUSES(ambiguous_hosts_are_refused, hosts)
REFUSES(ambiguous_framing_is_refused, framing)
REFUSES(expectations_and_upgrades_that_make_no_sense_are_refused, intents)

static void a_refusal_comes_with_the_first_impossible_byte(void **state)
{
    static const struct {
        enum http_error error;
        const char *bytes;
    } starts[] = {
        {HTTP_ERROR_BAD_LINE_END, "GET / HTTP/1.1\n"},
        {HTTP_ERROR_BAD_LINE_END, "GET / HTTP/1.1\r\nHost: a\n"},
        {HTTP_ERROR_BAD_LINE_END, "GET / HTTP/1.1\rH"},
        {HTTP_ERROR_BAD_REQUEST_LINE, "\x16"},
        {HTTP_ERROR_BAD_REQUEST_LINE, "GET\x01"},
        {HTTP_ERROR_BAD_FIELD_NAME, "GET / HTTP/1.1\r\nHo\x01"},
        {HTTP_ERROR_BAD_FIELD_VALUE, "GET / HTTP/1.1\r\nHost: \x01"},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(starts); i++) {
        struct view bytes = view_of(starts[i].bytes);
        size_t len = 0;

        assert_int_equal(feed_scan(http1_head_scan, bytes, 1, &feed_limits, &len), starts[i].error);
        bytes.len--;
        assert_int_equal(feed_scan(http1_head_scan, bytes, 1, &feed_limits, &len), FEED_INCOMPLETE);
    }
}

static void every_control_character_is_refused_everywhere(void **state)
{
    static const char request[] = "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    struct http_head head;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (int byte = 0; byte < 0x80; byte = byte == 0x1f ? 0x7f : byte + 1) {
        for (size_t at = 0; at < sizeof(request) - 1; at++) {
            char bytes[sizeof(request)];

            memcpy(bytes, request, sizeof(request));
            bytes[at] = (char)byte;
            /* HTAB for the blanks behind the colons and for the value of X is fine. */
            if (bytes[at] == request[at] || (byte == '\t' && (at == 22 || at == 28 || at == 29)))
                continue;
            assert_int_not_equal(feed_request((struct view){bytes, sizeof(bytes) - 1}, 1,
                                              &feed_limits, &arena, &head),
                                 HTTP_ERROR_NONE);
        }
    }
    arena_fini(&arena);
}

static void a_host_of_more_than_255_bytes_is_refused(void **state)
{
    char bytes[400];
    struct http_head head;
    struct arena arena;
    int len;

    (void)state;
    arena_init(&arena);
    len = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: %0255d\r\n\r\n", 0);
    assert_int_equal(
        http1_parse_request((struct view){bytes, (size_t)len}, &feed_limits, &arena, &head),
        HTTP_ERROR_NONE);
    len = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: %0256d\r\n\r\n", 0);
    assert_int_equal(
        http1_parse_request((struct view){bytes, (size_t)len}, &feed_limits, &arena, &head),
        HTTP_ERROR_BAD_HOST);
    arena_fini(&arena);
}

static void a_first_line_without_end_is_a_target_too_long(void **state)
{
    char bytes[4096];
    size_t len = 0;

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    assert_int_equal(
        feed_scan(http1_head_scan, (struct view){bytes, sizeof(bytes)}, 1, &feed_limits, &len),
        HTTP_ERROR_URI_TOO_LONG);
    memcpy(bytes, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(
        feed_scan(http1_head_scan, (struct view){bytes, sizeof(bytes)}, 1, &feed_limits, &len),
        HTTP_ERROR_HEAD_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_cr_lf_ends_a_line),
        cmocka_unit_test(malformed_request_lines_are_refused),
        cmocka_unit_test(malformed_targets_are_refused),
        cmocka_unit_test(malformed_field_lines_are_refused),
        cmocka_unit_test(ambiguous_hosts_are_refused),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(expectations_and_upgrades_that_make_no_sense_are_refused),
        cmocka_unit_test(a_refusal_comes_with_the_first_impossible_byte),
        cmocka_unit_test(every_control_character_is_refused_everywhere),
        cmocka_unit_test(a_host_of_more_than_255_bytes_is_refused),
        cmocka_unit_test(a_first_line_without_end_is_a_target_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
