/* Which connection a request gets: opened, used again, refused; and names. */
#include "pool_fixture.h"

/* ---- Connections and their reuse ---- */

static void a_connection_is_opened_and_used_again(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    assert_ptr_equal(fx.askers[0].wish.server, fx.set->backends[0].servers[0]);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    assert_int_equal(connections(0), 1);
    a = ask(0);
    assert_non_null(a->stream);
    assert_true(a->stream->reused);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    exchange(a, fd);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    (void)close(fd);
}

static void a_fresh_one_is_opened_when_asked_for(void **state)
{
    int first, second;

    (void)state;
    make_pool();
    first = ask_and_exchange(0, fx.listeners[0]);
    fx.askers[1].wish.fresh = true;
    second = ask_and_exchange(1, fx.listeners[0]);
    assert_int_equal(connections(0), 2);
    (void)close(first);
    (void)close(second);
}

static void the_newest_is_used_first(void **state)
{
    struct asker *a;
    int fd[2];

    (void)state;
    make_pool();
    for (unsigned i = 0; i < 2; i++) {
        fx.askers[i].wish.fresh = true;
        fd[i] = ask_and_exchange(i, fx.listeners[0]);
    }
    assert_int_equal(upstream_pool_idle_count(fx.pool), 2);
    a = ask(2);
    exchange(a, fd[1]); /* hangs and fails if it were the other one */
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void one_that_the_backend_closes_is_forgotten(void **state)
{
    (void)state;
    make_pool();
    (void)close(ask_and_exchange(0, fx.listeners[0]));
    turn_until_idle_count(0);
    assert_int_equal(connections(0), 0);
}

static void one_that_speaks_unasked_is_forgotten(void **state)
{
    int fd;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    assert_int_equal(send(fd, "HTTP/1.1 408 \r\n\r\n", 17, MSG_NOSIGNAL), 17);
    turn_until_idle_count(0);
    assert_int_equal(connections(0), 0);
    (void)close(fd);
}

static void only_so_many_are_kept(void **state)
{
    struct asker *a[3];
    int fd[3];

    (void)state;
    fx.backend.keep_alive = 2;
    make_pool();
    for (unsigned i = 0; i < 3; i++) {
        a[i] = ask(i);
        turn_until_done(a[i]);
        fd[i] = backend_accept(fx.listeners[0]);
    }
    for (unsigned i = 0; i < 3; i++)
        exchange(a[i], fd[i]);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 2);
    assert_int_equal(connections(0), 2);
    a[0] = ask(0);
    exchange(a[0], fd[2]); /* the oldest one was closed */
    for (unsigned i = 0; i < 3; i++)
        (void)close(fd[i]);
}

static void none_is_kept_when_none_may_be(void **state)
{
    (void)state;
    fx.backend.keep_alive = 0;
    make_pool();
    (void)close(ask_and_exchange(0, fx.listeners[0]));
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_int_equal(connections(0), 0);
}

static void an_idle_one_grows_old(void **state)
{
    int fd[2];

    (void)state;
    make_pool();
    fd[0] = ask_and_exchange(0, fx.listeners[0]);
    fake_net_pass_ms(20000);
    fx.askers[1].wish.fresh = true;
    fd[1] = ask_and_exchange(1, fx.listeners[0]);
    fake_net_pass_ms(10000);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    fake_net_pass_ms(19999);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    fake_net_pass_ms(1);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_int_equal(connections(0), 0);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void idle_ones_are_closed_on_demand(void **state)
{
    int fd;
    char byte;

    (void)state;
    make_pool();
    fd = ask_and_exchange(0, fx.listeners[0]);
    upstream_pool_close_idle(fx.pool);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
}

static void an_aborted_exchange_gives_its_connection_back_to_nobody(void **state)
{
    struct asker *a;
    int fd;

    (void)state;
    make_pool();
    a = ask(0);
    turn_until_done(a);
    fd = backend_accept(fx.listeners[0]);
    send_request(a);
    a->stream->ops->abort(a->stream, HTTP_ERROR_CLIENT_CLOSED);
    http_stream_release(a->stream);
    fake_net_turn();
    assert_int_equal(connections(0), 0);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    (void)close(fd);
}

static void a_unix_socket_is_a_server_too(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char address[ENDPOINT_TEXT_MAX];
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/sallyport-test-%d.sock", (int)getpid());
    (void)unlink(un.sun_path);
    assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(listener, 4), 0);
    (void)snprintf(address, sizeof(address), "unix:%s", un.sun_path);
    name_server(0, address);
    make_pool();
    (void)close(ask_and_exchange(0, listener));
    (void)close(listener);
    (void)unlink(un.sun_path);
}

