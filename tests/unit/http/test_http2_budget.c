/* Allowances: what is charged, what gives it back, and what the bytes of a peer cost. */
#include "http2_budget.h"
#include "unit_test.h"

#include <sallyport/base/metrics.h>
#include <sallyport/net/net_vconnection.h>

#include <string.h>

enum { NOW_MS = 1000000 };

static const struct http2_budgets_conf defaults = {.allowance = {
#define X(id, key, def, ...) [HTTP2_BUDGET_##id] = (def),
                                                       HTTP2_BUDGETS(X)
#undef X
                                                   }};

static struct http2_budget fresh(enum http2_budget_peer peer)
{
    struct http2_budget b;

    http2_budget_init(&b, &defaults, peer);
    return b;
}

/* How many units fit one by one before there is no room; at most `most` are tried. */
static uint32_t room_left(struct http2_budget b, enum http2_budget_id id, uint32_t most,
                          int64_t now)
{
    uint32_t n = 0;

    while (n < most && http2_budget_charge(&b, id, 1, now))
        n++;
    return n;
}

static void assert_room(const struct http2_budget *b, enum http2_budget_id id, uint32_t n,
                        int64_t now)
{
    assert_int_equal(room_left(*b, id, n + 10, now), n);
}

/* ---- Accounts ---- */

static void each_budget_has_room_for_its_default_and_no_more(void **state)
{
    (void)state;
    for (unsigned id = 0; id < HTTP2_BUDGET_COUNT; id++) {
        struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);
        uint32_t allowance = defaults.allowance[id];
        uint32_t more = allowance / 1000 + 1; /* what rounding may grant */

        assert_true(http2_budget_charge(&b, id, allowance, NOW_MS));
        assert_false(http2_budget_exceeded(&b));
        assert_false(http2_budget_charge(&b, id, more, NOW_MS));
        assert_int_equal(b.over, id);
    }
}

static void a_server_may_do_more_than_a_client(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_SERVER);

    (void)state;
    assert_room(&b, HTTP2_BUDGET_PINGS, 200 * HTTP2_BUDGET_SERVER_FACTOR, NOW_MS);
}

static void the_allowance_comes_back_with_time(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    http2_budget_charge(&b, HTTP2_BUDGET_SETTINGS, 100, NOW_MS);
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 0, NOW_MS);
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 1, NOW_MS + HTTP2_BUDGET_REFILL_MS / 100);
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 50, NOW_MS + HTTP2_BUDGET_REFILL_MS / 2);
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 100, NOW_MS + HTTP2_BUDGET_REFILL_MS);
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 100, NOW_MS + INT64_C(1000) * HTTP2_BUDGET_REFILL_MS);
}

static void nothing_is_lost_to_rounding_however_often_it_is_used(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    http2_budget_charge(&b, HTTP2_BUDGET_STALLED_STREAMS, 20, NOW_MS);
    for (int64_t now = NOW_MS + 500; now < NOW_MS + 100000; now += 500)
        assert_true(http2_budget_charge(&b, HTTP2_BUDGET_STALLED_STREAMS, 1, now));
    assert_false(http2_budget_charge(&b, HTTP2_BUDGET_STALLED_STREAMS, 1, NOW_MS + 99999));
}

static void continuations_do_not_come_back_with_time(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    http2_budget_charge(&b, HTTP2_BUDGET_CONTINUATIONS, 8, NOW_MS);
    assert_room(&b, HTTP2_BUDGET_CONTINUATIONS, 0, NOW_MS + INT64_C(3600000));
}

static void requests_that_end_well_give_back(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    for (int i = 0; i < 10000; i++) { /* half of all streams are reset, for ever */
        assert_true(http2_budget_charge(&b, HTTP2_BUDGET_RAPID_RESETS, 1, NOW_MS));
        http2_budget_request_done(&b);
    }
    http2_budget_charge(&b, HTTP2_BUDGET_RAPID_RESETS, 400, NOW_MS);
    http2_budget_request_done(&b);
    assert_room(&b, HTTP2_BUDGET_RAPID_RESETS, 1, NOW_MS);
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 100, NOW_MS);
}

static void work_done_before_does_not_add_to_the_allowance(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    for (int i = 0; i < 1000; i++)
        http2_budget_request_done(&b);
    assert_room(&b, HTTP2_BUDGET_RAPID_RESETS, 400, NOW_MS);
}

