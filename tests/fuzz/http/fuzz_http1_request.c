/* Request heads: scan and parser agree on what a head is, a parsed head is clean and has one
 * reading, and what is written from it is read as the same. */
#include "fuzz_http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(const struct http_head *head)
{
    FUZZ_CHECK(http_head_is_request(head));
    FUZZ_CHECK(head->version == HTTP_VERSION_1_0 || head->version == HTTP_VERSION_1_1);
    FUZZ_CHECK(http_is_token(head->method_text));
    FUZZ_CHECK(head->method != HTTP_METHOD_CONNECT);
    FUZZ_CHECK(http_is_path(head->path) ||
               (view_eq(head->path, VIEW("*")) && head->method == HTTP_METHOD_OPTIONS));
    FUZZ_CHECK(head->authority.len > 0 ? http_is_authority(head->authority)
                                       : head->version == HTTP_VERSION_1_0);
    FUZZ_CHECK(fuzz_count(&head->fields, HTTP_FIELD_HOST) <= 1);
    FUZZ_CHECK(!fuzz_has_line_byte(head->path) && !fuzz_has_line_byte(head->protocol));
    FUZZ_CHECK(head->body == HTTP_BODY_NONE || head->body == HTTP_BODY_LENGTH ||
               head->body == HTTP_BODY_UNSIZED);
    FUZZ_CHECK(head->body != HTTP_BODY_NONE ||
               fuzz_count(&head->fields, HTTP_FIELD_TRANSFER_ENCODING) +
                       fuzz_count(&head->fields, HTTP_FIELD_CONTENT_LENGTH) ==
                   0);
    FUZZ_CHECK(head->protocol.len == 0 ||
               (head->body != HTTP_BODY_UNSIZED && head->content_length == 0));
    fuzz_check_fields(&head->fields);
    fuzz_check_framing(head);
}

static void write_request(struct fuzz_text *t, const struct http_head *head)
{
    fuzz_put(t, head->method_text);
    fuzz_put(t, VIEW(" "));
    if (head->scheme.len > 0) {
        fuzz_put(t, head->scheme);
        fuzz_put(t, VIEW("://"));
        fuzz_put(t, head->authority);
    }
    /* "OPTIONS http://a" is what becomes "*". */
    if (head->scheme.len == 0 || !view_eq(head->path, VIEW("*")))
        fuzz_put(t, head->path);
    fuzz_put(t, head->version == HTTP_VERSION_1_1 ? VIEW(" HTTP/1.1\r\n") : VIEW(" HTTP/1.0\r\n"));
    fuzz_put_fields(t, &head->fields);
}

static void check_reread(const struct http_head *head, struct arena *arena)
{
    /* Blanks behind colons and a path that was left out may have made it longer. */
    static const struct http1_limits wide = {
        .max_head_bytes = 4096, .max_target_bytes = 4096, .max_fields = 20};
    struct fuzz_text text = {.len = 0};
    struct http_head again;

    write_request(&text, head);
    FUZZ_CHECK(http1_parse_request((struct view){text.p, text.len}, &wide, arena, &again) ==
               HTTP_ERROR_NONE);
    fuzz_check_same_fields(&head->fields, &again.fields);
    FUZZ_CHECK(view_eq(head->method_text, again.method_text) && head->method == again.method);
    FUZZ_CHECK(view_eq(head->path, again.path));
    FUZZ_CHECK(view_eq_nocase(head->authority, again.authority));
    FUZZ_CHECK(view_eq(head->protocol, again.protocol));
    FUZZ_CHECK(head->version == again.version && head->body == again.body);
    FUZZ_CHECK(head->content_length == again.content_length);
    FUZZ_CHECK(head->keep_alive == again.keep_alive);
    FUZZ_CHECK(head->expect_continue == again.expect_continue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view bytes = {(const char *)data, size};
    struct view rest = view_from(bytes, http1_skip_empty_lines(bytes));
    struct fuzz_scan scan = fuzz_scan_all(http1_head_scan, rest);
    struct http_head head;
    struct arena arena;

    arena_init(&arena);
    if (scan.result == HTTP1_SCAN_DONE) {
        struct view section = view_head(rest, scan.len);

        fuzz_check_lines(section, false);
        if (http1_parse_request(section, &fuzz_limits, &arena, &head) == HTTP_ERROR_NONE) {
            check_head(&head);
            check_reread(&head, &arena);
        }
        FUZZ_CHECK(http1_parse_request(view_head(section, section.len - 1), &fuzz_limits, &arena,
                                       &head) != HTTP_ERROR_NONE);
    } else {
        /* What the scan does not accept, the parser does not either. */
        FUZZ_CHECK(http1_parse_request(rest, &fuzz_limits, &arena, &head) != HTTP_ERROR_NONE);
    }
    arena_fini(&arena);
    return 0;
}
