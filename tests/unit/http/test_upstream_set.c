/* What a new configuration shares with the one before. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/http/upstream_set.h>

#include <string.h>

static struct {
    struct server_conf servers[2][3];
    struct backend_conf backends[2][2];
    struct config configs[2]; /* the old one and the new one, the same at first */
    struct upstream_set *old, *new;
    unsigned n_destroyed;
} fx;

static void make_config(unsigned i)
{
    static const char *const names[] = {"a.test:80", "b.test:80", "c.test:80"};

    for (unsigned s = 0; s < 3; s++)
        fx.servers[i][s] = (struct server_conf){
            .name = view_of(names[s]), .host = view_head(view_of(names[s]), 6), .port = 80};
    fx.backends[i][0] =
        (struct backend_conf){.name = VIEW("shop"), .servers = fx.servers[i], .n_servers = 2};
    fx.backends[i][1] =
        (struct backend_conf){.name = VIEW("blog"), .servers = &fx.servers[i][1], .n_servers = 2};
    fx.configs[i] = (struct config){.refs = 1, .backends = fx.backends[i], .n_backends = 2};
}

static int setup(void **state)
{
    (void)state;
    memset(&fx, 0, sizeof(fx));
    make_config(0);
    make_config(1);
    fx.old = upstream_set_new(&(struct upstream_set_options){.config = &fx.configs[0]});
    assert_non_null(fx.old);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upstream_set_unref(fx.old);
    upstream_set_unref(fx.new);
    assert_int_equal(fx.configs[0].refs, 1);
    assert_int_equal(fx.configs[1].refs, 1);
    return 0;
}

static void make_new(void)
{
    fx.new =
        upstream_set_new(&(struct upstream_set_options){.config = &fx.configs[1], .old = fx.old});
    assert_non_null(fx.new);
}

static struct upstream_server *server_of(struct upstream_set *set, unsigned backend,
                                         unsigned server)
{
    return set->backends[backend].servers[server];
}

static bool is_shared(unsigned backend, unsigned server)
{
    return server_of(fx.new, backend, server) == server_of(fx.old, backend, server);
}

static void the_same_servers_are_shared(void **state)
{
    (void)state;
    fx.backends[1][0].max_connections = 5;
    fx.backends[1][0].connect_timeout_ms = 7;
    make_new();
    assert_true(is_shared(0, 0) && is_shared(0, 1) && is_shared(1, 0) && is_shared(1, 1));
    assert_ptr_equal(fx.new->backends[0].conf, &fx.backends[1][0]);
}

static void a_server_of_two_backends_is_two(void **state)
{
    (void)state;
    make_new();
    assert_ptr_not_equal(server_of(fx.new, 0, 1), server_of(fx.new, 1, 0));
}

static void a_shared_server_outlives_the_configuration(void **state)
{
    (void)state;
    make_new();
    upstream_set_unref(fx.old);
    fx.old = NULL;
    memset(fx.servers[0], 0, sizeof(fx.servers[0]));
    assert_true(view_eq(server_of(fx.new, 0, 0)->conf->name, VIEW("a.test:80")));
    assert_true(view_eq(server_of(fx.new, 0, 0)->conf->host, VIEW("a.test")));
    assert_int_equal(server_of(fx.new, 0, 0)->conf->port, 80);
}

static void order_does_not_matter(void **state)
{
    struct backend_conf first = fx.backends[1][0];
    struct server_conf server = fx.servers[1][0];

    (void)state;
    fx.servers[1][0] = fx.servers[1][1];
    fx.servers[1][1] = server;
    fx.backends[1][0] = fx.backends[1][1];
    fx.backends[1][1] = first;
    make_new();
    assert_ptr_equal(server_of(fx.new, 1, 0), server_of(fx.old, 0, 1));
    assert_ptr_equal(server_of(fx.new, 1, 1), server_of(fx.old, 0, 0));
}

static void a_new_server_among_old_ones_is_the_only_new_one(void **state)
{
    (void)state;
    fx.servers[1][0].name = VIEW("d.test:80");
    make_new();
    assert_false(is_shared(0, 0));
    assert_true(is_shared(0, 1));
}

static void an_address_that_means_another_place_is_another_server(void **state)
{
    (void)state;
    fx.servers[1][0].endpoint.un.sun_family = AF_UNIX; /* the folder of a relative path */
    fx.servers[1][0].endpoint.len = sizeof(fx.servers[1][0].endpoint.un);
    make_new();
    assert_false(is_shared(0, 0));
}

static void another_name_of_the_backend_makes_other_servers(void **state)
{
    (void)state;
    fx.backends[1][0].name = VIEW("market");
    make_new();
    assert_false(is_shared(0, 0));
    assert_true(is_shared(1, 0));
}

