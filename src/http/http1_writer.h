/* HTTP/1.1 messages to bytes in the queue that a connection sends from: heads with the framing that
 * the protocol adds, chunks around moved ranges, trailers (RFC 9112 2 to 7).
 *
 * Nothing that is written can break a line: CR, LF, NUL and the other controls are refused in every
 * part of a head with SP_INVALID, whoever made it. Prefix: http1_write_. Thread: the queue's. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/http/http_message.h>

/* How the end of the body is told. */
enum http1_framing {
    HTTP1_FRAMING_NONE,   /* the message ends with its head; a body given all the same is dropped */
    HTTP1_FRAMING_LENGTH, /* by Content-Length */
    HTTP1_FRAMING_CHUNKED, /* by the last chunk; trailers are possible */
    HTTP1_FRAMING_RAW,     /* by the end of the stream: HTTP/1.0 clients, tunnels */
};

/* What Connection says. */
enum http1_persistence {
    HTTP1_CONNECTION_UNSAID,
    HTTP1_CONNECTION_CLOSE,
    HTTP1_CONNECTION_KEEP_ALIVE, /* HTTP/1.0 must be told */
    HTTP1_CONNECTION_UPGRADE,    /* with Upgrade: `protocol` */
};

/* What a head says about its connection and its body, in place of the fields that were given. */
struct http1_head_plan {
    enum http1_framing framing;
    enum http1_persistence connection;
    bool says_length; /* Content-Length goes out; with NONE: announced, not sent (RFC 9110 8.6) */
    uint64_t length;
    struct view protocol;
    /* Of WebSocket (websocket.h), where the fields have none; empty: none */
    struct view websocket_key, websocket_proof;
};

/* One body on its way out. */
struct http1_writer {
    enum http1_framing framing;
    uint64_t left; /* LENGTH: bytes still promised */
};

/* Appends a head. Request: method_text, path, Host from `authority` first, then the fields as they
 * are; response: status and reason (the registered one when empty). Left out of the fields: those
 * that frame the message or belong to the connection (RFC 9110 7.6.1), and Host in a request.
 * SP_NOMEM, SP_INVALID: the message is not to be gone on with; what the queue got of it is not
 * whole. */
enum sp_err http1_write_head(struct iobuf *out, const struct http_head *head,
                             const struct http1_head_plan *plan) SP_MUST_CHECK;

/* The body that the plan promised begins. */
void http1_writer_init(struct http1_writer *w, const struct http1_head_plan *plan);
/* Takes all of `data`, on an error too. SP_INVALID: more bytes than the length, or `end` before. */
enum sp_err http1_write_body(struct http1_writer *w, struct iobuf *out, struct iobuf *data,
                             bool end) SP_MUST_CHECK;
/* Ends the body. Without chunks the trailers are dropped. Framing and routing fields are left out
 * like from a head. */
enum sp_err http1_write_trailers(struct http1_writer *w, struct iobuf *out,
                                 const struct http_fields *trailers) SP_MUST_CHECK;
