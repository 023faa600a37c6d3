/* Shared by the files of the origin only: the connection, and what a page may do with it.
 *
 * A connection (origin_conn.c) reads one request after the other, counts its body, lets a page
 * answer it and closes in whichever way the page wants. A page (origin_pages.c, _faults.c, ...)
 * only appends to the answer; it never closes, frees or calls the net layer itself. */
#pragma once

#include "origin_body.h"
#include "origin_target.h"

#include <sallyport/app/origin.h>
#include <sallyport/http/http1_parser.h>
#include <sallyport/net/net_processor.h>

#include <stdatomic.h>

struct origin {
    struct continuation accept_cont; /* immutable: several threads call it */
    const struct origin_options *options;
    struct event_processor *ep;
    struct net_core *core;
    struct net_processor tcp;
    struct net_accept *listener;
    atomic_uint_least64_t n_connections;
};

struct origin_conn;

/* What one call for more of an answer came to. */
enum origin_more {
    ORIGIN_AGAIN, /* there is more: call again while there is room */
    ORIGIN_LATER, /* there is more, when the timer has fired */
    ORIGIN_DONE,  /* that was all */
};

/* What happens to the connection behind the answer. */
enum origin_end {
    ORIGIN_KEEP,   /* next request */
    ORIGIN_CLOSE,  /* properly: end our stream, read until the client ends its own */
    ORIGIN_CUT,    /* at once, FIN */
    ORIGIN_RESET,  /* at once, RST */
    ORIGIN_HANG,   /* nothing, ever */
    ORIGIN_TUNNEL, /* `tunnel` has it from here */
};

struct origin_answer {
    enum origin_more (*more)(struct origin_conn *c); /* NULL: it is complete */
    bool (*tunnel)(struct origin_conn *c);           /* see origin_tunnel.c */
    enum origin_end end;
    bool chunked;
    bool bodyless; /* HEAD, 204, 304: content is not sent */
    bool head_sent;
    uint64_t left;     /* bytes of content to come */
    uint64_t sent;     /* content so far, framing excluded */
    uint64_t piece;    /* bytes a step */
    int64_t pause_ms;  /* between two steps */
    uint64_t checksum; /* of the content so far */
    bool trailers;
};

/* A WebSocket's place in the frame that it reads (RFC 6455 5.2). */
struct origin_websocket {
    uint64_t left; /* payload bytes of a data frame not yet echoed */
    uint8_t mask[4];
    uint8_t mask_at; /* 0..3 */
    bool in_message; /* a fragmented message is open */
    bool closed;     /* our close frame is sent: nothing is read any more */
};

enum origin_phase { ORIGIN_HEAD, ORIGIN_BODY, ORIGIN_ANSWER, ORIGIN_IN_TUNNEL, ORIGIN_LINGER };

struct origin_conn {
    struct continuation cont;
    struct origin *origin;
    struct net_vconnection *vc;
    struct vio *read, *write;
    struct iobuf in, out;
    struct timer timer;
    uint64_t id;         /* 1, 2, 3... in this process */
    uint64_t n_requests; /* this one included */
    enum origin_phase phase;
    bool input_ended;
    bool failed; /* out of memory while answering */
    bool parsed; /* `head` is complete */
    /* The exchange. */
    struct http1_head_scan scan;
    struct arena arena;
    struct iobuf_block *pin; /* what the views of `head` point into */
    struct http_head head;
    struct origin_target target;
    uint64_t number; /* the page's argument */
    const struct origin_page *page;
    struct origin_body body;
    bool continued; /* 100 was sent */
    bool answered;  /* before the body was read */
    struct origin_answer answer;
    struct origin_websocket websocket;
};

#define ORIGIN_OUT_BYTES ((size_t)256 * 1024) /* an answer pauses at this */

/* NET_EVENT_ACCEPT. */
int origin_accept(struct continuation *c, int event, void *data);

