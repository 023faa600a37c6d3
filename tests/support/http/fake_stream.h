/* A stream without a connection: what its user sends is recorded, what the peer sends is said by
 * the test. One can be the server side or the client side of an exchange.
 *
 * It holds its user to the contract of http_stream.h: nothing after release(), nothing but
 * release() (and an answer, if answerable) after `failed`, no body that the head did not promise.
 */
#pragma once

#include <sallyport/http/http_stream.h>
#include <sallyport/net/net_accept.h>

#define FAKE_STREAM_TEXT 65536

struct fake_stream {
    struct http_stream stream;
    struct net_vconnection vc;
    struct net_accept accept;
    struct client_identity *identity; /* of the connection; owned by the test */
    const char *serves;               /* the one host of the connection; NULL: any */

    /* What the user sent. */
    struct http_head head; /* the last one, copied */
    uint16_t interim[8];   /* statuses of interim heads */
    unsigned n_interim;
    char body[FAKE_STREAM_TEXT]; /* terminated */
    size_t n_body;
    char trailers[256];           /* "name: value;" each */
    struct http_field fields[48]; /* of `head` */
    char text[8192];              /* what they and `head` point to; NUL behind each */
    size_t n_text;
    bool paused, aborted, released;
    enum http_error abort_why;
    unsigned n_pauses, n_resumes;

    /* What the test decides. */
    bool takes_nothing;             /* what is sent stays queued until fake_stream_takes_all() */
    enum sp_err head_err, body_err; /* given to the next send_*, once */
    bool server_side;

    /* Private. */
    size_t queued;
    bool failed, above;
    struct http_field trailer; /* said */
};

/* `user_of_listener` is what vc->accept->options.user points to; server side only. */
void fake_stream_server(struct fake_stream *f, void *user_of_listener);
void fake_stream_client(struct fake_stream *f);
/* Frees what is left; the test looks at `released` before. Nothing else here allocates, so a test
 * that makes allocations fail fails those of the code under test only. */
void fake_stream_fini(struct fake_stream *f);

/* The peer's side. Each may release the stream. */
void fake_stream_says_head(struct fake_stream *f, const struct http_head *head, bool end);
void fake_stream_says_body(struct fake_stream *f, const char *text, bool end);
void fake_stream_says_bytes(struct fake_stream *f, size_t n);
void fake_stream_says_trailer(struct fake_stream *f, const char *name, const char *value);
void fake_stream_fails(struct fake_stream *f, enum http_error why, bool answerable);
/* The transport takes what is queued; `writable` when it had been too much. */
void fake_stream_takes_all(struct fake_stream *f);

/* The value of a field of the last head, "" without it. */
const char *fake_stream_field(struct fake_stream *f, const char *name);