static void whose_turn_it_is_stays(void **state)
{
    (void)state;
    fx.old->backends[0].next = 7;
    make_new();
    assert_int_equal(fx.new->backends[0].next, 7);
}

/* ---- What is spoken ---- */

static void destroy(struct tls_client *client)
{
    (void)client;
    fx.n_destroyed++;
}

static struct tls_client clients[4];

/* A set whose backend "shop" has TLS; it alone holds its clients. */
static struct upstream_set *make_with_tls(unsigned i, struct upstream_set *old)
{
    struct tls_client *tls[4] = {&clients[2 * i], &clients[2 * i + 1], NULL, NULL};
    struct upstream_set *set;

    for (unsigned k = 0; k < 2; k++) {
        clients[2 * i + k].destroy = destroy;
        clients[2 * i + k].refs = 1;
    }
    set = upstream_set_new(
        &(struct upstream_set_options){.config = &fx.configs[i], .old = old, .tls = tls});
    tls_client_unref(tls[0]);
    tls_client_unref(tls[1]);
    return set;
}

typedef void (*change_fn)(struct backend_conf *b);

static void change_nothing(struct backend_conf *b)
{
    (void)b;
}
static void change_verify(struct backend_conf *b)
{
    b->tls.verify = false;
}
static void change_ca(struct backend_conf *b)
{
    b->tls.ca_file = VIEW("/other.pem");
}
static void change_name(struct backend_conf *b)
{
    b->tls.server_name = VIEW("other");
}
static void change_certificate(struct backend_conf *b)
{
    b->tls.certificate = VIEW("/other.pem");
}
static void change_key(struct backend_conf *b)
{
    b->tls.key = VIEW("/other.pem");
}
static void change_preset(struct backend_conf *b)
{
    b->tls.preset = TLS_PRESET_MODERN;
}
static void change_protocol(struct backend_conf *b)
{
    b->protocol = BACKEND_H2;
}

static void what_is_spoken_is_part_of_the_server(void **state)
{
    static const change_fn changes[] = {change_nothing, change_verify,      change_ca,
                                        change_name,    change_certificate, change_key,
                                        change_preset,  change_protocol};

    (void)state;
    upstream_set_unref(fx.old);
    for (size_t i = 0; i < SP_COUNT_OF(changes); i++) {
        make_config(0);
        make_config(1);
        fx.backends[0][0].tls = (struct tls_client_conf){.enabled = true, .verify = true};
        fx.backends[1][0].tls = fx.backends[0][0].tls;
        changes[i](&fx.backends[1][0]);
        fx.n_destroyed = 0;
        fx.old = make_with_tls(0, NULL);
        fx.new = make_with_tls(1, fx.old);
        assert_int_equal(is_shared(0, 0), i == 0);
        assert_true(is_shared(1, 0));
        assert_ptr_equal(fx.new->backends[0].tls[1], &clients[3]);
        assert_null(fx.new->backends[1].tls[0]);
        upstream_set_unref(fx.old);
        assert_int_equal(fx.n_destroyed, 2);
        upstream_set_unref(fx.new);
        assert_int_equal(fx.n_destroyed, 4);
    }
    fx.old = fx.new = NULL;
}

static void tls_and_none_are_not_the_same(void **state)
{
    (void)state;
    fx.backends[1][0].tls = (struct tls_client_conf){.enabled = true, .verify = true};
    fx.new = make_with_tls(1, fx.old);
    assert_false(is_shared(0, 0));
}

/* ---- Memory ---- */

static void it_survives_each_failed_allocation(void **state)
{
    (void)state;
    fx.servers[1][0].name = VIEW("d.test:80");
    for (unsigned nth = 0;; nth++) {
        bool hit;

        failing_alloc_arm(nth);
        fx.new = upstream_set_new(
            &(struct upstream_set_options){.config = &fx.configs[1], .old = fx.old});
        hit = failing_alloc_hit();
        assert_int_equal(fx.new == NULL, hit);
        assert_int_equal(fx.configs[1].refs, hit ? 1 : 2);
        assert_int_equal(server_of(fx.old, 0, 1)->refs, hit ? 1 : 2);
        if (!hit)
            return;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_servers_are_shared),
        TEST(a_server_of_two_backends_is_two),
        TEST(a_shared_server_outlives_the_configuration),
        TEST(order_does_not_matter),
        TEST(a_new_server_among_old_ones_is_the_only_new_one),
        TEST(an_address_that_means_another_place_is_another_server),
        TEST(another_name_of_the_backend_makes_other_servers),
        TEST(whose_turn_it_is_stays),
        TEST(what_is_spoken_is_part_of_the_server),
        TEST(tls_and_none_are_not_the_same),
        TEST(it_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
