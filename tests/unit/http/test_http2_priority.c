/* The Priority field (RFC 9218 4). */
#include "http2_priority.h"
#include "unit_test.h"

static struct http2_priority of(const char *value)
{
    struct http_field field = {.name = VIEW("priority"), .id = HTTP_FIELD_PRIORITY};
    struct http_fields fields = {
        .v = &field, .n = 1, .cap = 1, .present = UINT64_C(1) << HTTP_FIELD_PRIORITY};
    struct http2_priority p = {0};

    field.value = view_of(value);
    assert_true(http2_priority_of(&fields, &p));
    return p;
}

static void urgency_and_incremental_are_read(void **state)
{
    static const struct {
        const char *value;
        uint8_t urgency;
        bool incremental;
    } cases[] = {
        {"u=0", 0, false},         {"u=7", 7, false},     {"i", 3, true},
        {"u=5, i", 5, true},       {"i=?1,u=2", 2, true}, {"i, i=?0", 3, false},
        {"u=1;x=2, i;y", 1, true}, {"", 3, false},        {"u=8", 3, false},
        {"u=-1", 3, false},        {"u=12", 3, false},    {"u=1.5", 3, false},
        {"u", 3, false},           {"i=1", 3, false},     {"x=1, u=4, y=\"a,u=1\"", 4, false},
        {"u=1, u=6", 6, false},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct http2_priority p = of(cases[i].value);

        assert_int_equal(p.urgency, cases[i].urgency);
        assert_int_equal(p.incremental, cases[i].incremental);
    }
}

static void without_the_field_nothing_is_said(void **state)
{
    struct http_fields none = {0};
    struct http2_priority p = {.urgency = 9};

    (void)state;
    assert_false(http2_priority_of(&none, &p));
    assert_int_equal(p.urgency, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urgency_and_incremental_are_read),
        cmocka_unit_test(without_the_field_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
