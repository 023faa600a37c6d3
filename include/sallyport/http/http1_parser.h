/* HTTP/1.1 bytes to message heads and body ranges: strict RFC 9112, incremental, no I/O, no copies.
 *
 * A head is found first (http1_head_scan: where does it end?) and parsed in one go when it is
 * there, contiguous (iobuf_pullup). What two parsers could read in two ways is refused: bare CR or
 * LF, obs-fold, blanks around a field name, several or malformed Content-Length, Content-Length
 * beside Transfer-Encoding, a Transfer-Encoding that is not exactly "chunked", Host missing,
 * repeated or malformed, control characters and NUL anywhere, chunk sizes with signs, blanks or
 * too many digits. Thread: any; no state outside the structs. */
#pragma once

#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>

struct http1_limits {
    uint32_t max_head_bytes;   /* request or status line and fields, with the empty line */
    uint32_t max_target_bytes; /* request target */
    uint32_t max_fields;
    uint32_t max_trailer_bytes; /* trailer section of a chunked body */
};

/* Where does the head end? */
struct http1_head_scan {
    uint32_t seen;    /* bytes already looked at */
    uint32_t line_at; /* start of the current line */
};
enum http1_scan { HTTP1_SCAN_MORE, HTTP1_SCAN_DONE, HTTP1_SCAN_ERROR };
/* `bytes` is everything from the head's first byte on that is there so far (each call at least as
 * long as the one before). DONE: the head is *head_len bytes, its empty line included. ERROR:
 * *error says why (too large, or already visibly not HTTP); URI_TOO_LONG is a first line without
 * end. Each byte is looked at once, and what the answer is does not depend on how the bytes arrive.
 * Up to 2 empty lines (CR LF) in front of a request line are skipped by the caller with
 * http1_skip_empty_lines() (RFC 9112 2.2); a CR alone, which may become one, is MORE with nothing
 * seen, so skipping can be asked again as long as scan->seen is 0. */
enum http1_scan http1_head_scan(struct http1_head_scan *scan, struct view bytes,
                                const struct http1_limits *limits, size_t *head_len,
                                enum http_error *error);
/* Bytes of leading CR LF pairs, at most two pairs. Ask with all bytes from the first one on: asked
 * again behind the pairs it would allow two more. */
size_t http1_skip_empty_lines(struct view bytes);

/* A whole head, empty line included. Views of *out point into `head` (a path that absolute-form
 * leaves out, into the arena); the field array is in the arena. HTTP_ERROR_NONE: *out is complete,
 * with body, keep_alive, authority, protocol and expect_continue worked out (RFC
 * 9112 3.2, 6.3, 9.3); scheme is left empty except in absolute-form. On an error *out is
 * unspecified. CONNECT is METHOD_UNSUPPORTED, and so is a method of more than 32 bytes. Host and
 * target: http_is_authority() and http_is_path(); an empty Host is refused, and in absolute-form it
 * must equal the authority of the target. protocol: only in HTTP/1.1, without content, and never
 * for what would carry HTTP itself (h2c, TLS). expect_continue: only when there is content to wait
 * for. */
enum http_error http1_parse_request(struct view head, const struct http1_limits *limits,
                                    struct arena *arena, struct http_head *out) SP_MUST_CHECK;
/* The same for a response to a request with `method` (its body depends on it, RFC 9112 6.3). Every
 * error is UPSTREAM_BAD_RESPONSE, UPSTREAM_HEAD_TOO_LARGE or NOMEM. A response with
 * Transfer-Encoding and Content-Length is an error too. 101 gives HTTP_BODY_TUNNEL. A 204 may still
 * carry "content-length: 0" or a Transfer-Encoding field; neither goes on to a client. */
enum http_error http1_parse_response(struct view head, enum http_method method,
                                     const struct http1_limits *limits, struct arena *arena,
                                     struct http_head *out) SP_MUST_CHECK;

/* What an error of http1_head_scan() or http1_trailers_scan() means when the bytes come from a
 * backend: one of the three above; these, and NONE, stay what they are. */
enum http_error http1_upstream_error(enum http_error error);

/* Chunked decoding: says what the next bytes are, moves none. */
struct http1_chunked {
    uint8_t state;           /* private */
    uint8_t digits;          /* of the current size */
    uint32_t line_bytes;     /* of the current size line or trailer section */
    uint64_t left;           /* data bytes left of the current chunk */
    uint64_t overhead_bytes; /* framing seen so far: a body that is mostly framing is refused */
    uint64_t data_bytes;
};
enum http1_chunk_event {
    HTTP1_CHUNK_MORE,     /* all `bytes` are framing, ask again with more */
    HTTP1_CHUNK_DATA,     /* after *skip framing bytes come *data bytes of body (> 0) */
    HTTP1_CHUNK_TRAILERS, /* after *skip bytes the last chunk is over and the trailer section
                             begins: find its end with http1_trailers_scan() */
    HTTP1_CHUNK_ERROR,
};
/* Errors: BAD_CHUNK, and CHUNK_OVERHEAD when more than 16 KiB of framing are more than 8 times the
 * data. A size has 1 to 16 hexadecimal digits and fits in 63 bits; a size line has at most 256
 * bytes, extensions included, which are skipped. An error is final. */
void http1_chunked_init(struct http1_chunked *c);
/* `bytes` starts where the last call left off (its *skip + *data bytes consumed; for MORE, *skip
 * bytes consumed). */
enum http1_chunk_event http1_chunked_next(struct http1_chunked *c, struct view bytes, size_t *skip,
                                          size_t *data, enum http_error *error);
/* As http1_head_scan() for the trailer section ("\r\n" alone when there are no trailers). Errors:
 * HEAD_TOO_LARGE, BAD_LINE_END, BAD_TRAILER. */
enum http1_scan http1_trailers_scan(struct http1_head_scan *scan, struct view bytes,
                                    const struct http1_limits *limits, size_t *section_len,
                                    enum http_error *error);
/* A whole trailer section. Fields that frame, route or authenticate (RFC 9110 6.5.1) are errors in
 * requests (BAD_TRAILER); the caller drops them from responses with the same call, is_request
 * false, which leaves them out. Errors: HEAD_TOO_LARGE, BAD_LINE_END, BAD_TRAILER, TOO_MANY_FIELDS,
 * NOMEM; with is_request false those of http1_parse_response(). */
enum http_error http1_parse_trailers(struct view section, const struct http1_limits *limits,
                                     bool is_request, struct arena *arena, struct http_fields *out)
    SP_MUST_CHECK;
