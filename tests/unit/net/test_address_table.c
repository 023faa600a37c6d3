/* A number for each address. */
#include "address_table.h"
#include "failing_alloc.h"
#include "unit_test.h"

#include <pthread.h>
#include <stdio.h>

static struct address_table table;

static int setup(void **state)
{
    (void)state;
    return address_table_init(&table, 24) == SP_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    address_table_fini(&table);
    return 0;
}

static union ip_endpoint address(const char *text)
{
    struct endpoint e;
    union ip_endpoint ip;

    assert_int_equal(endpoint_parse(view_of(text), &e), SP_OK);
    ip_endpoint_of(&e.sa, &ip);
    return ip;
}

/* ---- What the tests keep: a count with a bound ---- */

static bool is_zero(uint64_t value, const void *arg)
{
    (void)arg;
    return value == 0;
}

static bool up(uint64_t *value, const void *arg)
{
    if (*value >= *(const uint64_t *)arg)
        return false;
    (*value)++;
    return true;
}

static bool down(uint64_t *value, const void *arg)
{
    (void)arg;
    (*value)--;
    return true;
}

static const struct address_table_ops count_up = {is_zero, up}, count_down = {is_zero, down};

static enum sp_err add(const char *text, uint64_t most)
{
    union ip_endpoint ip = address(text);

    return address_table_change(&table, &ip, &count_up, &most);
}

static void take_away(const char *text)
{
    union ip_endpoint ip = address(text);

    address_table_change_known(&table, &ip, &count_down, NULL);
}

static void each_address_has_a_number_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(add("192.0.2.1:1", 2), SP_OK);
    assert_int_equal(add("192.0.2.1:2", 2), SP_OK);
    assert_int_equal(add("192.0.2.1:3", 2), SP_THROTTLED);
    assert_int_equal(add("192.0.2.2:3", 2), SP_OK);
    take_away("192.0.2.1:9");
    assert_int_equal(add("192.0.2.1:3", 2), SP_OK);
    assert_int_equal(add("192.0.2.1:3", 2), SP_THROTTLED);
}

static void an_ipv6_network_of_64_bits_is_one_address(void **state)
{
    (void)state;
    assert_int_equal(add("[2001:db8::1]:1", 1), SP_OK);
    assert_int_equal(add("[2001:db8::ffff:2]:1", 1), SP_THROTTLED);
    assert_int_equal(add("[2001:db8:0:1::1]:1", 1), SP_OK);
}

static void a_mapped_address_is_the_ipv4_address(void **state)
{
    (void)state;
    assert_int_equal(add("192.0.2.1:1", 1), SP_OK);
    assert_int_equal(add("[::ffff:192.0.2.1]:1", 1), SP_THROTTLED);
}

static void what_is_not_there_cannot_be_taken_away(void **state)
{
    (void)state;
    take_away("192.0.2.1:1");
    assert_int_equal(add("192.0.2.1:1", 1), SP_OK);
}

static void a_table_that_is_full_refuses_nobody(void **state)
{
    char text[64];

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        (void)snprintf(text, sizeof(text), "10.%u.%u.%u:1", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(add(text, UINT32_MAX), SP_OK);
    }
}

static void *add_and_take_away(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++)
        if (add("192.0.2.1:1", 1000) == SP_OK)
            take_away("192.0.2.1:1");
    return NULL;
}

static void threads_that_change_one_address_lose_nothing(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_take_away, NULL), 0);
    for (size_t i = 0; i < SP_COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(add("192.0.2.1:1", 1), SP_OK); /* it was at 0 */
}

static void without_memory_there_is_no_table(void **state)
{
    struct address_table none = {0};

    (void)state;
    failing_alloc_arm(0);
    assert_int_equal(address_table_init(&none, 24), SP_NOMEM);
    assert_true(failing_alloc_hit());
    address_table_fini(&none);
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(each_address_has_a_number_of_its_own),
        TABLE_TEST(an_ipv6_network_of_64_bits_is_one_address),
        TABLE_TEST(a_mapped_address_is_the_ipv4_address),
        TABLE_TEST(what_is_not_there_cannot_be_taken_away),
        TABLE_TEST(a_table_that_is_full_refuses_nobody),
        TABLE_TEST(threads_that_change_one_address_lose_nothing),
        TABLE_TEST(without_memory_there_is_no_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
