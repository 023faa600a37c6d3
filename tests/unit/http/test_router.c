/* Which route a request takes. */
#include "failing_alloc.h"
#include "router.h"
#include "router_path.h"
#include "unit_test.h"

#include <stdio.h>

enum { MAX_ROUTES = 600 };

static struct route_conf routes[MAX_ROUTES];
static struct config config = {.routes = routes};

static void set_routes(const char *const (*pairs)[2], uint32_t n)
{
    memset(routes, 0, sizeof(routes));
    for (uint32_t i = 0; i < n; i++) {
        routes[i].host = view_of(pairs[i][0]);
        routes[i].path = view_of(pairs[i][1]);
    }
    config.n_routes = n;
}

/* The index of the route, -1 for none. */
static int found(const char *const (*pairs)[2], uint32_t n, const char *host, const char *path)
{
    struct router *r;
    const struct route_conf *route;

    set_routes(pairs, n);
    r = router_new(&config);
    assert_non_null(r);
    route = router_find(r, view_of(host), view_of(path));
    router_free(r);
    return route == NULL ? -1 : (int)(route - routes);
}
#define FOUND(pairs, host, path) found(pairs, SP_COUNT_OF(pairs), host, path)

static void the_first_route_that_fits_wins(void **state)
{
    static const char *const pairs[][2] = {
        {"a.example", "/x"}, {"", "/x"}, {"a.example", "/"}, {"a.example", "/x/y"}, {"", ""}};

    (void)state;
    assert_int_equal(FOUND(pairs, "a.example", "/x/y"), 0);
    assert_int_equal(FOUND(pairs, "b.example", "/x/y"), 1);
    assert_int_equal(FOUND(pairs, "a.example", "/z"), 2);
    assert_int_equal(FOUND(pairs, "b.example", "/z"), 4);
}

static void an_earlier_route_for_any_host_beats_a_later_exact_one(void **state)
{
    static const char *const pairs[][2] = {{"", "/x"}, {"a.example", "/x"}, {"a.example", "/"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "a.example", "/x"), 0);
    assert_int_equal(FOUND(pairs, "a.example", "/"), 2);
}

static void hosts_are_compared_without_case_port_and_final_dot(void **state)
{
    static const char *const pairs[][2] = {{"Shop.Example.com", "/"}, {"[::1]", "/"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "shop.example.com", "/"), 0);
    assert_int_equal(FOUND(pairs, "SHOP.EXAMPLE.COM:8443", "/"), 0);
    assert_int_equal(FOUND(pairs, "shop.example.com.", "/"), 0);
    assert_int_equal(FOUND(pairs, "shop.example.com.:443", "/"), 0);
    assert_int_equal(FOUND(pairs, "[::1]:8443", "/"), 1);
    assert_int_equal(FOUND(pairs, "shop.example.comm", "/"), -1);
    assert_int_equal(FOUND(pairs, "example.com", "/"), -1);
    assert_int_equal(FOUND(pairs, "", "/"), -1);
}

static void a_wildcard_stands_for_one_label(void **state)
{
    static const char *const pairs[][2] = {{"*.Example.com", "/"}, {"", "/any"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "a.example.com", "/"), 0);
    assert_int_equal(FOUND(pairs, "A.EXAMPLE.COM.:1", "/"), 0);
    assert_int_equal(FOUND(pairs, "a.b.example.com", "/"), -1);
    assert_int_equal(FOUND(pairs, "example.com", "/"), -1);
    assert_int_equal(FOUND(pairs, ".example.com", "/"), -1);
    assert_int_equal(FOUND(pairs, "aexample.com", "/"), -1);
    assert_int_equal(FOUND(pairs, "a.b.example.com", "/any"), 1);
}

static void paths_fit_on_segment_borders(void **state)
{
    static const char *const pairs[][2] = {{"", "/api"}, {"", "/img/"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "h", "/api"), 0);
    assert_int_equal(FOUND(pairs, "h", "/api/"), 0);
    assert_int_equal(FOUND(pairs, "h", "/api/v1?x=/y"), 0);
    assert_int_equal(FOUND(pairs, "h", "/api?x"), 0);
    assert_int_equal(FOUND(pairs, "h", "/apix"), -1);
    assert_int_equal(FOUND(pairs, "h", "/ap"), -1);
    assert_int_equal(FOUND(pairs, "h", "/x/api"), -1);
    assert_int_equal(FOUND(pairs, "h", "/?/api"), -1);
    assert_int_equal(FOUND(pairs, "h", "/img"), 1);
    assert_int_equal(FOUND(pairs, "h", "/img/a"), 1);
    assert_int_equal(FOUND(pairs, "h", "/"), -1);
}

static void the_asterisk_fits_routes_for_any_path_only(void **state)
{
    static const char *const pairs[][2] = {{"", "/api"}, {"", "/"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "h", "*"), 1);
}

