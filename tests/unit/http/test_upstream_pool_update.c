/* Another configuration takes the place of the one that a pool works with. */
#include "pool_fixture.h"

/* A copy of the configuration, for the test to change. */
static void make_next(void)
{
    memcpy(fx.next_servers, fx.servers, sizeof(fx.servers));
    fx.next_backend = fx.backend;
    fx.next_backend.servers = fx.next_servers;
    fx.next = (struct config){.backends = &fx.next_backend, .n_backends = 1};
    fx.next.limits = fx.config.limits;
    fx.next.refs = 1;
}

static void apply_next(void)
{
    fx.old = fx.set;
    fx.set = upstream_set_new(&(struct upstream_set_options){.config = &fx.next, .old = fx.old});
    assert_non_null(fx.set);
    upstream_pool_update(fx.pool, fx.set);
}

/* A configuration without the server that everybody used so far. */
static void apply_another_server(void)
{
    make_next();
    fx.next_servers[0] = fx.servers[1];
    apply_next();
}

/* Nobody but the tests needs the old configuration. */
static void assert_old_is_gone(void)
{
    upstream_set_unref(fx.old);
    fx.old = NULL;
    fake_net_turn();
    assert_int_equal(fx.config.refs, 1);
}

static void assert_closed(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
}

static struct asker *ask_and_connect(unsigned i, int *fd)
{
    struct asker *a = ask(i);

    turn_until_done(a);
    assert_non_null(a->stream);
    *fd = backend_accept(fx.listeners[0]);
    return a;
}

/* ---- What did not change ---- */

static void an_unchanged_server_keeps_its_idle_connections(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    make_next();
    fx.next_backend.response_timeout_ms = 7000;
    apply_next();
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    assert_int_equal(connections(0), 1);
    assert_ptr_equal(fx.set->backends[0].servers[0], fx.old->backends[0].servers[0]);
    a = ask(0);
    assert_non_null(a->stream);
    assert_true(a->stream->reused);
    exchange(a, fd);
    upstream_pool_close_idle(fx.pool);
    assert_old_is_gone();
    (void)close(fd);
}

static void what_runs_on_an_unchanged_server_runs_on_and_is_kept(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask_and_connect(0, &fd);
    make_next();
    apply_next();
    exchange(a, fd);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    (void)close(fd);
}

static void marks_are_kept(void **state)
{
    (void)state;
    make_pool();
    fx.set->backends[0].servers[0]->failures = 3;
    make_next();
    apply_next();
    assert_int_equal(fx.set->backends[0].servers[0]->failures, 3);
}

static void addresses_are_kept(void **state)
{
    const char *addresses[] = {fx.names[0]};
    struct asker *a;

    (void)state;
    fx.servers[0].name = fx.servers[0].host = VIEW("backend.test");
    fx.servers[0].endpoint = (struct endpoint){0};
    make_pool();
    a = ask(0);
    dns_says(SP_OK, addresses, 1);
    turn_until_done(a);
    http_stream_release(a->stream);
    make_next();
    apply_next();
    a = ask(0);
    turn_until_done(a);
    assert_int_equal(dns.n_asked, 1);
    http_stream_release(a->stream);
}

static void destroy_nothing(struct tls_client *client)
{
    (void)client;
}

/* Certificates may be other ones under the same names. */
static void new_connections_are_secured_as_the_new_configuration_has_it(void **state)
{
    /* Let go of after the test. */
    static struct tls_client before = {.refs = 1, .destroy = destroy_nothing};
    static struct tls_client after = {.refs = 1, .destroy = destroy_nothing};
    struct pool_server *server;

    (void)state;
    fx.backend.tls = (struct tls_client_conf){.enabled = true, .verify = true};
    fx.set = upstream_set_new(&(struct upstream_set_options){
        .config = &fx.config, .tls = &(struct tls_client *){&before}});
    fx.pool = upstream_pool_new(
        &(struct upstream_pool_options){.plain = &fx.np, .tls = &fx.np, .set = fx.set});
    (void)ask(0);
    server = pool_server_find(fx.pool, fx.set->backends[0].servers[0]);
    assert_ptr_equal(server->tls, &before);
    make_next();
    fx.old = fx.set;
    fx.set = upstream_set_new(&(struct upstream_set_options){
        .config = &fx.next, .old = fx.old, .tls = &(struct tls_client *){&after}});
    upstream_pool_update(fx.pool, fx.set);
    assert_ptr_equal(pool_server_find(fx.pool, fx.set->backends[0].servers[0]), server);
    assert_ptr_equal(server->tls, &after);
    assert_ptr_equal(fx.askers[0].wish.connecting->tls, &before);
    upstream_wish_cancel(&fx.askers[0].wish);
    free_pool();
}

