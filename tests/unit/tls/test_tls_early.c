/* Early data, step by step: what arrives when, and what becomes of the handshake. */
#include "failing_alloc.h"
#include "openssl_alloc.h"
#include "tls_pair.h"

#define COUNTED(name) METRIC_GET(metrics_mine, name)
#define DATA          "early data"

static int early_setup(void **state)
{
    struct tls_bed *bed;

    if (bed_setup(state) != 0)
        return 1;
    bed = *state;
    bed->conf.early_data =
        (struct early_data_conf){.enabled = true, .max_bytes = 16384, .max_tickets = 1024};
    bed_reopen_port(bed);
    return 0;
}

/* A session that allows early data. */
static SSL_SESSION *session_of(struct tls_bed *bed)
{
    struct tls_pair pair;
    SSL_SESSION *session;
    char buf[8];

    pair_init_open(&pair, bed);
    assert_int_equal(pair_send(&pair, "x", 1).status, IO_OK); /* takes the ticket along */
    assert_int_equal(SSL_read(pair.client, buf, sizeof(buf)), 1);
    assert_non_null(pair.ticket);
    session = SSL_SESSION_dup(pair.ticket); /* its own is of no use without its SSL_CTX */
    assert_non_null(session);
    assert_true(SSL_SESSION_get_max_early_data(session) > 0);
    pair_fini(&pair);
    return session;
}

static bool send_early(struct tls_pair *pair, struct tls_bed *bed, SSL_SESSION *session,
                       const char *data)
{
    size_t n = 0;

    pair_init(pair, bed);
    return SSL_set_session(pair->client, session) == 1 &&
           SSL_write_early_data(pair->client, data, strlen(data), &n) == 1;
}

/* Until the server is usable; the client goes no further. */
static enum io_status advance(struct tls_pair *pair)
{
    struct io_result r = pair_advance(pair);

    for (int i = 0; i < 10 && r.status == IO_WANT_READ; i++)
        r = pair_advance(pair);
    return r.status;
}

static void the_connection_is_usable_before_the_clients_finished(void **state)
{
    struct tls_bed *bed = *state;
    SSL_SESSION *session = session_of(bed);
    uint64_t resumed = COUNTED(tls_handshakes_resumed), accepted = COUNTED(tls_early_accepted);
    struct tls_info info = {0};
    struct tls_pair pair;
    char buf[64];
    size_t n = 0;

    assert_true(send_early(&pair, bed, session, DATA));
    assert_int_equal(advance(&pair), IO_OK);
    assert_true(net_vc_is_early(pair.vc));
    assert_true(net_vc_tls_info(pair.vc, &info) && info.early && info.resumed);
    assert_int_equal(COUNTED(tls_early_accepted) - accepted, 1);
    assert_int_equal(COUNTED(tls_handshakes_resumed) - resumed, 0);
    assert_true(pair.vc->ops->pending(pair.vc)); /* no byte on the socket has to tell */
    assert_int_equal(pair_recv(&pair, buf, 4).n, 4);
    assert_int_equal(pair_recv(&pair, buf + 4, sizeof(buf) - 4).n, 6);
    assert_memory_equal(buf, DATA, 10);
    assert_int_equal(pair_send(&pair, "answer", 6).status, IO_OK);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).status, IO_WANT_READ);
    assert_int_equal(SSL_do_handshake(pair.client), 1);
    assert_int_equal(SSL_read_ex(pair.client, buf, sizeof(buf), &n), 1);
    assert_memory_equal(buf, "answer", 6);
    assert_int_equal(SSL_write(pair.client, "later", 5), 5);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 5); /* with Finished before it */
    assert_false(net_vc_is_early(pair.vc));
    assert_null(pair_ssl_vc(&pair)->hs);
    assert_int_equal(COUNTED(tls_handshakes_resumed) - resumed, 1);
    SSL_SESSION_free(session);
    pair_fini(&pair);
}

