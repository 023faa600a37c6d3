/* Error answers. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/http/error_page.h>

#include <stdlib.h>

static struct arena arena;
static struct http_head head;
static struct iobuf body;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    iobuf_init(&body);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    iobuf_clear(&body);
    arena_fini(&arena);
    iobuf_thread_fini();
    return 0;
}

static const char *text_of(struct iobuf *b)
{
    struct view v, copy;

    assert_int_equal(iobuf_pullup(b, b->len, &v), SP_OK);
    copy = arena_copy(&arena, v);
    return copy.p;
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static const char *field(enum http_field_id id)
{
    const struct http_field *f = http_fields_get(&head.fields, id);
    struct view copy = arena_copy(&arena, f == NULL ? (struct view){"", 0} : f->value);

    return copy.p;
}

static struct http_head request_accepting(const char *accept)
{
    struct http_head request = {.method = HTTP_METHOD_GET};

    assert_int_equal(
        http_fields_add(&request.fields, &arena, HTTP_FIELD_OTHER, VIEW("Accept"), view_of(accept)),
        SP_OK);
    return request;
}

static void a_browser_gets_html(void **state)
{
    const char *text;

    (void)state;
    assert_int_equal(error_page_make(HTTP_ERROR_UPSTREAM_CONNECT, ERROR_PAGE_HTML, VIEW("abc123"),
                                     &arena, &head, &body),
                     SP_OK);
    assert_int_equal(head.status, 502);
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.content_length, body.len);
    assert_string_equal(field(HTTP_FIELD_CONTENT_TYPE), "text/html; charset=utf-8");
    assert_string_equal(field(HTTP_FIELD_CACHE_CONTROL), "no-store");
    assert_int_equal(strlen(field(HTTP_FIELD_DATE)), 29);
    text = text_of(&body);
    assert_true(has(text, "<title>502 Bad Gateway</title>"));
    assert_true(has(text, "<p>No server could be reached.</p>"));
    assert_true(has(text, "<code>abc123</code>"));
    assert_true(has(text, "</html>\n"));
}

static void everybody_else_gets_text(void **state)
{
    (void)state;
    assert_int_equal(
        error_page_make(HTTP_ERROR_NO_ROUTE, ERROR_PAGE_TEXT, VIEW("abc123"), &arena, &head, &body),
        SP_OK);
    assert_string_equal(field(HTTP_FIELD_CONTENT_TYPE), "text/plain; charset=utf-8");
    assert_string_equal(text_of(&body), "404 Not Found\nNothing is served under this address.\n"
                                        "Request id: abc123\n");
}

static void accept_decides(void **state)
{
    static const struct {
        const char *accept;
        enum error_page_type type;
    } rows[] = {
        {"text/html,application/xhtml+xml,*/*;q=0.8", ERROR_PAGE_HTML},
        {"application/json, text/html;q=0.9", ERROR_PAGE_HTML},
        {"*/*", ERROR_PAGE_TEXT},
        {"text/htmlx", ERROR_PAGE_TEXT},
        {"text/plain", ERROR_PAGE_TEXT},
        {"", ERROR_PAGE_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        struct http_head request = request_accepting(rows[i].accept);

        assert_int_equal(error_page_type_for(&request), rows[i].type);
    }
    assert_int_equal(error_page_type_for(NULL), ERROR_PAGE_TEXT);
}

static void every_error_with_a_status_has_a_whole_page(void **state)
{
    char id[128];

    (void)state;
    memset(id, 'x', sizeof(id));
    for (int e = HTTP_ERROR_NONE + 1; e < HTTP_ERROR_COUNT; e++) {
        enum http_error error = (enum http_error)e;

        if (http_error_status(error) == 0)
            continue;
        assert_int_equal(error_page_make(error, ERROR_PAGE_HTML, (struct view){id, sizeof(id)},
                                         &arena, &head, &body),
                         SP_OK);
        assert_true(has(text_of(&body), http_error_text(error)));
        assert_true(has(text_of(&body), "</html>\n"));
        assert_true(head.reason.len > 0);
        iobuf_clear(&body);
    }
}

static void the_answer_to_plain_http_is_a_whole_message(void **state)
{
    struct view answer = error_page_plain_http_on_tls();
    const char *end, *length;

    (void)state;
    assert_true(view_starts_with(answer, VIEW("HTTP/1.1 400 Bad Request\r\n")));
    end = strstr(answer.p, "\r\n\r\n");
    length = strstr(answer.p, "content-length: ");
    assert_non_null(end);
    assert_non_null(length);
    assert_int_equal(strtol(length + 16, NULL, 10), answer.len - (size_t)(end + 4 - answer.p));
    assert_true(has(answer.p, "connection: close\r\n"));
    assert_true(has(end, http_error_text(HTTP_ERROR_PLAIN_HTTP_ON_TLS)));
}

static void a_page_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct arena own;
        enum sp_err err;
        bool hit;

        arena_init(&own);
        failing_alloc_arm(nth);
        err = error_page_make(HTTP_ERROR_INTERNAL, ERROR_PAGE_HTML, VIEW("id"), &own, &head, &body);
        hit = failing_alloc_hit();
        iobuf_clear(&body);
        iobuf_thread_fini();
        arena_fini(&own);
        assert_int_equal(failing_alloc_live(), 0);
        assert_int_equal(err, hit ? SP_NOMEM : SP_OK);
        if (!hit)
            return;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_browser_gets_html),
        TEST(everybody_else_gets_text),
        TEST(accept_decides),
        TEST(every_error_with_a_status_has_a_whole_page),
        TEST(the_answer_to_plain_http_is_a_whole_message),
        TEST(a_page_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