/* ---- Servers ---- */

static void servers_take_turns(void **state)
{
    (void)state;
    fx.backend.n_servers = 3;
    make_pool();
    for (unsigned i = 0; i < 3; i++)
        (void)close(ask_and_exchange(i, fx.listeners[i]));
    (void)close(ask_and_exchange(0, fx.listeners[0]));
}

static void a_refusal_is_told_and_marked(void **state)
{
    struct upstream_server *server;
    struct asker *a;

    (void)state;
    close_server(0);
    make_pool();
    server = fx.set->backends[0].servers[0];
    a = ask(0);
    turn_until_done(a);
    assert_null(a->stream);
    assert_int_equal(a->why, HTTP_ERROR_UPSTREAM_CONNECT);
    assert_ptr_equal(a->wish.server, server);
    assert_int_equal(a->wish.tried, 1);
    assert_int_equal(server->failures, 1);
    assert_int_equal(server->retry_at_ms, fake_net_now_ms() + 500);
    assert_int_equal(connections(0), 0);
}

static void a_dead_server_is_passed_over_for_a_while(void **state)
{
    struct upstream_server *dead;
    struct asker *a;

    (void)state;
    close_server(0);
    fx.backend.n_servers = 2;
    make_pool();
    dead = fx.set->backends[0].servers[0];
    turn_until_done(ask(0));
    assert_int_equal(fx.askers[0].why, HTTP_ERROR_UPSTREAM_CONNECT);
    for (unsigned i = 0; i < 4; i++) {
        fx.askers[1].wish.fresh = true;
        (void)close(ask_and_exchange(1, fx.listeners[1]));
    }
    assert_int_equal(dead->failures, 1);
    fake_net_pass_ms(500);
    fx.askers[2].wish.tried = 2; /* so that it is this one's turn */
    a = ask(2);
    assert_ptr_equal(a->wish.server, dead);
    assert_true(dead->retry_at_ms > fake_net_now_ms()); /* the others go on passing it over */
    turn_until_done(a);
    assert_int_equal(dead->failures, 2);
    assert_int_equal(dead->retry_at_ms, fake_net_now_ms() + 1000);
}

static void a_server_that_is_back_is_used_again(void **state)
{
    struct upstream_server *server;

    (void)state;
    make_pool();
    server = fx.set->backends[0].servers[0];
    upstream_server_failed(server, fake_net_now_ms());
    (void)close(ask_and_exchange(0, fx.listeners[0])); /* the only one is never passed over */
    assert_int_equal(server->failures, 0);
    assert_int_equal(server->retry_at_ms, 0);
}

static void what_was_tried_is_not_tried_while_others_are_left(void **state)
{
    struct asker *a;

    (void)state;
    fx.backend.n_servers = 3;
    make_pool();
    for (unsigned i = 0; i < 4; i++) {
        fx.askers[0].wish.tried = 5;
        a = ask(0);
        assert_ptr_equal(a->wish.server, fx.set->backends[0].servers[1]);
        upstream_wish_cancel(&a->wish);
    }
    fx.askers[0].wish.tried = 7;
    a = ask(0);
    assert_non_null(a->wish.connecting);
    upstream_wish_cancel(&a->wish);
}

static void pauses_grow_and_are_bounded(void **state)
{
    struct upstream_server server = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        static const int64_t expected[] = {500, 1000, 2000, 4000, 8000, 10000};

        upstream_server_failed(&server, 1000);
        assert_int_equal(server.retry_at_ms, 1000 + expected[i < 5 ? i : 5]);
    }
    assert_false(upstream_server_is_up(&server, 10999));
    assert_true(upstream_server_is_up(&server, 11000));
    assert_false(upstream_server_is_up(&server, 11000)); /* one finds out for all */
    assert_true(upstream_server_is_up(&server, 12000));
    upstream_server_reached(&server);
    assert_true(upstream_server_is_up(&server, 12000));
}

