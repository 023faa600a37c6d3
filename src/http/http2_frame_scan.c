/* Frame headers as they pass. A padded frame is told when the byte behind its header has come,
 * which says how much of the payload is padding. */
#include "http2_frame_scan.h"

#include <string.h>

enum { PRIORITY_FIELD_BYTES = 5 };

void http2_frame_scan_init(struct http2_frame_scan *s, bool preface)
{
    *s = (struct http2_frame_scan){.skip = preface ? HTTP2_CLIENT_PREFACE_BYTES : 0};
}

size_t http2_frame_scan_pass(struct http2_frame_scan *s, size_t n)
{
    size_t passed = n < s->skip ? n : s->skip;

    s->skip -= (uint32_t)passed;
    return passed;
}

static struct http2_frame frame_of(const uint8_t *head)
{
    uint32_t length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];

    return (struct http2_frame){.type = head[3], .flags = head[4], .length = length};
}

/* Does the payload begin with the length of its padding? An empty one cannot. */
static bool is_padded(const struct http2_frame *f)
{
    return (f->type == HTTP2_FRAME_DATA || f->type == HTTP2_FRAME_HEADERS) &&
           (f->flags & HTTP2_FLAG_PADDED) != 0 && f->length > 0;
}

static uint32_t content_of(const struct http2_frame *f, uint32_t padding)
{
    uint32_t other = padding;

    if (is_padded(f))
        other++;
    if (f->type == HTTP2_FRAME_HEADERS && (f->flags & HTTP2_FLAG_PRIORITY) != 0)
        other += PRIORITY_FIELD_BYTES;
    return f->length > other ? f->length - other : 0;
}

bool http2_frame_scan_head(struct http2_frame_scan *s, const uint8_t *bytes, size_t n, size_t *used,
                           struct http2_frame *frame)
{
    size_t taken = (size_t)(HTTP2_FRAME_HEAD_BYTES - s->have);
    uint8_t padding = 0;

    if (taken > n)
        taken = n;
    memcpy(s->head + s->have, bytes, taken);
    s->have += (uint8_t)taken;
    *used = taken;
    if (s->have < HTTP2_FRAME_HEAD_BYTES)
        return false;
    *frame = frame_of(s->head);
    if (is_padded(frame)) {
        if (taken == n)
            return false;       /* the padding's length is to come */
        padding = bytes[taken]; /* looked at here, passed with the payload */
    }
    frame->content = content_of(frame, padding);
    s->skip = frame->length;
    s->have = 0;
    return true;
}
