/* Pages that make content: so many bytes, in pieces, slowly, without a length. */
#include "origin_internal.h"

#include <stdio.h>

#define STEP_BYTES      ((uint64_t)64 * 1024)
#define MAX_PAUSE_MS    600000
#define TYPE_OF_PATTERN "application/octet-stream"

static uint64_t at_most(uint64_t n, uint64_t most)
{
    return n < most ? n : most;
}

static int64_t pause_of(const struct origin_conn *c, int64_t otherwise)
{
    return (int64_t)origin_query_number(&c->target, VIEW("ms"), MAX_PAUSE_MS, (uint64_t)otherwise);
}

/* The next piece of the pattern; ends a chunked answer. */
static enum origin_more more_pattern(struct origin_conn *c)
{
    struct origin_answer *a = &c->answer;
    size_t n = (size_t)at_most(a->left, a->piece);

    origin_content_pattern(c, n);
    a->left -= n;
    if (a->left > 0 && a->pause_ms > 0)
        origin_pause(c, a->pause_ms);
    return a->left > 0 ? ORIGIN_AGAIN : ORIGIN_DONE;
}

static enum origin_more more_chunks(struct origin_conn *c)
{
    char text[64];

    if (more_pattern(c) != ORIGIN_DONE)
        return ORIGIN_AGAIN;
    int n = snprintf(text, sizeof(text), "X-Checksum: fnv1a64 %016llx\r\n",
                     (unsigned long long)c->answer.checksum);
    origin_content_end(
        c, view_head((struct view){text, (size_t)n}, c->answer.trailers ? sizeof(text) : 0));
    return ORIGIN_DONE;
}

static void start(struct origin_conn *c, enum origin_more (*more)(struct origin_conn *c),
                  uint64_t piece)
{
    c->answer.left = c->answer.bodyless ? 0 : c->number;
    c->answer.piece = piece;
    c->answer.more = more;
}

void origin_bytes(struct origin_conn *c)
{
    origin_reply_head(
        c, &(struct origin_reply){.status = 200, .type = TYPE_OF_PATTERN, .length = c->number});
    start(c, more_pattern, STEP_BYTES);
}

void origin_chunked(struct origin_conn *c)
{
    c->answer.trailers = origin_query_flag(&c->target, VIEW("trailers"));
    c->answer.checksum = FNV1A64_START;
    c->answer.pause_ms = pause_of(c, 0);
    origin_reply_head(c, &(struct origin_reply){.status = 200,
                                                .type = TYPE_OF_PATTERN,
                                                .framing = ORIGIN_CHUNKED,
                                                .fields = c->answer.trailers
                                                              ? VIEW("Trailer: X-Checksum\r\n")
                                                              : VIEW("")});
    start(c, more_chunks,
          origin_query_number(&c->target, VIEW("size"), STEP_BYTES, (uint64_t)16 * 1024));
    if (c->answer.piece == 0)
        c->answer.piece = 1;
}

void origin_slow(struct origin_conn *c)
{
    c->answer.pause_ms = pause_of(c, 100);
    origin_bytes(c);
    c->answer.piece = 1;
}

static enum origin_more more_delayed(struct origin_conn *c)
{
    origin_show_json(c);
    return ORIGIN_DONE;
}

void origin_delay(struct origin_conn *c)
{
    c->answer.more = more_delayed;
    if (c->number > 0)
        origin_pause(c, (int64_t)c->number);
}

void origin_status(struct origin_conn *c)
{
    unsigned status = c->number < 200 || c->number > 599 ? 400 : (unsigned)c->number;
    bool moved = status / 100 == 3 && status != 304;
    char text[64];
    int n = snprintf(text, sizeof(text), "%u %s\n", status, http_status_reason(status));

    origin_reply_head(c,
                      &(struct origin_reply){.status = status,
                                             .length = (uint64_t)n,
                                             .fields = moved ? VIEW("Location: /\r\n") : VIEW("")});
    origin_content(c, (struct view){text, (size_t)n});
}

void origin_headers(struct origin_conn *c)
{
    uint64_t size = origin_query_number(&c->target, VIEW("size"), 65536, 16);
    struct iobuf lines;
    struct view text;
    char name[32];

    iobuf_init(&lines);
    for (uint64_t i = 0; i < c->number && !c->failed; i++) {
        int n = snprintf(name, sizeof(name), "X-Filler-%04u: ", (unsigned)i);

        c->failed = iobuf_append(&lines, name, (size_t)n) != SP_OK;
        for (uint64_t k = 0; k < size && !c->failed; k += 16)
            c->failed =
                iobuf_append(&lines, "0123456789abcdef", (size_t)at_most(size - k, 16)) != SP_OK;
        c->failed = c->failed || iobuf_append(&lines, "\r\n", 2) != SP_OK;
    }
    if (c->failed || iobuf_pullup(&lines, lines.len, &text) != SP_OK)
        c->failed = true;
    else
        origin_reply_head(c, &(struct origin_reply){.status = 200, .fields = text});
    iobuf_clear(&lines);
}

void origin_close_delimited(struct origin_conn *c)
{
    origin_reply_head(c, &(struct origin_reply){
                             .status = 200, .type = TYPE_OF_PATTERN, .framing = ORIGIN_TO_CLOSE});
    start(c, more_pattern, STEP_BYTES);
}

void origin_interim(struct origin_conn *c)
{
    uint64_t n = origin_query_number(&c->target, VIEW("n"), 100, 1);

    if (c->head.version == HTTP_VERSION_1_0)
        n = 0; /* RFC 9110 15.2 */
    for (uint64_t i = 0; i < n; i++)
        origin_raw(c, VIEW("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; "
                           "as=style\r\n\r\n"));
    origin_show_json(c);
}

static void echo_head(struct origin_conn *c)
{
    origin_reply_head(c, &(struct origin_reply){.status = 200,
                                                .type = "application/octet-stream",
                                                .framing = ORIGIN_CHUNKED});
}

void origin_echo_body(struct origin_conn *c, struct iobuf *data)
{
    if (!c->answer.head_sent)
        echo_head(c);
    origin_content_move(c, data);
}

/* Trailers of the request become those of the answer. The section ends with the empty line that
 * origin_content_end() writes itself. */
void origin_echo(struct origin_conn *c)
{
    struct view trailers = c->body.trailers;

    if (!c->answer.head_sent)
        echo_head(c);
    origin_content_end(c, view_head(trailers, trailers.len < 2 ? 0 : trailers.len - 2));
}
