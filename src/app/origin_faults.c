/* Pages that misbehave on purpose: each is something that a backend does on a bad day, or that
 * an attacker would make it do. */
#include "origin_internal.h"

#include <stdio.h>

#define PIECE_BYTES ((uint64_t)64 * 1024)

static enum origin_more more_bytes(struct origin_conn *c)
{
    size_t n = (size_t)(c->answer.left < PIECE_BYTES ? c->answer.left : PIECE_BYTES);

    origin_content_pattern(c, n);
    c->answer.left -= n;
    return c->answer.left > 0 ? ORIGIN_AGAIN : ORIGIN_DONE;
}

void origin_close(struct origin_conn *c)
{
    c->answer.end = ORIGIN_CUT;
}

/* What a connection that idled too long does: the request went into a closing connection. */
void origin_close_if_reused(struct origin_conn *c)
{
    if (c->n_requests > 1)
        c->answer.end = ORIGIN_CUT;
    else
        origin_show_json(c);
}

/* With "after=N" behind a head and that many of the twice as many bytes promised. */
void origin_reset(struct origin_conn *c)
{
    uint64_t after = origin_query_number(&c->target, VIEW("after"), UINT64_C(1) << 40, 0);

    if (after > 0) {
        origin_reply_head(c, &(struct origin_reply){.status = 200, .length = 2 * after});
        c->answer.left = after;
        c->answer.more = more_bytes;
    }
    c->answer.end = ORIGIN_RESET;
}

void origin_hang(struct origin_conn *c)
{
    c->answer.end = ORIGIN_HANG;
}

void origin_cut(struct origin_conn *c)
{
    origin_reply_head(c, &(struct origin_reply){.status = 200, .length = c->number});
    c->answer.left = c->number / 2;
    c->answer.more = more_bytes;
    c->answer.end = ORIGIN_CUT;
}

void origin_cut_chunked(struct origin_conn *c)
{
    origin_reply_head(c, &(struct origin_reply){.status = 200, .framing = ORIGIN_CHUNKED});
    origin_content(c, VIEW("this chunk is whole, the last one never comes\n"));
    c->answer.end = ORIGIN_CUT;
}

/* The excess looks like the answer to the next request: a proxy that keeps the connection hands it
 * to whoever comes next. */
void origin_too_much(struct origin_conn *c)
{
    origin_reply_text(c, 200, NULL, VIEW("ten bytes\n"));
    origin_raw(c, VIEW("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nPOISONED\n"));
}

void origin_keepalive_close(struct origin_conn *c)
{
    origin_show_json(c);
    c->answer.end = ORIGIN_CUT;
}

/* X(word, bytes): answers that no client may believe. */
#define HEAD  "HTTP/1.1 200 OK\r\n"
#define CHUNK HEAD "Transfer-Encoding: chunked\r\n\r\n"
static const struct {
    struct view word, bytes;
} bad_answers[] = {
    {VIEW_INIT("two-lengths"),
     VIEW_INIT(HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")},
    {VIEW_INIT("length-and-chunked"),
     VIEW_INIT(HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {VIEW_INIT("length-sign"), VIEW_INIT(HEAD "Content-Length: +5\r\n\r\nhello")},
    {VIEW_INIT("coding"), VIEW_INIT(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
    {VIEW_INIT("chunk-size"), VIEW_INIT(CHUNK "5\r\nhello\r\nxyz\r\n")},
    {VIEW_INIT("chunk-end"), VIEW_INIT(CHUNK "5\r\nhelloXX0\r\n\r\n")},
    {VIEW_INIT("chunk-overflow"), VIEW_INIT(CHUNK "ffffffffffffffff1\r\nhello\r\n")},
    {VIEW_INIT("fold"), VIEW_INIT(HEAD "X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n")},
    {VIEW_INIT("nul"), VIEW_INIT(HEAD "X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n")},
    {VIEW_INIT("bare-lf"), VIEW_INIT("HTTP/1.1 200 OK\nContent-Length: 0\n\n")},
    {VIEW_INIT("bare-cr"), VIEW_INIT(HEAD "X-Cr: a\rb\r\nContent-Length: 0\r\n\r\n")},
    {VIEW_INIT("field-blank"), VIEW_INIT(HEAD "Content-Length : 0\r\n\r\n")},
    {VIEW_INIT("status"), VIEW_INIT("HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n")},
    {VIEW_INIT("version"), VIEW_INIT("HTTP/3.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
    {VIEW_INIT("switch"), VIEW_INIT("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                    "Upgrade: unasked\r\n\r\n")},
    {VIEW_INIT("garbage"), VIEW_INIT("\x16\x03\x01 this is not HTTP\r\n\r\n\xff\xfe\r\n")},
    {VIEW_INIT("empty"), VIEW_INIT("\r\n\r\n")},
};

static void bad(struct origin_conn *c, struct view word)
{
    for (size_t i = 0; i < SP_COUNT_OF(bad_answers); i++) {
        if (!view_eq(bad_answers[i].word, word))
            continue;
        origin_raw(c, bad_answers[i].bytes);
        c->answer.end = ORIGIN_CLOSE;
        return;
    }
    origin_show_missing(c);
}

void origin_bad(struct origin_conn *c)
{
    bad(c, c->target.argument);
}

void origin_garbage(struct origin_conn *c)
{
    bad(c, VIEW("garbage"));
}
