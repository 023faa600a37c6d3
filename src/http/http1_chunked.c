/* Chunked transfer coding: RFC 9112 7.1. The decoder walks the framing byte by byte, which is a
 * handful a chunk, and jumps over the data. */
#include "http1_internal.h"

#include <sallyport/http/http_syntax.h>

enum {
    MAX_SIZE_DIGITS = 16,
    MAX_SIZE_LINE_BYTES = 256,
    /* One byte a chunk is 5 bytes of framing for each: slow, but said by honest clients. */
    FREE_OVERHEAD_BYTES = 16 * 1024,
    MAX_OVERHEAD_RATIO = 8,
};

/* In the states before DATA the next byte is framing. */
enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_DATA,
    CHUNK_TRAILERS,
    CHUNK_FAILED,
};

void http1_chunked_init(struct http1_chunked *c)
{
    *c = (struct http1_chunked){.state = CHUNK_SIZE};
}

static int hex_value(char byte)
{
    char lower = (char)(byte | 0x20);

    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* chunk-size [ chunk-ext ] CRLF: 1*HEXDIG, then at once CR or ";". Blanks in front of either are
 * what lenient parsers disagree about. */
static enum http_error take_size_byte(struct http1_chunked *c, char byte)
{
    int digit = hex_value(byte);

    if (digit >= 0) {
        if (c->digits == MAX_SIZE_DIGITS || c->left > (uint64_t)INT64_MAX >> 4)
            return HTTP_ERROR_BAD_CHUNK;
        c->digits++;
        c->left = c->left << 4 | (uint64_t)digit;
        return HTTP_ERROR_NONE;
    }
    if (c->digits == 0 || (byte != '\r' && byte != ';'))
        return HTTP_ERROR_BAD_CHUNK;
    c->state = byte == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return HTTP_ERROR_NONE;
}

/* RFC 9112 7.1.1: "A recipient MUST ignore unrecognized chunk extensions", so only where they end
 * matters: at the first CR. Other controls, a bare LF among them, are refused. */
static enum http_error take_extension_byte(struct http1_chunked *c, char byte)
{
    if (byte == '\r')
        c->state = CHUNK_SIZE_LF;
    else if (!http_is_field_value((struct view){&byte, 1}))
        return HTTP_ERROR_BAD_CHUNK;
    return HTTP_ERROR_NONE;
}

/* The size line is complete. */
static enum http_error end_size_line(struct http1_chunked *c)
{
    if (c->overhead_bytes > FREE_OVERHEAD_BYTES &&
        c->overhead_bytes / MAX_OVERHEAD_RATIO > c->data_bytes)
        return HTTP_ERROR_CHUNK_OVERHEAD;
    c->state = c->left == 0 ? CHUNK_TRAILERS : CHUNK_DATA;
    c->line_bytes = 0;
    c->digits = 0;
    return HTTP_ERROR_NONE;
}

/* "\r\n" of a line end: the one byte that may come now. */
static enum http_error expect_byte(struct http1_chunked *c, char byte, char expected,
                                   enum chunk_state next)
{
    c->state = (uint8_t)next;
    return byte == expected ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_CHUNK;
}

static enum http_error take_framing_byte(struct http1_chunked *c, char byte)
{
    c->overhead_bytes++;
    switch ((enum chunk_state)c->state) {
    case CHUNK_DATA_CR: return expect_byte(c, byte, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF: return expect_byte(c, byte, '\n', CHUNK_SIZE);
    case CHUNK_SIZE:
    case CHUNK_EXTENSION:
    case CHUNK_SIZE_LF: break;
    case CHUNK_DATA:
    case CHUNK_TRAILERS:
    case CHUNK_FAILED: return HTTP_ERROR_BAD_CHUNK;
    }
    if (++c->line_bytes > MAX_SIZE_LINE_BYTES)
        return HTTP_ERROR_BAD_CHUNK;
    if (c->state == CHUNK_SIZE)
        return take_size_byte(c, byte);
    if (c->state == CHUNK_EXTENSION)
        return take_extension_byte(c, byte);
    return byte == '\n' ? end_size_line(c) : HTTP_ERROR_BAD_CHUNK;
}

/* Some of the current chunk's data are the next `available` bytes. */
static size_t take_data(struct http1_chunked *c, size_t available)
{
    size_t n = c->left < available ? (size_t)c->left : available;

    c->left -= n;
    c->data_bytes += n;
    if (c->left == 0)
        c->state = CHUNK_DATA_CR;
    return n;
}

enum http1_chunk_event http1_chunked_next(struct http1_chunked *c, struct view bytes, size_t *skip,
                                          size_t *data, enum http_error *error)
{
    size_t at = 0;

    *skip = *data = 0;
    while (c->state < CHUNK_DATA && at < bytes.len) {
        *error = take_framing_byte(c, bytes.p[at++]);
        if (*error != HTTP_ERROR_NONE) {
            c->state = CHUNK_FAILED;
            return HTTP1_CHUNK_ERROR;
        }
    }
    if (c->state == CHUNK_FAILED) {
        *error = HTTP_ERROR_BAD_CHUNK;
        return HTTP1_CHUNK_ERROR;
    }
    *skip = at;
    if (c->state == CHUNK_TRAILERS)
        return HTTP1_CHUNK_TRAILERS;
    if (c->state != CHUNK_DATA || at == bytes.len)
        return HTTP1_CHUNK_MORE;
    *data = take_data(c, bytes.len - at);
    return HTTP1_CHUNK_DATA;
}