static void frames_and_bytes_that_are_sent_give_back(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    http2_budget_charge(&b, HTTP2_BUDGET_WINDOW_UPDATES, 2000, NOW_MS);
    http2_budget_data_sent(&b, 1, false, NOW_MS);
    assert_room(&b, HTTP2_BUDGET_WINDOW_UPDATES, 2, NOW_MS);
    http2_budget_data_sent(&b, 16384, false, NOW_MS);
    assert_room(&b, HTTP2_BUDGET_WINDOW_UPDATES, 2 + 2 + 4, NOW_MS);
}

static void a_starved_frame_costs_and_gives_nothing_back(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    http2_budget_charge(&b, HTTP2_BUDGET_WINDOW_UPDATES, 2000, NOW_MS);
    for (int i = 0; i < 400; i++)
        assert_true(http2_budget_data_sent(&b, 1, true, NOW_MS));
    assert_room(&b, HTTP2_BUDGET_WINDOW_UPDATES, 0, NOW_MS);
    assert_false(http2_budget_data_sent(&b, 1, true, NOW_MS));
    assert_int_equal(b.over, HTTP2_BUDGET_STARVED_FRAMES);
}

static void a_frame_is_starved_by_the_window_alone(void **state)
{
    (void)state;
    assert_true(http2_budget_is_starved(1, 1000, 1));
    assert_false(http2_budget_is_starved(1, 1, 1));        /* there was no more */
    assert_false(http2_budget_is_starved(1, 1000, 65535)); /* cut for another reason */
    assert_false(http2_budget_is_starved(256, 1000, 256)); /* large enough */
}

static void an_allowance_of_zero_is_no_limit(void **state)
{
    struct http2_budgets_conf conf = defaults;
    struct http2_budget b;

    (void)state;
    conf.allowance[HTTP2_BUDGET_PINGS] = 0;
    http2_budget_init(&b, &conf, HTTP2_BUDGET_CLIENT);
    for (int i = 0; i < 1000; i++)
        assert_true(http2_budget_charge(&b, HTTP2_BUDGET_PINGS, UINT32_MAX, NOW_MS));
}

static void neither_large_nor_small_allowances_overflow(void **state)
{
    static const uint32_t allowances[] = {1, UINT32_MAX};

    (void)state;
    for (size_t a = 0; a < SP_COUNT_OF(allowances); a++) {
        struct http2_budgets_conf conf;
        struct http2_budget b;

        for (unsigned id = 0; id < HTTP2_BUDGET_COUNT; id++)
            conf.allowance[id] = allowances[a];
        http2_budget_init(&b, &conf, HTTP2_BUDGET_SERVER);
        for (int i = 0; i < 1000; i++) {
            http2_budget_charge(&b, HTTP2_BUDGET_HEADER_BYTES, UINT32_MAX, INT64_C(1) << 40);
            http2_budget_data_sent(&b, 1 << 24, false, INT64_C(1) << 40);
            http2_budget_request_done(&b);
        }
        assert_true(http2_budget_exceeded(&b));
    }
}

static void the_first_budget_that_is_exceeded_stays_the_reason(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    http2_budget_charge(&b, HTTP2_BUDGET_SETTINGS, 101, NOW_MS);
    http2_budget_charge(&b, HTTP2_BUDGET_PINGS, 1000, NOW_MS);
    http2_budget_charge(&b, HTTP2_BUDGET_PRIORITIES, 1, NOW_MS + 60000);
    assert_string_equal(http2_budget_name(b.over), "settings");
}

/* ---- What the session tells ---- */

static void resets_for_our_own_sake_are_free(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_true(http2_budget_reset_sent(&b, 0x0, NOW_MS)); /* NO_ERROR */
        assert_true(http2_budget_reset_sent(&b, 0x2, NOW_MS)); /* INTERNAL_ERROR */
        assert_true(http2_budget_reset_sent(&b, 0x8, NOW_MS)); /* CANCEL */
    }
    for (int i = 0; i < 200; i++)
        assert_true(http2_budget_reset_sent(&b, i % 2 == 0 ? 0x1 : 0x5, NOW_MS));
    assert_false(http2_budget_reset_sent(&b, 0x3, NOW_MS)); /* FLOW_CONTROL_ERROR */
    assert_int_equal(b.over, HTTP2_BUDGET_PROVOKED_RESETS);
}

