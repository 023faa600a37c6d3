/* Connections that carry several exchanges at once: requests find those that have room. What they
 * speak is nothing: the test says what their server allows. */
#include "pool_fixture.h"

#include <stdlib.h>

struct mux {
    struct upstream_conn super;
    struct http_stream streams[8];
    bool served;
};

static struct {
    struct mux *muxes[8]; /* in the order of their making; NULL: closed */
    unsigned n;
    uint32_t capacity; /* of the next one */
    bool out_of_memory;
} server;

/* ---- What the connections are ---- */

static struct mux *mux_of(struct http_stream *s)
{
    for (unsigned i = 0; i < server.n; i++)
        if (server.muxes[i] != NULL && s >= server.muxes[i]->streams &&
            s < server.muxes[i]->streams + SP_COUNT_OF(server.muxes[i]->streams))
            return server.muxes[i];
    fail();
    return NULL;
}

static void mux_free(struct mux *m)
{
    if (m->super.vc != NULL)
        net_vc_do_io_close(m->super.vc, VC_CLOSE_CLEAN);
    for (unsigned i = 0; i < server.n; i++)
        if (server.muxes[i] == m)
            server.muxes[i] = NULL;
    free(m);
}

static void mux_gone(struct mux *m)
{
    assert_int_equal(m->super.n_exchanges, 0);
    m->super.owner->gone(m->super.owner, &m->super);
    mux_free(m);
}

static void mux_release(struct http_stream *s)
{
    struct mux *m = mux_of(s);

    s->user = NULL;
    m->super.n_exchanges--;
    if (m->super.n_exchanges == 0 && (m->super.draining || m->super.vc == NULL))
        mux_gone(m);
    else
        m->super.owner->changed(m->super.owner, &m->super);
}

static void mux_abort(struct http_stream *s, enum http_error why)
{
    (void)s;
    (void)why;
}

static const struct http_stream_ops stream_ops = {.release = mux_release, .abort = mux_abort};

static struct http_stream *mux_request(struct upstream_conn *conn,
                                       const struct upstream_exchange_options *options,
                                       struct http_stream_user *user)
{
    struct mux *m = container_of(conn, struct mux, super);
    unsigned i = 0;

    assert_int_equal(options->response_timeout_ms, 5000);
    assert_true(upstream_conn_has_room(conn));
    if (server.out_of_memory)
        return NULL;
    while (m->streams[i].user != NULL)
        i++;
    m->streams[i] =
        (struct http_stream){.ops = &stream_ops, .user = user, .vc = conn->vc, .reused = m->served};
    m->served = true;
    conn->n_exchanges++;
    return &m->streams[i];
}

static void mux_close(struct upstream_conn *conn)
{
    assert_int_equal(conn->n_exchanges, 0);
    assert_false(conn->draining);
    mux_free(container_of(conn, struct mux, super));
}

static const struct upstream_conn_ops mux_ops = {.request = mux_request, .close = mux_close};

static struct upstream_conn *mux_make(struct net_vconnection *vc,
                                      const struct upstream_conn_options *options,
                                      struct upstream_conn_owner *owner)
{
    struct mux *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    assert_ptr_equal(options->config, fx.set->config);
    m->super = (struct upstream_conn){
        .ops = &mux_ops, .owner = owner, .vc = vc, .capacity = server.capacity};
    (void)net_vc_do_io_read(vc, vc->cont, 0, NULL, 0);
    server.muxes[server.n++] = m;
    return &m->super;
}

static const struct upstream_protocol protocols[] = {[BACKEND_H2C] = {.make = mux_make, .room = 3}};

static void server_allows(unsigned i, uint32_t capacity)
{
    struct upstream_conn *conn = &server.muxes[i]->super;

    conn->capacity = capacity;
    conn->owner->changed(conn->owner, conn);
}

static void server_goes_away(unsigned i)
{
    struct upstream_conn *conn = &server.muxes[i]->super;

    conn->draining = true;
    conn->owner->changed(conn->owner, conn);
    if (conn->n_exchanges == 0)
        mux_gone(server.muxes[i]);
}

static void server_dies(unsigned i)
{
    struct upstream_conn *conn = &server.muxes[i]->super;

    net_vc_do_io_close(conn->vc, VC_CLOSE_ABORT);
    conn->vc = NULL;
    if (conn->n_exchanges == 0)
        mux_gone(server.muxes[i]);
}

/* ---- The pool's side ---- */