static void no_spelling_of_a_path_goes_around_its_route(void **state)
{
    static const char *const pairs[][2] = {{"", "/admin"}, {"", "/"}};
    static const char *const spellings[] = {
        "/admin",      "/%61dmin",   "/adm%69n/x",      "//admin",   "/./admin",
        "/x/../admin", "/admin/.",   "/%2e/admin",      "/../admin", "/x/%2E%2e/admin",
        "/admin%3fx",  "///admin//", "/a/b/../../admin"};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(spellings); i++) {
        int expected = i == 10 ? 1 : 0; /* an encoded question mark is part of the segment */

        assert_int_equal(FOUND(pairs, "h", spellings[i]), expected);
    }
    assert_int_equal(FOUND(pairs, "h", "/admin/.."), 1);
    assert_int_equal(FOUND(pairs, "h", "/x%2fadmin"), 1);
    assert_int_equal(FOUND(pairs, "h", "/%2561dmin"), 1);
}

static void routes_are_normalised_like_requests(void **state)
{
    static const char *const pairs[][2] = {{"", "/a%20b/"}, {"", "/x//y"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "h", "/a%20b/c"), 0);
    assert_int_equal(FOUND(pairs, "h", "/x/y"), 1);
}

static void a_host_that_nobody_can_have_fits_nothing(void **state)
{
    static const char *const pairs[][2] = {{".bad", "/"}};

    (void)state;
    assert_int_equal(FOUND(pairs, "h", "/"), -1);
    assert_int_equal(FOUND(pairs, ".bad", "/"), -1);
}

static void hundreds_of_routes_are_told_apart(void **state)
{
    static char hosts[MAX_ROUTES][32], paths[MAX_ROUTES][32];
    struct router *r;

    (void)state;
    memset(routes, 0, sizeof(routes));
    for (int i = 0; i < MAX_ROUTES; i++) {
        (void)snprintf(hosts[i], sizeof(hosts[i]), "h%d.example", i / 10);
        (void)snprintf(paths[i], sizeof(paths[i]), "/p%d/q%d", i % 10, i);
        routes[i] = (struct route_conf){.host = view_of(hosts[i]), .path = view_of(paths[i])};
    }
    config.n_routes = MAX_ROUTES;
    r = router_new(&config);
    assert_non_null(r);
    for (int i = 0; i < MAX_ROUTES; i++)
        assert_ptr_equal(router_find(r, view_of(hosts[i]), view_of(paths[i])), &routes[i]);
    assert_null(router_find(r, VIEW("h0.example"), VIEW("/p0/q599")));
    router_free(r);
}

static void a_path_of_many_segments_is_normalised_within_its_room(void **state)
{
    char path[512], room[16];
    size_t len = 0;
    struct view v;

    (void)state;
    /* "/a" and far more segments than there is room for, then as many ".." back. */
    path[len++] = '/';
    path[len++] = 'a';
    for (int i = 0; i < 40; i++)
        path[len++] = i % 2 == 0 ? '/' : 'b';
    for (int i = 0; i < 20; i++) {
        memcpy(path + len, "/..", 3);
        len += 3;
    }
    v = router_path_normalise((struct view){path, len}, room, sizeof(room));
    assert_true(view_eq(v, VIEW("/a")));
    memcpy(path + len, "/c", 2);
    v = router_path_normalise((struct view){path, len + 2}, room, sizeof(room));
    assert_true(view_eq(v, VIEW("/a/c")));
}

static void new_survives_each_failed_allocation(void **state)
{
    static const char *const pairs[][2] = {{"a", "/x"}, {"b", "/y"}};

    (void)state;
    set_routes(pairs, 2);
    for (unsigned nth = 0;; nth++) {
        struct router *r;

        failing_alloc_arm(nth);
        r = router_new(&config);
        if (!failing_alloc_hit()) {
            assert_non_null(r);
            router_free(r);
            assert_int_equal(failing_alloc_live(), 0);
            return;
        }
        assert_null(r);
        assert_int_equal(failing_alloc_live(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_route_that_fits_wins),
        cmocka_unit_test(an_earlier_route_for_any_host_beats_a_later_exact_one),
        cmocka_unit_test(hosts_are_compared_without_case_port_and_final_dot),
        cmocka_unit_test(a_wildcard_stands_for_one_label),
        cmocka_unit_test(paths_fit_on_segment_borders),
        cmocka_unit_test(the_asterisk_fits_routes_for_any_path_only),
        cmocka_unit_test(no_spelling_of_a_path_goes_around_its_route),
        cmocka_unit_test(routes_are_normalised_like_requests),
        cmocka_unit_test(a_host_that_nobody_can_have_fits_nothing),
        cmocka_unit_test(hundreds_of_routes_are_told_apart),
        cmocka_unit_test(a_path_of_many_segments_is_normalised_within_its_room),
        cmocka_unit_test(new_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