static void the_limit_of_connections_holds(void **state)
{
    struct asker *a, *b;
    int fd;

    (void)state;
    fx.backend.max_connections = 1;
    make_pool();
    a = ask(0);
    turn_until_done(a);
    fd = backend_accept(fx.listeners[0]);
    b = ask(1);
    turn_until_done(b);
    assert_int_equal(b->why, HTTP_ERROR_UPSTREAM_LIMIT);
    assert_int_equal(fx.set->backends[0].servers[0]->failures, 0);
    exchange(a, fd);
    b = ask(1);
    assert_non_null(b->stream); /* an idle one is within the limit */
    exchange(b, fd);
    (void)close(fd);
}

static void a_full_server_is_left_for_another(void **state)
{
    struct asker *a[2];

    (void)state;
    fx.backend.n_servers = 2;
    fx.backend.max_connections = 1;
    make_pool();
    fx.set->backends[0].servers[0]->connections = 1; /* another thread's */
    a[0] = ask(0);
    assert_ptr_equal(a[0]->wish.server, fx.set->backends[0].servers[1]);
    upstream_wish_cancel(&a[0]->wish);
    fx.set->backends[0].servers[0]->connections = 0;
}

/* False: still waiting after a moment. */
static bool is_done_soon(const struct asker *a)
{
    for (int i = 0; i < 20 && a->n_done == 0; i++) {
        fake_net_turn();
        (void)usleep(1000);
    }
    return a->n_done > 0;
}

static void a_server_that_does_not_answer_is_given_up(void **state)
{
    struct asker *stuck;
    uint16_t port = 0;
    char address[64];
    int listener = listen_on("127.0.0.1", &port, 0);

    (void)state;
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    name_server(0, address);
    make_pool();
    /* A backlog of 0 takes one or two; who comes then gets no answer to its SYN. */
    stuck = ask(0);
    for (unsigned i = 1; i < 4 && is_done_soon(stuck); i++)
        stuck = ask(i);
    assert_int_equal(stuck->n_done, 0);
    fake_net_pass_slowly_ms(1100, 100);
    assert_int_equal(stuck->n_done, 1);
    assert_int_equal(stuck->why, HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT);
    for (struct asker *a = fx.askers; a != stuck; a++)
        http_stream_release(a->stream);
    (void)close(listener);
}

/* ---- Cancelling, ending ---- */

static void a_cancelled_wish_is_not_heard_of_again(void **state)
{
    struct asker *a;

    (void)state;
    make_pool();
    a = ask(0);
    upstream_wish_cancel(&a->wish);
    upstream_wish_cancel(&a->wish);
    fake_net_turn();
    fake_net_pass_ms(5000);
    assert_int_equal(a->n_done, 0);
    assert_int_equal(connections(0), 0);
}

static void a_failure_that_waits_to_be_told_can_be_cancelled(void **state)
{
    struct asker *a;

    (void)state;
    fx.backend.max_connections = 1;
    make_pool();
    fx.set->backends[0].servers[0]->connections = 1;
    a = ask(0);
    upstream_wish_cancel(&a->wish);
    fake_net_turn();
    assert_int_equal(a->n_done, 0);
    fx.set->backends[0].servers[0]->connections = 0;
}

static void a_pool_may_end_before_what_it_gave_out(void **state)
{
    struct asker *used, *connecting;
    int fd;

    (void)state;
    make_pool();
    used = ask(0);
    turn_until_done(used);
    fd = backend_accept(fx.listeners[0]);
    send_request(used);
    connecting = ask(1);
    free_pool();
    assert_int_equal(connections(0), 0);
    fake_net_turn();
    assert_int_equal(connecting->n_done, 0);
    backend_reads_request(fd);
    backend_answers(fd);
    turn_until(&used->ended);
    http_stream_release(used->stream);
    fake_net_turn();
    (void)close(fd);
}

/* ---- Names ---- */

static void use_name(void)
{
    fx.servers[0].name = fx.servers[0].host = VIEW("backend.test");
    fx.servers[0].endpoint = (struct endpoint){0};
}

static const char *own_address(unsigned i)
{
    return fx.names[i];
}