static void a_ticket_is_good_once(void **state)
{
    struct tls_bed *bed = *state;
    SSL_SESSION *session = session_of(bed);
    uint64_t used = COUNTED(tls_early_refused_used);
    struct tls_pair first, second;

    assert_true(send_early(&first, bed, session, DATA));
    assert_int_equal(advance(&first), IO_OK);
    assert_true(send_early(&second, bed, session, DATA));
    assert_int_equal(advance(&second), IO_WANT_READ); /* an ordinary handshake */
    assert_int_equal(COUNTED(tls_early_refused_used) - used, 1);
    assert_true(pair_handshake(&second));
    assert_int_equal(SSL_get_early_data_status(second.client), SSL_EARLY_DATA_REJECTED);
    assert_false(net_vc_is_early(second.vc));
    SSL_SESSION_free(session);
    pair_fini(&first);
    pair_fini(&second);
}

static void an_end_before_finished_is_a_failed_handshake(void **state)
{
    struct tls_bed *bed = *state;
    SSL_SESSION *session = session_of(bed);
    uint64_t failed = COUNTED(tls_failed_gone);
    struct tls_pair pair;
    char buf[64];

    assert_true(send_early(&pair, bed, session, DATA));
    assert_int_equal(advance(&pair), IO_OK);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 10);
    pair_close_client(&pair);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).status, IO_ERROR);
    assert_int_equal(COUNTED(tls_failed_gone) - failed, 1);
    pair_close_server(&pair, VC_CLOSE_ABORT);
    assert_int_equal(COUNTED(tls_failed_gone) - failed, 1); /* counted once */
    SSL_SESSION_free(session);
    pair_fini(&pair);
}

/* What is said to a connection that is closed for writing comes after its handshake. */
static void close_notify_waits_for_finished(void **state)
{
    struct tls_bed *bed = *state;
    SSL_SESSION *session = session_of(bed);
    struct tls_pair pair;
    char buf[64];

    assert_true(send_early(&pair, bed, session, DATA));
    assert_int_equal(advance(&pair), IO_OK);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 10);
    pair.vc->ops->shutdown_write(pair.vc);
    assert_int_equal(SSL_do_handshake(pair.client), 1);
    assert_int_equal(SSL_read(pair.client, buf, sizeof(buf)), -1);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).status, IO_WANT_READ);
    assert_int_equal(SSL_read(pair.client, buf, sizeof(buf)), 0);
    assert_int_equal(SSL_get_error(pair.client, 0), SSL_ERROR_ZERO_RETURN);
    SSL_SESSION_free(session);
    pair_fini(&pair);
}

static bool live_once(struct tls_bed *bed, unsigned nth)
{
    SSL_SESSION *session = session_of(bed);
    struct tls_pair pair;
    char buf[64];
    bool failed;

    failing_alloc_arm(UINT32_MAX);
    assert_true(send_early(&pair, bed, session, DATA));
    assert_false(failing_alloc_hit());
    failing_alloc_arm(nth);
    if (advance(&pair) == IO_OK && net_vc_is_early(pair.vc)) {
        (void)pair_recv(&pair, buf, 4);
        (void)pair_recv(&pair, buf, sizeof(buf));
        (void)pair_send(&pair, "x", 1);
        (void)SSL_do_handshake(pair.client);
        (void)pair_recv(&pair, buf, sizeof(buf));
        pair_close_server(&pair, VC_CLOSE_CLEAN);
    }
    failed = failing_alloc_hit();
    SSL_SESSION_free(session);
    pair_fini(&pair);
    return failed;
}

static void each_failed_allocation_is_survived(void **state)
{
    unsigned step = 1;

    for (unsigned nth = 0; live_once(*state, nth); nth += step)
        step = nth < 200 ? 1 : 3;
    assert_false(live_once(*state, UINT32_MAX));
}

int main(void)
{
#define WITH_BED(f) cmocka_unit_test_setup_teardown(f, early_setup, bed_teardown)
    const struct CMUnitTest tests[] = {
        WITH_BED(the_connection_is_usable_before_the_clients_finished),
        WITH_BED(a_ticket_is_good_once),
        WITH_BED(an_end_before_finished_is_a_failed_handshake),
        WITH_BED(close_notify_waits_for_finished),
        WITH_BED(each_failed_allocation_is_survived),
    };

    if (!openssl_take_allocator())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
