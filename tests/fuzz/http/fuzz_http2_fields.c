/* Field blocks: what is read is clean, has one reading, and keeps it: written as HTTP/1.1 it is the
 * same request for the HTTP/1.1 parser (no smuggling by downgrade), and written as HTTP/2 the same
 * for the reader.
 *
 * Input: a byte that says what kind of block it is, then for each field a byte each with the length
 * of name and value, and their bytes. */
#include "fuzz_http1.h"
#include "http1_writer.h"
#include "http2_fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { END_STREAM = 4, ASKED_HEAD = 8, ASKED_TUNNEL = 16 }; /* bits of the first byte */

static const struct http2_fields_limits block_limits = {
    .max_head_bytes = 1500,
    .max_trailer_bytes = 500,
    .max_target_bytes = 300,
    .max_fields = 20,
};
static const struct http1_limits wide = {
    .max_head_bytes = 8192,
    .max_target_bytes = 300,
    .max_fields = 30,
    .max_trailer_bytes = 1000,
};

static void read_block(struct http2_fields_reader *r, struct view bytes)
{
    while (bytes.len >= 2) {
        size_t name_len = (unsigned char)bytes.p[0], value_len = (unsigned char)bytes.p[1];
        struct view name = view_head(view_from(bytes, 2), name_len);
        struct view value = view_head(view_from(bytes, 2 + name_len), value_len);

        (void)http2_fields_add(r, name, value, false);
        bytes = view_from(bytes, 2 + name_len + value_len);
    }
}

static void check_fields(const struct http_fields *fields)
{
    FUZZ_CHECK(fields->n <= block_limits.max_fields);
    for (uint32_t i = 0; i < fields->n; i++) {
        const struct http_field *f = &fields->v[i];

        FUZZ_CHECK(http_is_token(f->name) && http_is_field_value(f->value));
        FUZZ_CHECK(!fuzz_has_line_byte(f->value) && http_trim(f->value).len == f->value.len);
        FUZZ_CHECK(f->id == http_field_id_of(f->name));
        FUZZ_CHECK(f->id != HTTP_FIELD_CONNECTION && f->id != HTTP_FIELD_TRANSFER_ENCODING &&
                   f->id != HTTP_FIELD_UPGRADE);
    }
}

/* What a request says, but for the spelling of its framing. */
static void check_same_request(const struct http_head *a, const struct http_head *b)
{
    FUZZ_CHECK(view_eq(a->method_text, b->method_text) && a->method == b->method);
    FUZZ_CHECK(view_eq(a->path, b->path) && view_eq(a->authority, b->authority));
    FUZZ_CHECK(view_eq(a->protocol, b->protocol));
    FUZZ_CHECK(a->body == b->body && a->content_length == b->content_length);
    FUZZ_CHECK(a->expect_continue == b->expect_continue);
}

static struct http1_head_plan plan(const struct http_head *head)
{
    struct http1_head_plan p = {.protocol = head->protocol};

    if (head->protocol.len > 0)
        p.connection = HTTP1_CONNECTION_UPGRADE;
    if (head->body == HTTP_BODY_UNSIZED)
        p.framing = HTTP1_FRAMING_CHUNKED;
    if (head->body == HTTP_BODY_LENGTH) {
        p.framing = HTTP1_FRAMING_LENGTH;
        p.says_length = true;
        p.length = head->content_length;
    }
    return p;
}

static void check_downgrade(const struct http_head *head, struct arena *arena)
{
    struct http1_head_plan how = plan(head);
    struct http_head again;
    struct iobuf out;
    struct view bytes;

    iobuf_init(&out);
    FUZZ_CHECK(http1_write_head(&out, head, &how) == SP_OK);
    FUZZ_CHECK(iobuf_pullup(&out, out.len, &bytes) == SP_OK);
    fuzz_check_lines(bytes, false);
    FUZZ_CHECK(http1_parse_request(bytes, &wide, arena, &again) == HTTP_ERROR_NONE);
    check_same_request(head, &again);
    iobuf_clear(&out);
}