static void a_name_is_resolved_once_for_many(void **state)
{
    const char *addresses[] = {own_address(0)};
    struct asker *a, *b;

    (void)state;
    use_name();
    make_pool();
    a = ask(0);
    b = ask(1);
    fake_net_turn();
    assert_int_equal(dns.n_asked, 1);
    dns_says(SP_OK, addresses, 1);
    turn_until_done(a);
    turn_until_done(b);
    assert_non_null(a->stream);
    assert_non_null(b->stream);
    http_stream_release(a->stream);
    http_stream_release(b->stream);
    fake_net_pass_ms(9000);
    a = ask(0);
    turn_until_done(a);
    assert_int_equal(dns.n_asked, 1);
    http_stream_release(a->stream);
}

static void an_old_answer_is_used_while_a_new_one_is_on_its_way(void **state)
{
    const char *addresses[] = {own_address(0)}, *moved[] = {own_address(1)};
    struct asker *a;

    (void)state;
    use_name();
    make_pool();
    a = ask(0);
    dns_says(SP_OK, addresses, 1);
    turn_until_done(a);
    http_stream_release(a->stream);
    (void)close(backend_accept(fx.listeners[0]));
    fake_net_pass_ms(15000);
    a = ask(0);
    assert_int_equal(dns.n_asked, 2);
    turn_until_done(a); /* without the answer */
    http_stream_release(a->stream);
    (void)close(backend_accept(fx.listeners[0]));
    dns_says(SP_OK, moved, 1);
    a = ask(0);
    turn_until_done(a);
    http_stream_release(a->stream);
    (void)close(backend_accept(fx.listeners[1]));
}

static void a_very_old_answer_is_waited_for_but_better_than_none(void **state)
{
    const char *addresses[] = {own_address(0)};
    struct asker *a;

    (void)state;
    use_name();
    make_pool();
    a = ask(0);
    dns_says(SP_OK, addresses, 1);
    turn_until_done(a);
    http_stream_release(a->stream);
    fake_net_pass_ms(100000);
    a = ask(0);
    fake_net_turn();
    assert_int_equal(a->n_done, 0);
    dns_says(SP_DNS, NULL, 0);
    turn_until_done(a);
    assert_non_null(a->stream);
    http_stream_release(a->stream);
}

static void addresses_are_tried_one_after_the_other(void **state)
{
    const char *addresses[] = {own_address(2), own_address(0)};
    struct asker *a;

    (void)state;
    use_name();
    close_server(2);
    make_pool();
    a = ask(0);
    dns_says(SP_OK, addresses, 2);
    turn_until_done(a);
    assert_non_null(a->stream);
    http_stream_release(a->stream);
    (void)close(backend_accept(fx.listeners[0]));
    assert_int_equal(fx.set->backends[0].servers[0]->failures, 0);
    for (int i = 0; i < 4; i++) { /* the bad one is remembered */
        a = ask(0);
        assert_int_equal(a->wish.connecting->address, 1);
        turn_until_done(a);
        http_stream_release(a->stream);
    }
}

static void when_every_address_fails_the_server_has_failed(void **state)
{
    const char *addresses[] = {own_address(2), own_address(1)};
    struct asker *a;

    (void)state;
    use_name();
    close_server(1);
    close_server(2);
    make_pool();
    a = ask(0);
    dns_says(SP_OK, addresses, 2);
    turn_until_done(a);
    assert_int_equal(a->why, HTTP_ERROR_UPSTREAM_CONNECT);
    assert_int_equal(fx.set->backends[0].servers[0]->failures, 1);
    assert_int_equal(connections(0), 0);
}

static void a_name_that_does_not_resolve_is_a_failure(void **state)
{
    struct asker *a;

    (void)state;
    use_name();
    make_pool();
    a = ask(0);
    dns_says(SP_DNS, NULL, 0);
    turn_until_done(a);
    assert_int_equal(a->why, HTTP_ERROR_UPSTREAM_CONNECT);
    assert_int_equal(fx.set->backends[0].servers[0]->failures, 1);
}

static void resolving_counts_towards_the_connect_timeout(void **state)
{
    struct asker *a;

    (void)state;
    use_name();
    make_pool();
    a = ask(0);
    fake_net_pass_ms(999);
    assert_int_equal(a->n_done, 0);
    fake_net_pass_ms(1);
    assert_int_equal(a->n_done, 1);
    assert_int_equal(a->why, HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT);
    dns_says(SP_DNS, NULL, 0); /* late, and for nobody */
}