static int setup(void **state)
{
    memset(&server, 0, sizeof(server));
    server.capacity = 3;
    (void)pool_setup(state);
    fx.backend.protocol = BACKEND_H2C;
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < SP_COUNT_OF(fx.askers); i++)
        if (fx.askers[i].stream != NULL)
            http_stream_release(fx.askers[i].stream);
    (void)pool_teardown(state);
    for (unsigned i = 0; i < server.n; i++)
        assert_null(server.muxes[i]);
    return 0;
}

static void make_mux_pool(void)
{
    make_pool();
    fx.pool->protocols = protocols;
}

/* `n` requests of which none has a connection yet. */
static void ask_many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_null(ask(i)->stream);
    for (unsigned i = 0; i < n; i++)
        turn_until_done(&fx.askers[i]);
}

static void finish(unsigned i)
{
    http_stream_release(fx.askers[i].stream);
    fx.askers[i].stream = NULL;
}

/* Which connection a request is on. */
static unsigned place_of(unsigned i)
{
    struct mux *m = mux_of(fx.askers[i].stream);

    for (unsigned k = 0; k < server.n; k++)
        if (server.muxes[k] == m)
            return k;
    fail();
    return 0;
}

static void a_connection_is_shared(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    assert_false(fx.askers[0].stream->reused);
    assert_non_null(ask(1)->stream);
    assert_non_null(ask(2)->stream);
    assert_true(fx.askers[2].stream->reused);
    assert_int_equal(connections(0), 1);
    assert_int_equal(server.muxes[0]->super.n_exchanges, 3);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
}

static void wishes_gather_on_a_connection_under_way(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(3);
    assert_int_equal(connections(0), 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(place_of(i), 0);
}

static void more_than_it_will_carry_get_another_one(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(7);
    assert_int_equal(connections(0), 3);
    assert_int_equal(server.muxes[0]->super.n_exchanges, 3);
    assert_int_equal(server.muxes[1]->super.n_exchanges, 3);
    assert_int_equal(server.muxes[2]->super.n_exchanges, 1);
}

static void another_one_is_opened_when_all_are_full(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(3);
    assert_null(ask(3)->stream);
    turn_until_done(&fx.askers[3]);
    assert_int_equal(place_of(3), 1);
    finish(0);
    assert_non_null(ask(0)->stream);
    assert_int_equal(place_of(0), 0); /* it has room again, and is used before the other */
}

static void what_a_server_allows_is_remembered(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    server_allows(0, 1);
    for (unsigned i = 1; i < 4; i++)
        assert_null(ask(i)->stream);
    for (unsigned i = 1; i < 4; i++)
        turn_until_done(&fx.askers[i]);
    assert_int_equal(connections(0), 4);
}

/* The first connection turns out to carry less than was thought. */
static void who_finds_no_room_gets_a_connection_all_the_same(void **state)
{
    (void)state;
    server.capacity = 2;
    make_mux_pool();
    ask_many(3);
    assert_int_equal(connections(0), 2);
    assert_int_equal(server.muxes[0]->super.n_exchanges, 2);
    assert_int_equal(server.muxes[1]->super.n_exchanges, 1);
}

static void a_server_that_allows_less_than_runs_is_left_to_finish(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(3);
    server_allows(0, 1);
    finish(0);
    finish(1);
    assert_null(ask(3)->stream); /* one runs, and one is allowed */
    upstream_wish_cancel(&fx.askers[3].wish);
    finish(2);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    assert_non_null(ask(0)->stream);
}

static void a_server_that_allows_more_gets_more(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(3);
    server_allows(0, 4);
    assert_non_null(ask(3)->stream);
    assert_int_equal(connections(0), 1);
}

static void one_that_allows_nothing_is_not_kept(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    server_allows(0, 0);
    finish(0);
    assert_int_equal(connections(0), 0);
    assert_null(server.muxes[0]);
}

static void a_connection_is_idle_when_its_last_exchange_is_over(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(2);
    finish(0);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    fake_net_pass_ms(60000);
    assert_int_equal(connections(0), 1);
    finish(1);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    fake_net_pass_ms(29999);
    assert_int_equal(connections(0), 1);
    fake_net_pass_ms(1);
    assert_int_equal(connections(0), 0);
    assert_null(server.muxes[0]);
}

/* The load packs: what is in use fills up before an idle one is woken. */
static void one_in_use_comes_before_an_idle_one(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(4);
    finish(3);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
    finish(0);
    assert_non_null(ask(0)->stream);
    assert_int_equal(place_of(0), 0);
    assert_non_null(ask(3)->stream);
    assert_int_equal(place_of(3), 1);
}

static void a_retry_goes_to_one_in_use_but_not_to_an_idle_one(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    fx.askers[1].wish.fresh = true;
    assert_non_null(ask(1)->stream);
    finish(0);
    finish(1);
    assert_null(ask(1)->stream);
    turn_until_done(&fx.askers[1]);
    assert_int_equal(place_of(1), 1);
}

/* ---- Ends ---- */

static void one_that_goes_away_finishes_and_gets_nothing_new(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(2);
    server_goes_away(0);
    assert_null(ask(2)->stream);
    turn_until_done(&fx.askers[2]);
    assert_int_equal(place_of(2), 1);
    assert_int_equal(connections(0), 2);
    finish(0);
    finish(1);
    assert_int_equal(connections(0), 1);
    assert_null(server.muxes[0]);
}

static void an_idle_one_that_goes_away_is_forgotten(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    finish(0);
    server_goes_away(0);
    assert_int_equal(upstream_pool_idle_count(fx.pool), 0);
    assert_int_equal(connections(0), 0);
}

/* Its users hear of it first. */
static void one_that_has_just_died_gets_nothing_new(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    net_vc_do_io_close(server.muxes[0]->super.vc, VC_CLOSE_ABORT);
    server.muxes[0]->super.vc = NULL;
    fx.askers[1].wish.fresh = true;
    assert_null(ask(1)->stream);
    turn_until_done(&fx.askers[1]);
    assert_int_equal(place_of(1), 1);
}

static void one_that_dies_is_counted_until_its_streams_are_released(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(2);
    server_dies(0);
    finish(0);
    assert_null(ask(2)->stream);
    turn_until_done(&fx.askers[2]);
    assert_int_equal(connections(0), 2);
    finish(1);
    assert_int_equal(connections(0), 1);
}

static void the_limit_of_connections_holds_for_shared_ones(void **state)
{
    (void)state;
    fx.backend.max_connections = 1;
    make_mux_pool();
    for (unsigned i = 0; i < 4; i++)
        (void)ask(i);
    for (unsigned i = 0; i < 3; i++)
        turn_until_done(&fx.askers[i]);
    assert_int_equal(fx.askers[3].why, HTTP_ERROR_UPSTREAM_LIMIT);
    assert_int_equal(connections(0), 1);
    finish(1);
    assert_non_null(ask(1)->stream);
}

static void a_failed_connection_fails_all_who_wait_for_it(void **state)
{
    (void)state;
    close_server(0);
    make_mux_pool();
    ask_many(4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fx.askers[i].why, HTTP_ERROR_UPSTREAM_CONNECT);
        assert_int_equal(fx.askers[i].wish.tried, 1);
    }
    assert_int_equal(connections(0), 0);
    assert_int_equal(fx.set->backends[0].servers[0]->failures, 2); /* one a connection */
}

