/* Chunked bodies: the same body, end and error however the bytes are split, the same as a decoder
 * that reads the whole at once says, and trailers that hold nothing they must not. */
#include "fuzz_http1.h"

#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct decoded {
    enum http1_chunk_event last; /* MORE: the bytes ran out */
    enum http_error error;
    size_t used;     /* bytes before the trailer section, with TRAILERS */
    uint64_t sum;    /* of the body, place by place */
    uint64_t n_data; /* bytes of the body */
};

static void add_data(struct decoded *d, struct view data)
{
    for (size_t i = 0; i < data.len; i++)
        d->sum = d->sum * 31 + (unsigned char)data.p[i];
    d->n_data += data.len;
}

/* At most step(i) bytes at hand at the ith call. */
static struct decoded decode(struct view bytes, const uint8_t *steps, size_t n_steps)
{
    struct decoded d = {.last = HTTP1_CHUNK_MORE};
    struct http1_chunked c;
    size_t framing = 0;

    http1_chunked_init(&c);
    for (size_t i = 0; d.used < bytes.len; i++) {
        size_t step = n_steps == 0 ? bytes.len : steps[i % n_steps] % 64 + (size_t)1;
        struct view piece = view_head(view_from(bytes, d.used), step);
        size_t skip = 0, data = 0;

        d.last = http1_chunked_next(&c, piece, &skip, &data, &d.error);
        if (d.last == HTTP1_CHUNK_ERROR)
            return d;
        FUZZ_CHECK(skip + data <= piece.len);
        FUZZ_CHECK((d.last == HTTP1_CHUNK_DATA) == (data > 0));
        FUZZ_CHECK(d.last != HTTP1_CHUNK_MORE || skip == piece.len);
        add_data(&d, view_head(view_from(piece, skip), data));
        framing += skip;
        d.used += skip + data;
        FUZZ_CHECK(c.overhead_bytes == framing && c.data_bytes == d.n_data);
        if (d.last == HTTP1_CHUNK_TRAILERS)
            return d;
    }
    d.last = HTTP1_CHUNK_MORE; /* where the last piece ended does not matter */
    return d;
}

/* chunk-size [ chunk-ext ] CRLF at *at, which moves behind it. */
static bool read_size_line(struct view bytes, size_t *at, uint64_t *size)
{
    struct view line = view_from(bytes, *at);
    const char *lf = line.len == 0 ? NULL : memchr(line.p, '\n', line.len);
    size_t n = 0;

    if (lf == NULL || lf == line.p || lf[-1] != '\r')
        return false;
    line.len = (size_t)(lf - line.p) - 1;
    *at += line.len + 2;
    for (*size = 0; n < line.len && n <= 16 && isxdigit((unsigned char)line.p[n]); n++) {
        const char digit[] = {line.p[n], '\0'};

        *size = *size << 4 | strtoul(digit, NULL, 16);
    }
    return n >= 1 && n <= 16 && *size <= INT64_MAX && line.len + 2 <= 256 &&
           (n == line.len || line.p[n] == ';') && http_is_field_value(line);
}

/* A second decoder, written differently: it has the whole before its eyes. False where the body is
 * malformed or ends too early. */
static bool read_whole(struct view bytes, struct decoded *d)
{
    size_t at = 0;
    uint64_t size;

    for (;;) {
        if (!read_size_line(bytes, &at, &size))
            return false;
        if (size == 0)
            break;
        if (size > bytes.len - at)
            return false;
        add_data(d, (struct view){bytes.p + at, (size_t)size});
        at += (size_t)size;
        if (!view_starts_with(view_from(bytes, at), VIEW("\r\n")))
            return false;
        at += 2;
    }
    d->used = at;
    return true;
}

static void check_trailers(struct view bytes)
{
    struct fuzz_scan scan = fuzz_scan_all(http1_trailers_scan, bytes);
    struct view section = view_head(bytes, scan.len);
    struct http_fields asked, answered;
    struct arena arena;

    if (scan.result != HTTP1_SCAN_DONE)
        return;
    fuzz_check_lines(section, true);
    arena_init(&arena);
    if (http1_parse_trailers(section, &fuzz_limits, false, &arena, &answered) == HTTP_ERROR_NONE) {
        fuzz_check_fields(&answered);
        FUZZ_CHECK(!http_fields_has(&answered, HTTP_FIELD_CONTENT_LENGTH));
        FUZZ_CHECK(!http_fields_has(&answered, HTTP_FIELD_TRANSFER_ENCODING));
        FUZZ_CHECK(!http_fields_has(&answered, HTTP_FIELD_HOST));
        if (http1_parse_trailers(section, &fuzz_limits, true, &arena, &asked) == HTTP_ERROR_NONE)
            fuzz_check_same_fields(&asked, &answered);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t one_byte[] = {0}, primes[] = {1, 2, 4, 6, 10, 12, 16};
    struct view bytes = {(const char *)data, size};
    struct decoded whole = decode(bytes, NULL, 0), other = {.last = HTTP1_CHUNK_MORE};
    const struct decoded splits[] = {
        decode(bytes, one_byte, 1),
        decode(bytes, primes, sizeof(primes)),
        decode(bytes, data, size),
    };

    for (size_t i = 0; i < SP_COUNT_OF(splits); i++) {
        FUZZ_CHECK(splits[i].last == whole.last && splits[i].error == whole.error);
        FUZZ_CHECK(splits[i].n_data == whole.n_data && splits[i].sum == whole.sum);
        FUZZ_CHECK(whole.last == HTTP1_CHUNK_ERROR || splits[i].used == whole.used);
    }
    /* That a body is mostly framing is not for the second decoder to judge. */
    if (whole.error != HTTP_ERROR_CHUNK_OVERHEAD)
        FUZZ_CHECK(read_whole(bytes, &other) == (whole.last == HTTP1_CHUNK_TRAILERS));
    if (whole.last == HTTP1_CHUNK_TRAILERS) {
        FUZZ_CHECK(other.used == whole.used);
        FUZZ_CHECK(other.n_data == whole.n_data && other.sum == whole.sum);
        check_trailers(view_from(bytes, whole.used));
    }
    return 0;
}