enum origin_argument { ORIGIN_NO_ARGUMENT, ORIGIN_NUMBER, ORIGIN_WORD };

struct origin_page {
    struct view name;
    const char *usage; /* "/bytes/N" */
    const char *help;
    const char *example; /* to try; NULL: not with a browser */
    enum origin_argument argument;
    uint64_t max; /* of a number */
    /* The request is here, its body counted (with "early=1": not yet read). */
    void (*answer)(struct origin_conn *c);
    /* Body bytes as they come; takes all of them. NULL: they are only counted. */
    void (*body)(struct origin_conn *c, struct iobuf *data);
};
/* origin_pages.c: the table. The last row answers what no other does. */
extern const struct origin_page origin_pages[];
extern const size_t origin_page_count;
/* Never NULL; fills *number. */
const struct origin_page *origin_page_find(const struct origin_target *t, uint64_t *number);

/* origin_reply.c: writing answers. */

enum origin_framing { ORIGIN_LENGTH, ORIGIN_CHUNKED, ORIGIN_TO_CLOSE, ORIGIN_UNFRAMED };
struct origin_reply {
    unsigned status;
    const char *type; /* NULL: text/plain */
    enum origin_framing framing;
    uint64_t length;    /* with ORIGIN_LENGTH */
    struct view fields; /* further lines, each with its CR LF */
};
/* The head, with the fields that every answer has. */
void origin_reply_head(struct origin_conn *c, const struct origin_reply *r);
/* Content, chunked if the head said so; nothing where there may be none. */
void origin_content(struct origin_conn *c, struct view bytes);
/* The next n bytes of the pattern: byte i of any generated content is
 * 'a' + (j * j mod 65521) mod 26, where j = i mod 65521. */
void origin_content_pattern(struct origin_conn *c, size_t n);
/* The same for a queue, which is empty afterwards. */
void origin_content_move(struct origin_conn *c, struct iobuf *data);
/* The last chunk; `trailers` are lines with their CR LF, or empty. */
void origin_content_end(struct origin_conn *c, struct view trailers);
/* A whole short answer. */
void origin_reply_text(struct origin_conn *c, unsigned status, const char *type, struct view text);
/* Bytes as they are. */
void origin_raw(struct origin_conn *c, struct view bytes);
/* Fills the pattern; once, before threads start. */
void origin_pattern_init(void);
/* The next call of `more` comes after this long. */
void origin_pause(struct origin_conn *c, int64_t ms);

/* Pages, a file a kind. */
void origin_show(struct origin_conn *c); /* origin_show.c: HTML or JSON */
void origin_show_json(struct origin_conn *c);
void origin_show_missing(struct origin_conn *c);
void origin_sink(struct origin_conn *c);
void origin_bytes(struct origin_conn *c); /* origin_generate.c */
void origin_chunked(struct origin_conn *c);
void origin_slow(struct origin_conn *c);
void origin_delay(struct origin_conn *c);
void origin_status(struct origin_conn *c);
void origin_headers(struct origin_conn *c);
void origin_close_delimited(struct origin_conn *c);
void origin_interim(struct origin_conn *c);
void origin_echo(struct origin_conn *c);
void origin_echo_body(struct origin_conn *c, struct iobuf *data);
void origin_close(struct origin_conn *c); /* origin_faults.c */
void origin_close_if_reused(struct origin_conn *c);
void origin_reset(struct origin_conn *c);
void origin_hang(struct origin_conn *c);
void origin_cut(struct origin_conn *c);
void origin_cut_chunked(struct origin_conn *c);
void origin_too_much(struct origin_conn *c);
void origin_keepalive_close(struct origin_conn *c);
void origin_bad(struct origin_conn *c);
void origin_garbage(struct origin_conn *c);
void origin_upgrade(struct origin_conn *c);           /* origin_tunnel.c */
void origin_websocket_upgrade(struct origin_conn *c); /* origin_websocket.c */