static void fewer_idle_ones_may_be_kept(void **state)
{
    int fd[2];

    (void)state;
    make_pool();
    for (unsigned i = 0; i < 2; i++) {
        fx.askers[i].wish.fresh = true;
        fd[i] = ask_and_exchange(i, fx.listeners[0]);
    }
    make_next();
    fx.next_backend.keep_alive = 1;
    apply_next();
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    assert_closed(fd[0]); /* the oldest */
    (void)close(fd[1]);
}

static void idle_ones_grow_old_by_the_new_time(void **state)
{
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    make_next();
    fx.next_backend.keep_alive_timeout_ms = 1000;
    apply_next();
    fake_net_pass_ms(999);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    fake_net_pass_ms(1);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    (void)close(fd);
}

static void the_new_limit_of_connections_holds(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask_and_connect(0, &fd);
    make_next();
    fx.next_backend.max_connections = 1;
    apply_next();
    turn_until_done(ask(1));
    assert_int_equal(fx.askers[1].why, HTTP_ERROR_UPSTREAM_LIMIT);
    http_stream_release(a->stream);
    (void)close(fd);
}

/* ---- What is gone ---- */

static void idle_ones_of_a_removed_server_are_closed(void **state)
{
    struct upstream_server *removed;
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    apply_another_server();
    removed = fx.old->backends[0].servers[0];
    assert_int_equal(removed->connections, 0);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_closed(fd);
    assert_old_is_gone();
}

static void a_removed_backend_is_let_go_too(void **state)
{
    (void)state;
    make_pool();
    (void)close(ask_and_exchange(0, fx.listeners[0]));
    make_next();
    fx.next.n_backends = 0;
    apply_next();
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_old_is_gone();
}

static void what_runs_on_a_removed_server_finishes_and_is_not_kept(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask_and_connect(0, &fd);
    send_request(a);
    apply_another_server();
    fake_net_turn();
    backend_reads_request(fd);
    backend_answers(fd);
    turn_until(&a->ended);
    assert_int_equal(fx.old->backends[0].servers[0]->connections, 1);
    http_stream_release(a->stream);
    assert_int_equal(fx.old->backends[0].servers[0]->connections, 0);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_closed(fd);
    assert_old_is_gone();
}

static void a_connection_to_a_removed_server_may_still_be_under_way(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask(0);
    apply_another_server();
    turn_until_done(a);
    assert_non_null(a->stream);
    fd = backend_accept(fx.listeners[0]);
    exchange(a, fd);
    assert_closed(fd);
    assert_old_is_gone();
}

static void who_waits_for_a_name_of_a_removed_server_goes_on(void **state)
{
    const char *addresses[] = {fx.names[0]};
    struct asker *a;

    (void)state;
    fx.servers[0].name = fx.servers[0].host = VIEW("backend.test");
    fx.servers[0].endpoint = (struct endpoint){0};
    make_pool();
    a = ask(0);
    apply_another_server();
    dns_says(SP_OK, addresses, 1);
    turn_until_done(a);
    assert_non_null(a->stream);
    http_stream_release(a->stream);
    assert_old_is_gone();
}

static void a_name_that_nobody_waits_for_any_more_is_not_resolved(void **state)
{
    struct asker *a;

    (void)state;
    fx.servers[0].name = fx.servers[0].host = VIEW("backend.test");
    fx.servers[0].endpoint = (struct endpoint){0};
    make_pool();
    a = ask(0);
    upstream_wish_cancel(&a->wish);
    assert_non_null(dns.asker);
    apply_another_server();
    fake_net_turn();
    assert_null(dns.asker);
    assert_old_is_gone();
}

