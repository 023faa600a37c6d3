#include "http2_library.h"
#include "unit_test.h"

#include <string.h>

static struct http2_memory memory;

static int setup(void **state)
{
    (void)state;
    http2_memory_init(&memory, 1000000);
    return 0;
}

static void *take(size_t size)
{
    void *p = memory.mem.malloc(size, &memory);

    assert_non_null(p);
    memset(p, 0x5a, size);
    return p;
}

static void give(void *p)
{
    memory.mem.free(p, &memory);
}

static void what_is_held_is_counted(void **state)
{
    void *small, *large;

    (void)state;
    small = take(1);
    large = take(100000);
    assert_int_equal(memory.used_bytes, 100001);
    give(small);
    assert_int_equal(memory.used_bytes, 100000);
    give(large);
    give(NULL);
    assert_int_equal(memory.used_bytes, 0);
}

static void what_grows_keeps_its_bytes(void **state)
{
    char *p;

    (void)state;
    p = memory.mem.realloc(take(50), 5000, &memory);
    assert_non_null(p);
    assert_int_equal(p[0], 0x5a);
    assert_int_equal(p[49], 0x5a);
    assert_int_equal(memory.used_bytes, 5000);
    give(p);
}

static void cleared_memory_is_clear_also_when_it_comes_again(void **state)
{
    const char *p;

    (void)state;
    give(take(200));
    p = memory.mem.calloc(10, 20, &memory);
    assert_non_null(p);
    for (int i = 0; i < 200; i++)
        assert_int_equal(p[i], 0);
    give((void *)(uintptr_t)p);
}

static void pieces_do_not_overlap(void **state)
{
    unsigned char *p[300];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < SP_COUNT_OF(p); i++) {
            p[i] = take(8 * i);
            memset(p[i], (int)(i & 0xff), 8 * i);
        }
        for (size_t i = 0; i < SP_COUNT_OF(p); i++)
            for (size_t k = 0; k < 8 * i; k++)
                assert_int_equal(p[i][k], i & 0xff);
        for (size_t i = 0; i < SP_COUNT_OF(p); i++)
            give(p[i]);
    }
    assert_int_equal(memory.used_bytes, 0);
}

#ifndef SALLYPORT_SANITIZED
/* Sizes of one class, in turns: nothing is asked of the system but for the first. */
static void a_size_that_comes_again_costs_no_allocation(void **state)
{
    void *first;

    (void)state;
    first = take(300);
    give(first);
    for (size_t size = 257; size <= 320; size++) {
        void *p = take(size);

        assert_ptr_equal(p, first);
        give(p);
    }
}

static void so_much_is_kept_and_no_more(void **state)
{
    void *p[400], *again[400];
    int kept = 0;

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(p); i++)
        p[i] = take(2048);
    for (size_t i = 0; i < SP_COUNT_OF(p); i++)
        give(p[i]);
    for (size_t i = 0; i < SP_COUNT_OF(p); i++)
        again[i] = take(2048);
    for (size_t i = 0; i < 128; i++) /* 256 KiB: the last that were let go of come first */
        for (size_t k = 0; k < SP_COUNT_OF(p); k++)
            kept += again[i] == p[k];
    assert_in_range(kept, 100, 128);
    for (size_t i = 0; i < SP_COUNT_OF(p); i++)
        give(again[i]);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_held_is_counted, setup),
        cmocka_unit_test_setup(what_grows_keeps_its_bytes, setup),
        cmocka_unit_test_setup(cleared_memory_is_clear_also_when_it_comes_again, setup),
        cmocka_unit_test_setup(pieces_do_not_overlap, setup),
#ifndef SALLYPORT_SANITIZED
        cmocka_unit_test_setup(a_size_that_comes_again_costs_no_allocation, setup),
        cmocka_unit_test_setup(so_much_is_kept_and_no_more, setup),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
