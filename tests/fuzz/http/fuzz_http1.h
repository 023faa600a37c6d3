/* Properties that the HTTP/1.1 fuzzers check alike. A broken one aborts, in every kind of build. */
#pragma once

#include <sallyport/http/http1_parser.h>
#include <sallyport/http/http_syntax.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(expr) ((expr) ? (void)0 : fuzz_failed(#expr, __FILE__, __LINE__))

static inline _Noreturn void fuzz_failed(const char *expr, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: %s is false\n", file, line, expr);
    abort();
}

/* Small enough for a fuzzer to reach them. */
static const struct http1_limits fuzz_limits = {
    .max_head_bytes = 1500,
    .max_target_bytes = 300,
    .max_fields = 20,
    .max_trailer_bytes = 300,
};

/* Bytes that are being written out. */
struct fuzz_text {
    char p[4096];
    size_t len;
};

static inline void fuzz_put(struct fuzz_text *t, struct view v)
{
    FUZZ_CHECK(v.len <= sizeof(t->p) - t->len);
    if (v.len > 0)
        memcpy(t->p + t->len, v.p, v.len);
    t->len += v.len;
}

static inline void fuzz_put_fields(struct fuzz_text *t, const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->n; i++) {
        fuzz_put(t, fields->v[i].name);
        fuzz_put(t, VIEW(": "));
        fuzz_put(t, fields->v[i].value);
        fuzz_put(t, VIEW("\r\n"));
    }
    fuzz_put(t, VIEW("\r\n"));
}

struct fuzz_scan {
    enum http1_scan result;
    enum http_error error;
    size_t len;
};

typedef enum http1_scan (*fuzz_scan_fn)(struct http1_head_scan *scan, struct view bytes,
                                        const struct http1_limits *limits, size_t *len,
                                        enum http_error *error);

static inline struct fuzz_scan fuzz_scan_step(fuzz_scan_fn scan_fn, struct view bytes, size_t step)
{
    struct fuzz_scan s = {.result = HTTP1_SCAN_MORE};
    struct http1_head_scan scan = {0};

    for (size_t n = 0; n < bytes.len && s.result == HTTP1_SCAN_MORE;) {
        n = bytes.len - n < step ? bytes.len : n + step;
        s.result = scan_fn(&scan, view_head(bytes, n), &fuzz_limits, &s.len, &s.error);
    }
    return s;
}

/* The scan of all bytes at once, after checking that pieces make no difference. */
static inline struct fuzz_scan fuzz_scan_all(fuzz_scan_fn scan_fn, struct view bytes)
{
    struct fuzz_scan whole = fuzz_scan_step(scan_fn, bytes, SIZE_MAX);
    size_t steps[] = {1, 2, 7};

    for (size_t i = 0; i < SP_COUNT_OF(steps); i++) {
        struct fuzz_scan pieces = fuzz_scan_step(scan_fn, bytes, steps[i]);

        FUZZ_CHECK(pieces.result == whole.result);
        FUZZ_CHECK(pieces.error == whole.error);
        FUZZ_CHECK(pieces.len == whole.len);
    }
    FUZZ_CHECK(whole.len <= bytes.len);
    return whole;
}

static inline bool fuzz_has_line_byte(struct view v)
{
    return v.len > 0 && (memchr(v.p, '\r', v.len) != NULL || memchr(v.p, '\n', v.len) != NULL ||
                         memchr(v.p, '\0', v.len) != NULL);
}

/* Every LF of a section follows a CR and every CR has its LF: no line is there for one reader and
 * not for another. The only empty line is the last. */
static inline void fuzz_check_lines(struct view section, bool may_begin_empty)
{
    FUZZ_CHECK(section.len >= 2 && section.p[section.len - 1] == '\n');
    for (size_t i = 0; i < section.len; i++) {
        FUZZ_CHECK(section.p[i] != '\0');
        if (section.p[i] == '\n')
            FUZZ_CHECK(i > 0 && section.p[i - 1] == '\r');
        if (section.p[i] == '\r')
            FUZZ_CHECK(i + 1 < section.len && section.p[i + 1] == '\n');
        if (section.p[i] == '\n' && i + 1 < section.len && section.p[i + 1] == '\r')
            FUZZ_CHECK(i + 3 == section.len);
    }
    FUZZ_CHECK(may_begin_empty || section.p[0] != '\r');
}

static inline void fuzz_check_fields(const struct http_fields *fields)
{
    FUZZ_CHECK(fields->n <= fuzz_limits.max_fields);
    for (uint32_t i = 0; i < fields->n; i++) {
        const struct http_field *f = &fields->v[i];

        FUZZ_CHECK(http_is_token(f->name));
        FUZZ_CHECK(http_is_field_value(f->value));
        FUZZ_CHECK(!fuzz_has_line_byte(f->value));
        FUZZ_CHECK(http_trim(f->value).len == f->value.len);
        FUZZ_CHECK(f->id == http_field_id_of(f->name));
        FUZZ_CHECK(http_fields_has(fields, f->id));
    }
}

static inline void fuzz_check_same_fields(const struct http_fields *a, const struct http_fields *b)
{
    FUZZ_CHECK(a->n == b->n);
    FUZZ_CHECK(a->present == b->present);
    for (uint32_t i = 0; i < a->n; i++) {
        FUZZ_CHECK(view_eq(a->v[i].name, b->v[i].name));
        FUZZ_CHECK(view_eq(a->v[i].value, b->v[i].value));
        FUZZ_CHECK(a->v[i].id == b->v[i].id);
    }
}

static inline uint32_t fuzz_count(const struct http_fields *fields, enum http_field_id id)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < fields->n; i++)
        n += fields->v[i].id == id;
    return n;
}

/* What the body is said to be, and the fields that say so, have one reading. */
static inline void fuzz_check_framing(const struct http_head *head)
{
    uint32_t n_lengths = fuzz_count(&head->fields, HTTP_FIELD_CONTENT_LENGTH);
    uint32_t n_codings = fuzz_count(&head->fields, HTTP_FIELD_TRANSFER_ENCODING);

    FUZZ_CHECK(n_lengths + n_codings <= 1);
    FUZZ_CHECK(n_codings == 0 || head->version == HTTP_VERSION_1_1);
    if (head->body == HTTP_BODY_LENGTH)
        FUZZ_CHECK(n_lengths == 1 && head->content_length <= INT64_MAX);
    else
        FUZZ_CHECK(head->content_length == 0);
    if (head->body == HTTP_BODY_UNSIZED)
        FUZZ_CHECK(n_codings == 1);
}