/* A request that began before, tried again. */
static void a_request_of_the_old_configuration_still_gets_its_server(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    apply_another_server();
    fake_net_turn();
    a = ask_of(0, &fx.old->backends[0]);
    turn_until_done(a);
    assert_non_null(a->stream);
    assert_ptr_equal(a->wish.server, fx.old->backends[0].servers[0]);
    fd = backend_accept(fx.listeners[0]);
    exchange(a, fd);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_closed(fd);
    assert_old_is_gone();
}

static void a_server_that_comes_back_is_a_new_one(void **state)
{
    struct upstream_set *oldest;
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask_and_connect(0, &fd);
    oldest = upstream_set_ref(fx.set);
    apply_another_server();
    upstream_set_unref(fx.old);
    fx.old = fx.set;
    fx.set = upstream_set_new(&(struct upstream_set_options){.config = &fx.config, .old = fx.old});
    upstream_pool_update(fx.pool, fx.set);
    assert_ptr_not_equal(fx.set->backends[0].servers[0], oldest->backends[0].servers[0]);
    assert_int_equal(connections(0), 0);
    exchange(a, fd);
    assert_closed(fd);
    upstream_set_unref(oldest);
}

static void other_tls_is_another_server(void **state)
{
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    make_next();
    fx.next_backend.protocol = BACKEND_H2C;
    apply_next();
    assert_ptr_not_equal(fx.set->backends[0].servers[0], fx.old->backends[0].servers[0]);
    assert_closed(fd);
}

/* ---- Ends, memory ---- */

static void a_pool_may_end_while_old_servers_are_in_use(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask_and_connect(0, &fd);
    (void)ask(1);
    apply_another_server();
    free_pool();
    assert_int_equal(fx.old->backends[0].servers[0]->connections, 0);
    http_stream_release(a->stream);
    fake_net_turn();
    assert_old_is_gone();
    (void)close(fd);
}

static void an_update_needs_no_memory(void **state)
{
    struct upstream_set *next;
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    make_next();
    fx.next_servers[0] = fx.servers[1];
    next = upstream_set_new(&(struct upstream_set_options){.config = &fx.next, .old = fx.set});
    failing_alloc_arm(0);
    upstream_pool_update(fx.pool, next);
    fake_net_turn();
    assert_false(failing_alloc_hit());
    upstream_set_unref(next);
    (void)close(fd);
}

/* An idle connection that is used again and again, whatever is applied. */
static void many_updates_leave_nothing_behind(void **state)
{
    struct config *configs[] = {&fx.config, &fx.next};
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    make_next();
    for (unsigned i = 0; i < 100; i++) {
        struct upstream_set *set = upstream_set_new(
            &(struct upstream_set_options){.config = configs[i % 2], .old = fx.set});

        upstream_pool_update(fx.pool, set);
        upstream_set_unref(fx.set);
        fx.set = set;
        assert_non_null(ask(0)->stream);
        exchange(&fx.askers[0], fd);
        assert_int_equal(connections(0), 1);
    }
    assert_int_equal(fx.next.refs, 2);
    assert_int_equal(fx.config.refs, 2); /* what the connection was opened under */
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pool_test(an_unchanged_server_keeps_its_idle_connections),
        pool_test(what_runs_on_an_unchanged_server_runs_on_and_is_kept),
        pool_test(marks_are_kept),
        pool_test(addresses_are_kept),
        pool_test(new_connections_are_secured_as_the_new_configuration_has_it),
        pool_test(fewer_idle_ones_may_be_kept),
        pool_test(idle_ones_grow_old_by_the_new_time),
        pool_test(the_new_limit_of_connections_holds),
        pool_test(idle_ones_of_a_removed_server_are_closed),
        pool_test(a_removed_backend_is_let_go_too),
        pool_test(what_runs_on_a_removed_server_finishes_and_is_not_kept),
        pool_test(a_connection_to_a_removed_server_may_still_be_under_way),
        pool_test(who_waits_for_a_name_of_a_removed_server_goes_on),
        pool_test(a_name_that_nobody_waits_for_any_more_is_not_resolved),
        pool_test(a_request_of_the_old_configuration_still_gets_its_server),
        pool_test(a_server_that_comes_back_is_a_new_one),
        pool_test(other_tls_is_another_server),
        pool_test(a_pool_may_end_while_old_servers_are_in_use),
        pool_test(an_update_needs_no_memory),
        pool_test(many_updates_leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
