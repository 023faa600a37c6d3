/* Writing answers: heads, content with its framing, and bytes as they are. A page that runs out of
 * memory in here goes on writing into nothing; the connection looks at `failed` afterwards. */
#include "origin_internal.h"

#include <stdio.h>
#include <time.h>

#define PATTERN_BYTES 65521U /* a prime, so that no power of two fits into it */

static char pattern[PATTERN_BYTES];

void origin_pattern_init(void)
{
    for (uint64_t j = 0; j < PATTERN_BYTES; j++)
        pattern[j] = (char)('a' + j * j % PATTERN_BYTES % 26);
}

void origin_raw(struct origin_conn *c, struct view bytes)
{
    if (iobuf_append_view(&c->out, bytes) != SP_OK)
        c->failed = true;
}

/* RFC 9110 5.6.7, made once a second. */
static const char *date_now(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t made;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if (now != made && gmtime_r(&now, &tm) != NULL) {
        (void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        made = now;
    }
    return text;
}

static bool status_has_no_content(unsigned status)
{
    return status == 204 || status == 304;
}

/* What this client understands of the framing asked for. */
static enum origin_framing framing_for(const struct origin_conn *c, enum origin_framing wanted)
{
    if (wanted == ORIGIN_CHUNKED && c->head.version == HTTP_VERSION_1_0)
        return ORIGIN_TO_CLOSE;
    return wanted;
}

static void framing_line(char *line, size_t cap, enum origin_framing framing, uint64_t length)
{
    switch (framing) {
    case ORIGIN_LENGTH:
        (void)snprintf(line, cap, "Content-Length: %llu\r\n", (unsigned long long)length);
        break;
    case ORIGIN_CHUNKED: (void)snprintf(line, cap, "Transfer-Encoding: chunked\r\n"); break;
    case ORIGIN_TO_CLOSE:
    case ORIGIN_UNFRAMED: line[0] = '\0'; break;
    }
}

void origin_reply_head(struct origin_conn *c, const struct origin_reply *r)
{
    enum origin_framing framing = framing_for(c, r->framing);
    char text[1024], framing_text[64] = "";
    bool bodyless = c->head.method == HTTP_METHOD_HEAD || status_has_no_content(r->status);
    bool close = framing == ORIGIN_TO_CLOSE || !c->head.keep_alive;

    if (!status_has_no_content(r->status))
        framing_line(framing_text, sizeof(framing_text), framing, r->length);
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %u %s\r\nServer: sallyport-origin\r\nDate: %s\r\n"
                     "X-Origin: %.64s\r\nX-Origin-Connection: %llu\r\nX-Origin-Request: %llu\r\n"
                     "Content-Type: %s\r\n%s%s",
                     r->status, http_status_reason(r->status), date_now(), c->origin->options->name,
                     (unsigned long long)c->id, (unsigned long long)c->n_requests,
                     r->type != NULL ? r->type : "text/plain; charset=utf-8", framing_text,
                     close ? "Connection: close\r\n" : "");
    origin_raw(c, (struct view){text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0});
    origin_raw(c, r->fields);
    origin_raw(c, VIEW("\r\n"));
    c->answer.chunked = framing == ORIGIN_CHUNKED;
    c->answer.bodyless = bodyless;
    c->answer.head_sent = true;
    if (close && c->answer.end == ORIGIN_KEEP)
        c->answer.end = ORIGIN_CLOSE;
}

static void chunk_size(struct origin_conn *c, size_t n)
{
    char line[24];

    if (!c->answer.chunked)
        return;
    int len = snprintf(line, sizeof(line), "%zx\r\n", n);
    origin_raw(c, (struct view){line, (size_t)len});
}

static void chunk_end(struct origin_conn *c)
{
    if (c->answer.chunked)
        origin_raw(c, VIEW("\r\n"));
}

void origin_content(struct origin_conn *c, struct view bytes)
{
    c->answer.sent += bytes.len;
    if (c->answer.bodyless || bytes.len == 0)
        return;
    chunk_size(c, bytes.len);
    origin_raw(c, bytes);
    chunk_end(c);
}

void origin_content_move(struct origin_conn *c, struct iobuf *data)
{
    c->answer.sent += data->len;
    if (!c->answer.bodyless && data->len > 0) {
        chunk_size(c, data->len);
        iobuf_move_all(&c->out, data);
        chunk_end(c);
    }
    iobuf_clear(data);
}

void origin_content_pattern(struct origin_conn *c, size_t n)
{
    if (c->answer.bodyless) {
        c->answer.sent += n;
        return;
    }
    chunk_size(c, n);
    while (n > 0) {
        size_t at = (size_t)(c->answer.sent % PATTERN_BYTES);
        struct view piece = view_head((struct view){pattern + at, PATTERN_BYTES - at}, n);

        if (c->answer.trailers)
            c->answer.checksum = fnv1a64(c->answer.checksum, piece);
        origin_raw(c, piece);
        c->answer.sent += piece.len;
        n -= piece.len;
    }
    chunk_end(c);
}

void origin_content_end(struct origin_conn *c, struct view trailers)
{
    if (c->answer.bodyless || !c->answer.chunked)
        return;
    origin_raw(c, VIEW("0\r\n"));
    origin_raw(c, trailers);
    origin_raw(c, VIEW("\r\n"));
}

void origin_reply_text(struct origin_conn *c, unsigned status, const char *type, struct view text)
{
    origin_reply_head(c,
                      &(struct origin_reply){.status = status, .type = type, .length = text.len});
    origin_content(c, text);
}