static void decoded_fields_count_with_their_overhead(void **state)
{
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);
    int fields = 0;

    (void)state;
    while (http2_budget_field(&b, 1, 4000 - 33, NOW_MS))
        fields++;
    assert_int_equal(fields, 8 * 1024 * 1024 / 4000);
    assert_int_equal(b.over, HTTP2_BUDGET_HEADER_BYTES);
    assert_false(http2_budget_field(&b, SIZE_MAX / 2, 4, NOW_MS));
}

/* ---- What arrives ---- */

struct flood {
    const char *frame;
    size_t len;
    enum http2_budget_id over;
    uint32_t fit; /* so many of them have room */
};

#define FRAME(bytes) bytes, sizeof(bytes) - 1

/* clang-format off */
static const struct flood floods[] = {
    {FRAME("\0\0\4\3\0\0\0\0\1\0\0\0\10"), HTTP2_BUDGET_RAPID_RESETS, 400},
    {FRAME("\0\0\0\4\0\0\0\0\0"), HTTP2_BUDGET_SETTINGS, 100},
    {FRAME("\0\0\10\6\0\0\0\0\0" "12345678"), HTTP2_BUDGET_PINGS, 200},
    {FRAME("\0\0\0\0\0\0\0\0\1"), HTTP2_BUDGET_EMPTY_DATA, 200},
    {FRAME("\0\0\5\0\10\0\0\0\1\4" "\0\0\0\0"), HTTP2_BUDGET_EMPTY_DATA, 200},
    {FRAME("\0\0\0\1\0\0\0\0\1"), HTTP2_BUDGET_EMPTY_HEADERS, 50},
    {FRAME("\0\0\5\1\40\0\0\0\1" "\0\0\0\0\0"), HTTP2_BUDGET_EMPTY_HEADERS, 50},
    {FRAME("\0\0\5\2\0\0\0\0\3" "\0\0\0\0\0"), HTTP2_BUDGET_PRIORITIES, 1000},
    {FRAME("\0\0\7\20\0\0\0\0\0" "\0\0\0\1u=1"), HTTP2_BUDGET_PRIORITIES, 1000},
    {FRAME("\0\0\4\10\0\0\0\0\0" "\0\0\0\1"), HTTP2_BUDGET_WINDOW_UPDATES, 2000},
    {FRAME("\0\0\1\11\0\0\0\0\1" "x"), HTTP2_BUDGET_CONTINUATIONS, 8},
    {FRAME("\0\0\1\377\0\0\0\0\1" "x"), HTTP2_BUDGET_TINY_FRAMES, 50000},
    {FRAME("\0\0\0\4\1\0\0\0\0"), HTTP2_BUDGET_TINY_FRAMES, 50000},              /* SETTINGS, ACK */
    {FRAME("\0\0\10\6\1\0\0\0\0" "12345678"), HTTP2_BUDGET_TINY_FRAMES, 50000},  /* PING, ACK */
};
/* clang-format on */

static void each_flood_is_stopped_before_the_frame_that_has_no_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(floods); i++) {
        const struct flood *f = &floods[i];
        struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);
        uint32_t fit = 0;

        b.scan.skip = 0; /* the preface has passed */
        while (http2_budget_feed(&b, (const uint8_t *)f->frame, f->len, NOW_MS) == f->len)
            fit++;
        assert_int_equal(fit, f->fit);
        assert_int_equal(b.over, f->over);
        assert_int_equal(http2_budget_feed(&b, (const uint8_t *)f->frame, 1, NOW_MS), 0);
    }
}

static void blocks_cost_their_bytes_whatever_becomes_of_them(void **state)
{
    enum { BLOCK_BYTES = 16384, FIT = 8 * 1024 * 1024 / BLOCK_BYTES };
    static uint8_t bytes[9 + BLOCK_BYTES] = {
        0, BLOCK_BYTES >> 8, 0, HTTP2_FRAME_HEADERS, HTTP2_FLAG_END_HEADERS, 0, 0, 0, 1};
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    b.scan.skip = 0;
    for (int i = 0; i < FIT; i++)
        assert_int_equal(http2_budget_feed(&b, bytes, sizeof(bytes), NOW_MS), sizeof(bytes));
    assert_int_equal(http2_budget_feed(&b, bytes, sizeof(bytes), NOW_MS), 0);
    assert_int_equal(b.over, HTTP2_BUDGET_HEADER_BYTES);
}

