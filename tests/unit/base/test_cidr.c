/* Networks: what is one, and who is inside. */
#include "unit_test.h"

#include <sallyport/base/endpoint.h>

#include <string.h>

static union ip_endpoint ip_of(const char *text)
{
    struct endpoint e;
    union ip_endpoint ip;

    assert_int_equal(endpoint_parse(view_of(text), &e), SP_OK);
    ip_endpoint_of(&e.sa, &ip);
    return ip;
}

static struct cidr net_of(const char *text)
{
    struct cidr c;

    assert_int_equal(cidr_parse(view_of(text), &c), SP_OK);
    return c;
}

static bool inside(const char *net, const char *endpoint)
{
    struct cidr c = net_of(net);
    union ip_endpoint ip = ip_of(endpoint);

    return cidr_contains(&c, &ip);
}

static void a_network_contains_its_first_and_last_address_and_no_neighbour(void **state)
{
    (void)state;
    assert_true(inside("10.0.0.0/8", "10.0.0.0:1"));
    assert_true(inside("10.0.0.0/8", "10.255.255.255:1"));
    assert_false(inside("10.0.0.0/8", "9.255.255.255:1"));
    assert_false(inside("10.0.0.0/8", "11.0.0.0:1"));
    assert_true(inside("192.0.2.64/27", "192.0.2.95:1"));
    assert_false(inside("192.0.2.64/27", "192.0.2.96:1"));
    assert_false(inside("192.0.2.64/27", "192.0.2.63:1"));
    assert_true(inside("2001:db8::/33", "[2001:db8:7fff::1]:1"));
    assert_false(inside("2001:db8::/33", "[2001:db8:8000::1]:1"));
}

static void a_bare_address_contains_itself_alone(void **state)
{
    (void)state;
    assert_true(inside("192.0.2.1", "192.0.2.1:443"));
    assert_false(inside("192.0.2.1", "192.0.2.2:443"));
    assert_true(inside("::1", "[::1]:443"));
    assert_false(inside("::1/128", "[::2]:443"));
}

static void a_mapped_address_is_the_ipv4_one(void **state)
{
    (void)state;
    assert_true(inside("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
    assert_true(inside("::ffff:10.0.0.0/104", "10.1.2.3:1"));
    assert_false(inside("10.0.0.0/8", "[::10.1.2.3]:1"));
}

static void the_zero_prefixes_are_ipv4_and_everything(void **state)
{
    (void)state;
    assert_true(inside("0.0.0.0/0", "203.0.113.9:1"));
    assert_false(inside("0.0.0.0/0", "[2001:db8::1]:1"));
    assert_true(inside("::/0", "[2001:db8::1]:1"));
    assert_true(inside("::/0", "203.0.113.9:1"));
    assert_false(inside("::/0", "unix:/run/a"));
}

static void what_is_not_a_network_is_refused_and_the_output_untouched(void **state)
{
    static const struct view texts[] = {
        {NULL, 0},
        VIEW_INIT(""),
        VIEW_INIT("/"),
        VIEW_INIT("/8"),
        VIEW_INIT("10.0.0.0/"),
        VIEW_INIT("10.0.0.0/33"),
        VIEW_INIT("10.0.0.0/-1"),
        VIEW_INIT("10.0.0.0/+8"),
        VIEW_INIT("10.0.0.0/ 8"),
        VIEW_INIT("10.0.0.0/08"),
        VIEW_INIT("10.0.0.0/8/8"),
        VIEW_INIT("10.0.0.0/8 "),
        VIEW_INIT("10.0.0.0/4294967304"),
        VIEW_INIT("10/8"),
        VIEW_INIT("10.0.0.1/8"),
        VIEW_INIT("::1/127"),
        VIEW_INIT("::/129"),
        VIEW_INIT("[::1]"),
        VIEW_INIT("2001:db8::1/64"),
        VIEW_INIT("localhost"),
        VIEW_INIT("10.0.0.0\0/8"),
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(texts); i++) {
        struct cidr c = {.prefix_bits = 77};

        assert_int_equal(cidr_parse(texts[i], &c), SP_INVALID);
        assert_int_equal(c.prefix_bits, 77);
    }
}

static void a_set_contains_what_any_of_it_contains(void **state)
{
    const struct cidr set[] = {net_of("10.0.0.0/8"), net_of("2001:db8::/32")};
    const union ip_endpoint in4 = ip_of("10.1.1.1:1"), in6 = ip_of("[2001:db8::1]:1"),
                            out = ip_of("192.0.2.1:1");

    (void)state;
    assert_true(cidr_any_contains(set, 2, &in4));
    assert_true(cidr_any_contains(set, 2, &in6));
    assert_false(cidr_any_contains(set, 2, &out));
    assert_false(cidr_any_contains(NULL, 0, &in4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_contains_its_first_and_last_address_and_no_neighbour),
        cmocka_unit_test(a_bare_address_contains_itself_alone),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_one),
        cmocka_unit_test(the_zero_prefixes_are_ipv4_and_everything),
        cmocka_unit_test(what_is_not_a_network_is_refused_and_the_output_untouched),
        cmocka_unit_test(a_set_contains_what_any_of_it_contains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