static void who_waits_for_a_name_may_leave(void **state)
{
    struct asker *a;

    (void)state;
    use_name();
    make_pool();
    a = ask(0);
    upstream_wish_cancel(&a->wish);
    dns_says(SP_DNS, NULL, 0);
    fake_net_pass_ms(2000);
    assert_int_equal(a->n_done, 0);
    (void)ask(0);
    free_pool(); /* cancels the query */
    assert_null(dns.asker);
}

static void a_resolver_without_memory_is_told(void **state)
{
    struct asker *a;

    (void)state;
    use_name();
    dns.out_of_memory = true;
    make_pool();
    a = ask(0);
    turn_until_done(a);
    assert_int_equal(a->why, HTTP_ERROR_NOMEM);
}

/* ---- Memory ---- */

static void connecting_survives_each_failed_allocation(void **state)
{
    (void)state;
    make_pool();
    fx.askers[0].wish.fresh = true;
    for (unsigned nth = 0;; nth++) {
        struct asker *a;
        bool hit;

        failing_alloc_arm(nth);
        a = ask(0);
        turn_until_done(a);
        hit = failing_alloc_hit();
        fake_net_turn();
        if (!hit) {
            assert_non_null(a->stream);
            http_stream_release(a->stream);
            return;
        }
        assert_null(a->stream);
        assert_int_equal(a->why, HTTP_ERROR_NOMEM);
        assert_int_equal(connections(0), 0);
        assert_int_equal(fx.set->backends[0].servers[0]->failures, 0);
    }
}

static void making_a_pool_survives_each_failed_allocation(void **state)
{
    (void)state;
    fx.backend.n_servers = 3;
    for (unsigned nth = 0;; nth++) {
        struct upstream_set *set;
        struct upstream_pool *pool = NULL;
        bool hit;

        failing_alloc_arm(nth);
        set = upstream_set_new(&(struct upstream_set_options){.config = &fx.config});
        if (set != NULL)
            pool = upstream_pool_new(&(struct upstream_pool_options){.plain = &fx.np, .set = set});
        hit = failing_alloc_hit();
        assert_int_equal(pool == NULL, hit);
        upstream_pool_free(pool);
        upstream_set_unref(set);
        assert_int_equal(failing_alloc_live(), 0);
        assert_int_equal(fx.config.refs, 1);
        if (!hit)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pool_test(a_connection_is_opened_and_used_again),
        pool_test(a_fresh_one_is_opened_when_asked_for),
        pool_test(the_newest_is_used_first),
        pool_test(one_that_the_backend_closes_is_forgotten),
        pool_test(one_that_speaks_unasked_is_forgotten),
        pool_test(only_so_many_are_kept),
        pool_test(none_is_kept_when_none_may_be),
        pool_test(an_idle_one_grows_old),
        pool_test(idle_ones_are_closed_on_demand),
        pool_test(an_aborted_exchange_gives_its_connection_back_to_nobody),
        pool_test(a_unix_socket_is_a_server_too),
        pool_test(servers_take_turns),
        pool_test(a_refusal_is_told_and_marked),
        pool_test(a_dead_server_is_passed_over_for_a_while),
        pool_test(a_server_that_is_back_is_used_again),
        pool_test(what_was_tried_is_not_tried_while_others_are_left),
        pool_test(pauses_grow_and_are_bounded),
        pool_test(the_limit_of_connections_holds),
        pool_test(a_full_server_is_left_for_another),
        pool_test(a_server_that_does_not_answer_is_given_up),
        pool_test(a_cancelled_wish_is_not_heard_of_again),
        pool_test(a_failure_that_waits_to_be_told_can_be_cancelled),
        pool_test(a_pool_may_end_before_what_it_gave_out),
        pool_test(a_name_is_resolved_once_for_many),
        pool_test(an_old_answer_is_used_while_a_new_one_is_on_its_way),
        pool_test(a_very_old_answer_is_waited_for_but_better_than_none),
        pool_test(addresses_are_tried_one_after_the_other),
        pool_test(when_every_address_fails_the_server_has_failed),
        pool_test(a_name_that_does_not_resolve_is_a_failure),
        pool_test(resolving_counts_towards_the_connect_timeout),
        pool_test(who_waits_for_a_name_may_leave),
        pool_test(a_resolver_without_memory_is_told),
        pool_test(connecting_survives_each_failed_allocation),
        pool_test(making_a_pool_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