static void who_waits_for_the_same_connection_may_leave(void **state)
{
    (void)state;
    make_mux_pool();
    for (unsigned i = 0; i < 3; i++)
        (void)ask(i);
    upstream_wish_cancel(&fx.askers[0].wish);
    turn_until_done(&fx.askers[1]);
    turn_until_done(&fx.askers[2]);
    assert_int_equal(fx.askers[0].n_done, 0);
    assert_int_equal(server.muxes[0]->super.n_exchanges, 2);
}

static void with_the_last_who_waits_the_connection_is_given_up(void **state)
{
    (void)state;
    make_mux_pool();
    for (unsigned i = 0; i < 2; i++)
        (void)ask(i);
    upstream_wish_cancel(&fx.askers[0].wish);
    assert_int_equal(connections(0), 1);
    upstream_wish_cancel(&fx.askers[1].wish);
    assert_int_equal(connections(0), 0);
}

static void cancel_another(struct upstream_wish *w, struct http_stream *s, enum http_error why)
{
    on_done(w, s, why);
    upstream_wish_cancel(&fx.askers[1].wish);
}

static void who_is_told_first_may_cancel_the_others(void **state)
{
    struct asker *a;

    (void)state;
    make_mux_pool();
    a = ask(0);
    a->wish.done = cancel_another;
    (void)ask(1);
    (void)ask(2);
    turn_until_done(a);
    turn_until_done(&fx.askers[2]);
    assert_int_equal(fx.askers[1].n_done, 0);
    assert_int_equal(server.muxes[0]->super.n_exchanges, 2);
}

static void release_at_once(struct upstream_wish *w, struct http_stream *s, enum http_error why)
{
    on_done(w, s, why);
    http_stream_release(s);
    container_of(w, struct asker, wish)->stream = NULL;
}

static void whoever_is_told_may_end_the_connection(void **state)
{
    (void)state;
    fx.backend.keep_alive = 0;
    make_mux_pool();
    for (unsigned i = 0; i < 2; i++)
        ask(i)->wish.done = release_at_once;
    turn_until_done(&fx.askers[0]);
    turn_until_done(&fx.askers[1]);
    assert_int_equal(connections(0), 0);
    assert_null(server.muxes[0]);
}