static void the_bytes_before_a_frame_without_room_may_be_used(void **state)
{
    enum { FRAME_BYTES = 9, FRAMES = 150 };
    uint8_t bytes[FRAMES * FRAME_BYTES];

    (void)state;
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(bytes + i * FRAME_BYTES, "\0\0\0\4\0\0\0\0\0", FRAME_BYTES);
    for (size_t step = 1; step <= sizeof(bytes); step += 7) {
        struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);
        size_t used = 0;

        b.scan.skip = 0;
        while (!http2_budget_exceeded(&b)) {
            size_t n = sizeof(bytes) - used < step ? sizeof(bytes) - used : step;

            used += http2_budget_feed(&b, bytes + used, n, NOW_MS);
        }
        /* What had come of the frame's header cannot be taken back. */
        assert_in_range(used, 100 * FRAME_BYTES, 101 * FRAME_BYTES - 1);
    }
}

static void an_ordinary_connection_owes_next_to_nothing(void **state)
{
    static const uint8_t start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                   "\0\0\0\4\0\0\0\0\0"
                                   "\0\0\4\10\0\0\0\0\0\0\277\0\1"
                                   "\0\0\0\4\1\0\0\0\0";
    static const uint8_t request[] = "\0\0\12\1\5\0\0\0\1"
                                     "0123456789"
                                     "\0\0\4\10\0\0\0\0\0\0\0\0\100";
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    assert_int_equal(http2_budget_feed(&b, start, sizeof(start) - 1, NOW_MS), sizeof(start) - 1);
    for (int i = 0; i < 1000000; i++) { /* all in the same millisecond */
        http2_budget_feed(&b, request, sizeof(request) - 1, NOW_MS);
        http2_budget_field(&b, 5, 300, NOW_MS);
        http2_budget_data_sent(&b, 2, false, NOW_MS);
        http2_budget_request_done(&b);
    }
    assert_false(http2_budget_exceeded(&b));
    assert_room(&b, HTTP2_BUDGET_SETTINGS, 99, NOW_MS);
}

/* ---- The end ---- */

static void the_end_is_counted_under_its_name(void **state)
{
    struct net_vconnection vc = {.id = 1};
    struct metrics before, after;
    struct http2_budget b = fresh(HTTP2_BUDGET_CLIENT);

    (void)state;
    metrics_sum(&before);
    http2_budget_report(&b, &vc); /* nothing happened */
    http2_budget_charge(&b, HTTP2_BUDGET_EMPTY_DATA, 1000, NOW_MS);
    http2_budget_report(&b, &vc);
    metrics_sum(&after);
    assert_int_equal(after.http2_over_empty_data, before.http2_over_empty_data + 1);
    assert_int_equal(after.http2_over_settings, before.http2_over_settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_budget_has_room_for_its_default_and_no_more),
        cmocka_unit_test(a_server_may_do_more_than_a_client),
        cmocka_unit_test(the_allowance_comes_back_with_time),
        cmocka_unit_test(nothing_is_lost_to_rounding_however_often_it_is_used),
        cmocka_unit_test(continuations_do_not_come_back_with_time),
        cmocka_unit_test(requests_that_end_well_give_back),
        cmocka_unit_test(work_done_before_does_not_add_to_the_allowance),
        cmocka_unit_test(frames_and_bytes_that_are_sent_give_back),
        cmocka_unit_test(a_starved_frame_costs_and_gives_nothing_back),
        cmocka_unit_test(a_frame_is_starved_by_the_window_alone),
        cmocka_unit_test(an_allowance_of_zero_is_no_limit),
        cmocka_unit_test(neither_large_nor_small_allowances_overflow),
        cmocka_unit_test(the_first_budget_that_is_exceeded_stays_the_reason),
        cmocka_unit_test(resets_for_our_own_sake_are_free),
        cmocka_unit_test(decoded_fields_count_with_their_overhead),
        cmocka_unit_test(each_flood_is_stopped_before_the_frame_that_has_no_room),
        cmocka_unit_test(blocks_cost_their_bytes_whatever_becomes_of_them),
        cmocka_unit_test(the_bytes_before_a_frame_without_room_may_be_used),
        cmocka_unit_test(an_ordinary_connection_owes_next_to_nothing),
        cmocka_unit_test(the_end_is_counted_under_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
