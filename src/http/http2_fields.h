/* Field blocks of HTTP/2 to heads and back: every rule of RFC 9113 section 8 that a message can
 * break, in both roles. Pure: no session, no I/O.
 *
 * Reading is strict enough that nothing HTTP/1.1 could read in two ways comes out: what passes here
 * passes http1_parse_request() when http1_write_head() has written it. The session may therefore
 * tell nghttp2 not to check messages itself (nghttp2_option_set_no_http_messaging). Left to the
 * session: END_STREAM on trailers, and DATA against the length that the head told.
 *
 * The model is that of HTTP/1.1 (see http_stream.h, "Tunnels"): an extended CONNECT (RFC 8441) is
 * read as GET with head->protocol and written back as CONNECT, and the 2xx that accepts it is 101
 * with HTTP_BODY_TUNNEL. Cookie crumbs stay as they came: forwarded_request_make() joins them.
 *
 * Thread: any. Prefix: http2_fields_. */
#pragma once

#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>

#include <nghttp2/nghttp2.h>

struct http2_fields_limits {
    uint32_t max_head_bytes;    /* name, value and 32 a field: what SETTINGS_MAX_HEADER_LIST_SIZE
                                   counts (RFC 9113 6.5.2) */
    uint32_t max_trailer_bytes; /* the same, of trailers */
    uint32_t max_target_bytes;  /* :path */
    uint32_t max_fields;        /* without pseudo-header fields */
};

enum http2_section {
    HTTP2_SECTION_REQUEST,
    HTTP2_SECTION_RESPONSE, /* interim responses too */
    HTTP2_SECTION_REQUEST_TRAILERS,
    HTTP2_SECTION_RESPONSE_TRAILERS,
};

/* X(id, name, bit per section it may be in) */
#define HTTP2_PSEUDO_FIELDS(X)                              \
    X(METHOD, ":method", 1U << HTTP2_SECTION_REQUEST)       \
    X(SCHEME, ":scheme", 1U << HTTP2_SECTION_REQUEST)       \
    X(AUTHORITY, ":authority", 1U << HTTP2_SECTION_REQUEST) \
    X(PATH, ":path", 1U << HTTP2_SECTION_REQUEST)           \
    X(PROTOCOL, ":protocol", 1U << HTTP2_SECTION_REQUEST)   \
    X(STATUS, ":status", 1U << HTTP2_SECTION_RESPONSE)
enum http2_pseudo_field {
#define X(id, name, sections) HTTP2_PSEUDO_##id,
    HTTP2_PSEUDO_FIELDS(X)
#undef X
        HTTP2_PSEUDO_COUNT
};

/* ---- Reading ---- */

/* One field block while nghttp2 decodes it. Private but for `error`. */
struct http2_fields_reader {
    const struct http2_fields_limits *limits; /* borrowed */
    struct arena *arena;                      /* of the exchange; borrowed */
    struct http_fields fields;
    struct view pseudo[HTTP2_PSEUDO_COUNT]; /* .p is NULL: not given */
    size_t bytes;                           /* as max_head_bytes counts */
    enum http2_section section;
    enum http_error error; /* the first one; NONE: all well so far */
};
void http2_fields_begin(struct http2_fields_reader *r, enum http2_section section,
                        const struct http2_fields_limits *limits, struct arena *arena);
/* The next field; the bytes are copied. `never_indexed` (NGHTTP2_NV_FLAG_NO_INDEX) is kept for the
 * next hop. Not NONE: the first error, which stays; fields given after it are ignored. */
enum http_error http2_fields_add(struct http2_fields_reader *r, struct view name, struct view value,
                                 bool never_indexed);

/* The end of a request's block. NONE: *out is complete as after http1_parse_request(), scheme and
 * authority always there. body: LENGTH as told, else NONE with `end_stream`, else UNSIZED. On an
 * error *out has the method, if it was a valid one, and nothing else for sure: enough to answer.
 * METHOD_UNSUPPORTED: CONNECT, plain or for anything but WebSocket (RFC 8441 5).
 * EXPECTATION, URI_TOO_LONG, HEAD_TOO_LARGE, TOO_MANY_FIELDS: answerable too. NOMEM. All else:
 * malformed, see below. */
enum http_error http2_fields_request(const struct http2_fields_reader *r, bool end_stream,
                                     struct http_head *out) SP_MUST_CHECK;
/* The end of a response's block, interim or final. `request` is the head it answers: its method and
 * protocol decide what the body is. NONE: *out is complete as after http1_parse_response(); a body
 * without length is UNSIZED; with `end_stream`, HEAD, 204 and 304 it is NONE.
 * UPSTREAM_BAD_RESPONSE, UPSTREAM_HEAD_TOO_LARGE, NOMEM. */
enum http_error http2_fields_response(const struct http2_fields_reader *r,
                                      const struct http_head *request, bool end_stream,
                                      struct http_head *out) SP_MUST_CHECK;
/* The end of trailers. In a request, fields that frame, route or authenticate are BAD_TRAILER; out
 * of a response they are dropped. Errors otherwise as of the section's head. */
enum http_error http2_fields_trailers(const struct http2_fields_reader *r, struct http_fields *out)
    SP_MUST_CHECK;

/* Is it a stream error of type PROTOCOL_ERROR (RFC 9113 8.1.1), rather than a request that may be
 * answered? */
bool http2_fields_is_malformed(enum http_error error);

/* ---- Writing ---- */

/* For nghttp2_submit_*(). Names that are not literals of this program and all values are left for
 * nghttp2 to copy, in one piece with what it allocates for the frame anyway: the heads that this
 * side is given live in the other side's stream, which may be gone before the frame is sent. The
 * array is in the arena; its views are borrowed from the head until the submit has returned. */
struct http2_fields_block {
    nghttp2_nv *nv;
    size_t n;
};
/* A request or response head. Left out of the fields: those of the connection, Host, and for
 * WebSocket its key and proof; Content-Length says what head->body says. `scheme`: of requests, as
 * this connection has it. SP_INVALID: would not be a valid message; SP_NOMEM. */
enum sp_err http2_fields_write_head(const struct http_head *head, struct view scheme,
                                    struct arena *arena, struct http2_fields_block *out)
    SP_MUST_CHECK;
enum sp_err http2_fields_write_trailers(const struct http_fields *trailers, struct arena *arena,
                                        struct http2_fields_block *out) SP_MUST_CHECK;
