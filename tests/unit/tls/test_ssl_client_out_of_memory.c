/* An outgoing connection's whole life with one allocation failing, each in turn: ours and the
 * library's, on our side or the server's. Any of them may end the connection; none may end the
 * process, and the next connection stands. */
#include "failing_alloc.h"
#include "openssl_alloc.h"
#include "tls_upstream.h"

static int setup(void **state)
{
    static struct upstream u;

    upstream_open(&u);
    upstream_serves(&u, (struct peer_cert){.names = "DNS:shop.example"});
    *state = &u;
    return 0;
}

static int teardown(void **state)
{
    upstream_close(*state);
    return 0;
}

/* A server that has failed is a server that has gone. */
static bool peer_steps(struct upstream *u)
{
    bool decided = upstream_decided(u);

    if (u->ssl != NULL && !u->accepted && SSL_get_error(u->ssl, -1) != SSL_ERROR_WANT_READ)
        upstream_peer_gone(u);
    ERR_clear_error();
    return decided;
}

static bool opens(struct upstream *u, struct tls_client *client)
{
    const struct net_connect_options options = {.remote = u->at, .timeout_ms = 1000, .tls = client};
    enum sp_err err;

    net_user_forget(&u->user);
    u->user.vc = net_processor_connect_s(&u->np.super, &options, &u->user.super, &err);
    if (u->user.vc == NULL)
        return false;
    for (int i = 0; i < 200 && !peer_steps(u); i++)
        net_fixture_turn(&u->f);
    return net_user_count(&u->user, NET_EVENT_OPEN) == 1;
}

static void exchange(struct upstream *u)
{
    char buf[8];

    peer_steps(u);
    if (u->accepted)
        (void)SSL_write(u->ssl, "abc", 3);
    (void)net_user_read(&u->user, INT64_MAX, 65536);
    if (iobuf_append(&u->user.out, "x", 1) == SP_OK)
        (void)net_user_write(&u->user, INT64_MAX, 0);
    for (int i = 0; i < 5; i++)
        net_fixture_turn(&u->f);
    if (u->ssl != NULL)
        (void)SSL_read(u->ssl, buf, sizeof(buf));
}

/* A server whose connection is taken by nobody would be met by the next client. */
static void empty_backlog(const struct upstream *u)
{
    int fd;

    while ((fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        (void)close(fd);
}

static bool live_once(struct upstream *u, unsigned nth, int version, bool *opened)
{
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client;
    enum sp_err err;

    (void)SSL_CTX_set_max_proto_version(u->ctx, version);
    failing_alloc_arm(nth);
    client = ssl_client_new(&options, &reporter, &err);
    *opened = client != NULL && opens(u, client);
    if (*opened)
        exchange(u);
    bool failed = failing_alloc_hit();
    upstream_part(u);
    iobuf_clear(&u->user.out);
    tls_client_unref(client);
    empty_backlog(u);
    return failed;
}

static void lives(struct upstream *u, int version)
{
    unsigned step = 1;
    bool opened;

    assert_false(live_once(u, UINT32_MAX, version, &opened)); /* what is made only once */
    assert_true(opened);
    for (unsigned nth = 0; live_once(u, nth, version, &opened); nth += step)
        step = nth < 300 ? 1 : 5;
    assert_false(live_once(u, UINT32_MAX, version, &opened));
    assert_true(opened);
}

static void each_failed_allocation_of_tls13_is_survived(void **state)
{
    lives(*state, TLS1_3_VERSION);
}

static void each_failed_allocation_of_tls12_is_survived(void **state)
{
    lives(*state, TLS1_2_VERSION);
}

static void authorities_survive_each_failed_allocation(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    bool failed = true;

    for (unsigned nth = 0; failed; nth++) {
        enum sp_err err = SP_OK;
        struct ssl_trust *trust;

        failing_alloc_arm(nth);
        trust = ssl_trust_new(u->ca_file, &reporter, &err);
        failed = failing_alloc_hit();
        assert_int_equal(trust != NULL, err == SP_OK);
        assert_true(failed || trust != NULL);
        ssl_trust_unref(trust);
    }
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(each_failed_allocation_of_tls13_is_survived),
        MEMORY_TEST(each_failed_allocation_of_tls12_is_survived),
        MEMORY_TEST(authorities_survive_each_failed_allocation),
    };

    if (!openssl_take_allocator() || metrics_register_thread() != SP_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