/* ---- Names, memory, the pool's end ---- */

static void who_waits_for_a_name_shares_the_connection(void **state)
{
    const char *addresses[] = {fx.names[0]};

    (void)state;
    fx.servers[0].name = fx.servers[0].host = VIEW("backend.test");
    fx.servers[0].endpoint = (struct endpoint){0};
    make_mux_pool();
    for (unsigned i = 0; i < 4; i++)
        (void)ask(i);
    dns_says(SP_OK, addresses, 1);
    for (unsigned i = 0; i < 4; i++)
        turn_until_done(&fx.askers[i]);
    assert_int_equal(connections(0), 2);
}

static void a_stream_without_memory_is_a_failure_and_the_connection_lives(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(1);
    server.out_of_memory = true;
    assert_null(ask(1)->stream);
    turn_until_done(&fx.askers[1]);
    assert_int_equal(fx.askers[1].why, HTTP_ERROR_NOMEM);
    server.out_of_memory = false;
    assert_non_null(ask(1)->stream);
    assert_int_equal(connections(0), 1);
}

static void a_new_connection_without_memory_for_streams_is_kept(void **state)
{
    (void)state;
    make_mux_pool();
    server.out_of_memory = true;
    for (unsigned i = 0; i < 2; i++)
        (void)ask(i);
    for (unsigned i = 0; i < 2; i++) {
        turn_until_done(&fx.askers[i]);
        assert_int_equal(fx.askers[i].why, HTTP_ERROR_NOMEM);
    }
    assert_int_equal(upstream_pool_idle_count(fx.pool), 1);
}

static void shared_connections_outlive_the_pool(void **state)
{
    (void)state;
    make_mux_pool();
    ask_many(4);
    assert_non_null(ask(4)->stream);
    assert_non_null(ask(5)->stream);
    assert_null(ask(6)->stream);
    free_pool();
    assert_int_equal(connections(0), 0);
    finish(0);
    finish(1);
    assert_non_null(server.muxes[0]);
    finish(2);
    assert_null(server.muxes[0]);
    finish(3);
    finish(4);
    finish(5);
    assert_null(server.muxes[1]);
}

static void a_shared_connection_of_a_removed_server_ends_with_its_last_exchange(void **state)
{
    struct upstream_set *empty;
    struct config none = {.refs = 1};

    (void)state;
    make_mux_pool();
    ask_many(2);
    empty = upstream_set_new(&(struct upstream_set_options){.config = &none, .old = fx.set});
    upstream_pool_update(fx.pool, empty);
    finish(0);
    assert_int_equal(connections(0), 1);
    assert_non_null(ask(2)->stream); /* of a request that began before */
    finish(1);
    finish(2);
    assert_int_equal(connections(0), 0);
    assert_null(server.muxes[0]);
    upstream_set_unref(empty);
    free_pool();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_shared),
        TEST(wishes_gather_on_a_connection_under_way),
        TEST(more_than_it_will_carry_get_another_one),
        TEST(another_one_is_opened_when_all_are_full),
        TEST(what_a_server_allows_is_remembered),
        TEST(who_finds_no_room_gets_a_connection_all_the_same),
        TEST(a_server_that_allows_less_than_runs_is_left_to_finish),
        TEST(a_server_that_allows_more_gets_more),
        TEST(one_that_allows_nothing_is_not_kept),
        TEST(a_connection_is_idle_when_its_last_exchange_is_over),
        TEST(one_in_use_comes_before_an_idle_one),
        TEST(a_retry_goes_to_one_in_use_but_not_to_an_idle_one),
        TEST(one_that_goes_away_finishes_and_gets_nothing_new),
        TEST(an_idle_one_that_goes_away_is_forgotten),
        TEST(one_that_has_just_died_gets_nothing_new),
        TEST(one_that_dies_is_counted_until_its_streams_are_released),
        TEST(the_limit_of_connections_holds_for_shared_ones),
        TEST(a_failed_connection_fails_all_who_wait_for_it),
        TEST(who_waits_for_the_same_connection_may_leave),
        TEST(with_the_last_who_waits_the_connection_is_given_up),
        TEST(who_is_told_first_may_cancel_the_others),
        TEST(whoever_is_told_may_end_the_connection),
        TEST(who_waits_for_a_name_shares_the_connection),
        TEST(a_stream_without_memory_is_a_failure_and_the_connection_lives),
        TEST(a_new_connection_without_memory_for_streams_is_kept),
        TEST(shared_connections_outlive_the_pool),
        TEST(a_shared_connection_of_a_removed_server_ends_with_its_last_exchange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