static void feed_nv(struct http2_fields_reader *r, const struct http2_fields_block *block)
{
    char lower[256];

    for (size_t i = 0; i < block->n; i++) {
        const nghttp2_nv *nv = &block->nv[i];

        for (size_t j = 0; j < nv->namelen; j++)
            lower[j] =
                (char)(nv->name[j] >= 'A' && nv->name[j] <= 'Z' ? nv->name[j] | 0x20 : nv->name[j]);
        FUZZ_CHECK(http2_fields_add(r, (struct view){lower, nv->namelen},
                                    (struct view){(const char *)nv->value, nv->valuelen},
                                    false) == HTTP_ERROR_NONE);
    }
}

static void check_passed_on(const struct http_head *head, bool end, struct arena *arena)
{
    static const struct http2_fields_limits room = {
        .max_head_bytes = 16384, .max_target_bytes = 300, .max_fields = 30};
    struct http2_fields_reader r;
    struct http2_fields_block block;
    struct http_head again;

    FUZZ_CHECK(http2_fields_write_head(head, head->scheme, arena, &block) == SP_OK);
    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &room, arena);
    feed_nv(&r, &block);
    FUZZ_CHECK(http2_fields_request(&r, end, &again) == HTTP_ERROR_NONE);
    check_same_request(head, &again);
}

static void check_request(const struct http2_fields_reader *r, bool end, struct arena *arena)
{
    struct http_head head;

    if (http2_fields_request(r, end, &head) != HTTP_ERROR_NONE)
        return;
    FUZZ_CHECK(http_is_authority(head.authority) && head.method != HTTP_METHOD_CONNECT);
    FUZZ_CHECK(http_is_path(head.path) || view_eq(head.path, VIEW("*")));
    check_fields(&head.fields);
    check_downgrade(&head, arena);
    check_passed_on(&head, end, arena);
}

static void check_response(const struct http2_fields_reader *r, uint8_t kind)
{
    const struct http_head asked = {
        .method = (kind & ASKED_HEAD) != 0 ? HTTP_METHOD_HEAD : HTTP_METHOD_GET,
        .protocol = (kind & ASKED_TUNNEL) != 0 ? VIEW("websocket") : VIEW(""),
    };
    struct http_head head;
    enum http_error error = http2_fields_response(r, &asked, (kind & END_STREAM) != 0, &head);

    FUZZ_CHECK(error == HTTP_ERROR_NONE || error == HTTP_ERROR_UPSTREAM_BAD_RESPONSE ||
               error == HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
    if (error != HTTP_ERROR_NONE)
        return;
    check_fields(&head.fields);
    FUZZ_CHECK(head.status >= 100 && head.status <= 599);
    FUZZ_CHECK((head.status == 101) == (head.body == HTTP_BODY_TUNNEL));
    FUZZ_CHECK(head.status != 101 || asked.protocol.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view bytes = {(const char *)data, size};
    struct http2_fields_reader r;
    struct http_fields trailers;
    struct arena arena;
    uint8_t kind;

    if (size == 0)
        return 0;
    kind = data[0];
    arena_init(&arena);
    http2_fields_begin(&r, (enum http2_section)(kind & 3), &block_limits, &arena);
    read_block(&r, view_from(bytes, 1));
    switch ((enum http2_section)(kind & 3)) {
    case HTTP2_SECTION_REQUEST: check_request(&r, (kind & END_STREAM) != 0, &arena); break;
    case HTTP2_SECTION_RESPONSE: check_response(&r, kind); break;
    case HTTP2_SECTION_REQUEST_TRAILERS:
    case HTTP2_SECTION_RESPONSE_TRAILERS:
        if (http2_fields_trailers(&r, &trailers) == HTTP_ERROR_NONE)
            check_fields(&trailers);
        break;
    }
    arena_fini(&arena);
    return 0;
}
