/* Frame headers out of a stream of bytes, however it is cut. */
#include "http2_frame_scan.h"
#include "unit_test.h"

#include <string.h>

enum { MOST_FRAMES = 8 };

struct scanned {
    struct http2_frame frames[MOST_FRAMES];
    size_t n;
};

static struct scanned scan_in_steps(const uint8_t *bytes, size_t n, size_t step, bool preface)
{
    struct http2_frame_scan s;
    struct scanned out = {0};

    http2_frame_scan_init(&s, preface);
    for (size_t from = 0; from < n; from += step) {
        size_t end = from + step < n ? from + step : n, at = from, used = 0;

        for (;;) {
            at += http2_frame_scan_pass(&s, end - at);
            if (at == end ||
                !http2_frame_scan_head(&s, bytes + at, end - at, &used, &out.frames[out.n]))
                break;
            at += used;
            out.n++;
            assert_true(out.n < MOST_FRAMES);
        }
    }
    return out;
}

static void assert_frame(const struct http2_frame *f, uint8_t type, uint32_t length,
                         uint32_t content)
{
    assert_int_equal(f->type, type);
    assert_int_equal(f->length, length);
    assert_int_equal(f->content, content);
}

static void frames_are_told_however_the_bytes_are_cut(void **state)
{
    static const uint8_t bytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                   "\0\0\0\4\0\0\0\0\0"                  /* SETTINGS */
                                   "\0\0\6\1\44\0\0\0\1\0\0\0\0\0x"      /* HEADERS, priority */
                                   "\0\0\12\0\10\0\0\0\1\4hello\0\0\0\0" /* DATA, padded */
                                   "\0\0\1\0\10\0\0\0\1\0"               /* nothing but padding */
                                   "\0\0\4\10\0\0\0\0\0\0\0\0\1";        /* WINDOW_UPDATE */

    (void)state;
    for (size_t step = 1; step < sizeof(bytes); step++) {
        struct scanned s = scan_in_steps(bytes, sizeof(bytes) - 1, step, true);

        assert_int_equal(s.n, 5);
        assert_frame(&s.frames[0], HTTP2_FRAME_SETTINGS, 0, 0);
        assert_frame(&s.frames[1], HTTP2_FRAME_HEADERS, 6, 1);
        assert_frame(&s.frames[2], HTTP2_FRAME_DATA, 10, 5);
        assert_frame(&s.frames[3], HTTP2_FRAME_DATA, 1, 0);
        assert_frame(&s.frames[4], HTTP2_FRAME_WINDOW_UPDATE, 4, 4);
    }
}

static void padding_beyond_the_payload_leaves_no_content(void **state)
{
    static const uint8_t bytes[] = "\0\0\3\0\10\0\0\0\1\377ab" /* 255 bytes of 2 */
                                   "\0\0\3\1\50\0\0\0\1\0ab"   /* no room for the priority */
                                   "\0\0\0\0\10\0\0\0\1"       /* no room for the length */
                                   "\0\0\0\6\0\0\0\0\0";

    (void)state;
    for (size_t step = 1; step < sizeof(bytes); step++) {
        struct scanned s = scan_in_steps(bytes, sizeof(bytes) - 1, step, false);

        assert_int_equal(s.n, 4);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(s.frames[i].content, 0);
        assert_int_equal(s.frames[3].type, HTTP2_FRAME_PING);
    }
}

static void the_longest_payload_is_passed(void **state)
{
    static const uint8_t head[] = "\377\377\377\377\0\0\0\0\0";
    struct http2_frame_scan s;
    struct http2_frame f;
    size_t used = 0;

    (void)state;
    http2_frame_scan_init(&s, false);
    assert_true(http2_frame_scan_head(&s, head, 9, &used, &f));
    assert_frame(&f, 0xff, 0xffffff, 0xffffff);
    assert_int_equal(http2_frame_scan_pass(&s, 0xfffffe), 0xfffffe);
    assert_int_equal(http2_frame_scan_pass(&s, 5), 1);
    assert_int_equal(http2_frame_scan_pass(&s, 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_told_however_the_bytes_are_cut),
        cmocka_unit_test(padding_beyond_the_payload_leaves_no_content),
        cmocka_unit_test(the_longest_payload_is_passed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
