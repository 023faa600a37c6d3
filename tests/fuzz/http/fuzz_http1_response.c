/* Response heads, to a request whose method the first byte chooses: as the request fuzzer, and the
 * end of the body is one of RFC 9112 6.3. */
#include "fuzz_http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_error parse(struct view bytes, enum http_method method, struct arena *arena,
                             struct http_head *head)
{
    enum http_error error = http1_parse_response(bytes, method, &fuzz_limits, arena, head);

    FUZZ_CHECK(error == HTTP_ERROR_NONE || error == HTTP_ERROR_UPSTREAM_BAD_RESPONSE ||
               error == HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
    return error;
}

static void check_body(const struct http_head *head, enum http_method method)
{
    bool tunnel = head->status == 101 || (method == HTTP_METHOD_CONNECT && head->status / 100 == 2);
    bool bodiless = method == HTTP_METHOD_HEAD || head->status / 100 == 1 || head->status == 204 ||
                    head->status == 304;

    FUZZ_CHECK((head->body == HTTP_BODY_TUNNEL) == tunnel);
    FUZZ_CHECK(tunnel || (head->body == HTTP_BODY_NONE) == bodiless);
    FUZZ_CHECK(!head->keep_alive ||
               (head->body != HTTP_BODY_TO_CLOSE && head->body != HTTP_BODY_TUNNEL));
    if (!tunnel)
        fuzz_check_framing(head);
}

static void check_reread(const struct http_head *head, enum http_method method, struct arena *arena)
{
    static const struct http1_limits wide = {.max_head_bytes = 4096, .max_fields = 20};
    struct fuzz_text text = {.len = 0};
    struct http_head again;
    char line[32];
    int len =
        snprintf(line, sizeof(line), "HTTP/1.%d %03u ", head->version % 10, (unsigned)head->status);

    fuzz_put(&text, (struct view){line, (size_t)len});
    fuzz_put(&text, head->reason);
    fuzz_put(&text, VIEW("\r\n"));
    fuzz_put_fields(&text, &head->fields);
    FUZZ_CHECK(http1_parse_response((struct view){text.p, text.len}, method, &wide, arena,
                                    &again) == HTTP_ERROR_NONE);
    fuzz_check_same_fields(&head->fields, &again.fields);
    FUZZ_CHECK(view_eq(head->reason, again.reason));
    FUZZ_CHECK(head->version == again.version && head->status == again.status);
    FUZZ_CHECK(head->body == again.body && head->content_length == again.content_length);
    FUZZ_CHECK(head->keep_alive == again.keep_alive);
}

static void check_response(struct view bytes, enum http_method method, struct arena *arena)
{
    struct fuzz_scan scan = fuzz_scan_all(http1_head_scan, bytes);
    struct http_head head;

    if (scan.result != HTTP1_SCAN_DONE) {
        FUZZ_CHECK(parse(bytes, method, arena, &head) != HTTP_ERROR_NONE);
        return;
    }
    bytes = view_head(bytes, scan.len);
    fuzz_check_lines(bytes, false);
    if (parse(bytes, method, arena, &head) != HTTP_ERROR_NONE)
        return;
    FUZZ_CHECK(!http_head_is_request(&head) && head.status >= 100 && head.status <= 599);
    FUZZ_CHECK(!fuzz_has_line_byte(head.reason));
    fuzz_check_fields(&head.fields);
    check_body(&head, method);
    check_reread(&head, method, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;

    if (size == 0)
        return 0;
    arena_init(&arena);
    check_response((struct view){(const char *)data + 1, size - 1},
                   (enum http_method)(data[0] % (HTTP_METHOD_PATCH + 1)), &arena);
    arena_fini(&arena);
    return 0;
}
