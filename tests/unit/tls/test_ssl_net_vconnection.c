#include "failing_alloc.h"
#include "tls_client_hello.h"
#include "tls_pair.h"
#include "tls_thread.h"

#include <openssl/sslerr.h>

#define BED struct tls_bed *bed = *state
#define MIB ((size_t)1 << 20)

static unsigned char pattern_at(size_t i)
{
    return (unsigned char)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

static unsigned char *pattern_new(size_t n)
{
    unsigned char *p = malloc(n);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = pattern_at(i);
    return p;
}

/* The client reads what is there. */
static size_t client_read(struct tls_pair *pair, void *dst, size_t cap)
{
    size_t total = 0, n;

    while (total < cap && SSL_read_ex(pair->client, (char *)dst + total, cap - total, &n) == 1)
        total += n;
    return total;
}

static size_t client_write(struct tls_pair *pair, const void *src, size_t len)
{
    size_t total = 0, n;

    while (total < len &&
           SSL_write_ex(pair->client, (const char *)src + total, len - total, &n) == 1)
        total += n;
    ERR_clear_error();
    return total;
}

static void client_writes_partially(struct tls_pair *pair)
{
    (void)SSL_set_mode(pair->client,
                       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void bytes_travel_both_ways(void **state)
{
    BED;
    struct tls_pair pair;
    char buf[64];

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "question", 8), 8);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 8);
    assert_memory_equal(buf, "question", 8);
    assert_int_equal(pair_send(&pair, "answer", 6).n, 6);
    assert_int_equal(client_read(&pair, buf, sizeof(buf)), 6);
    assert_memory_equal(buf, "answer", 6);
    pair_fini(&pair);
}

/* After a short read nobody has to ask a socket that has nothing. */
static void a_short_read_says_that_the_socket_is_drained(void **state)
{
    BED;
    struct tls_pair pair;
    struct io_result r;
    char buf[64];
    uint64_t calls;

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "question", 8), 8);
    calls = metrics_mine->net_recv_calls;
    r = pair_recv(&pair, buf, sizeof(buf));
    assert_int_equal(r.status, IO_OK);
    assert_true(r.drained);
    assert_int_equal(metrics_mine->net_recv_calls - calls, 1);
    assert_false(pair.vc->ops->pending(pair.vc));
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).status, IO_WANT_READ);
    pair_fini(&pair);
}

static void a_full_buffer_leaves_the_rest_pending(void **state)
{
    BED;
    struct tls_pair pair;
    struct io_result r;
    char buf[8];

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "abcdefghij", 10), 10);
    assert_int_equal(client_write(&pair, "klm", 3), 3);
    r = pair_recv(&pair, buf, 4);
    assert_int_equal(r.n, 4);
    assert_false(r.drained);
    assert_true(pair.vc->ops->pending(pair.vc));
    pair.vc->read.triggered = false; /* no news from the socket, and none needed */
    r = pair.vc->ops->recv(pair.vc, &(struct iovec){buf, 6}, 1);
    assert_int_equal(r.n, 6);
    assert_memory_equal(buf, "efghij", 6);
    assert_true(pair.vc->ops->pending(pair.vc));
    r = pair.vc->ops->recv(pair.vc, &(struct iovec){buf, 8}, 1);
    assert_int_equal(r.n, 3);
    assert_true(r.drained);
    assert_false(pair.vc->ops->pending(pair.vc));
    pair_fini(&pair);
}

static void pieces_are_filled_in_order(void **state)
{
    BED;
    struct tls_pair pair;
    char a[3], b[4], c[5];
    struct iovec iov[] = {{a, 3}, {b, 4}, {c, 5}};

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "aaabb", 5), 5);
    assert_int_equal(client_write(&pair, "bbcc", 4), 4);
    pair.vc->read.triggered = true;
    assert_int_equal(pair.vc->ops->recv(pair.vc, iov, 3).n, 9);
    assert_memory_equal(a, "aaa", 3);
    assert_memory_equal(b, "bbbb", 4);
    assert_memory_equal(c, "cc", 2);
    pair_fini(&pair);
}

static void a_mebibyte_arrives_unchanged(void **state)
{
    BED;
    struct tls_pair pair;
    unsigned char *sent = pattern_new(MIB), *got = calloc(1, MIB);
    size_t n_sent = 0, n_got = 0;

    pair_init_open(&pair, bed);
    client_writes_partially(&pair);
    while (n_got < MIB) {
        struct io_result r;

        n_sent += client_write(&pair, sent + n_sent, MIB - n_sent);
        r = pair_recv(&pair, got + n_got, MIB - n_got < 10000 ? MIB - n_got : 10000);
        assert_true(r.status == IO_OK || r.status == IO_WANT_READ);
        n_got += r.n;
    }
    assert_memory_equal(sent, got, MIB);
    free(sent);
    free(got);
    pair_fini(&pair);
}

/* Sends until all of it is gone while the client reads `per_turn` bytes at a time. */
static void send_mebibyte(struct tls_pair *pair, size_t per_turn, bool must_wait)
{
    unsigned char *sent = pattern_new(MIB), *got = calloc(1, MIB);
    size_t n_sent = 0, n_got = 0;
    bool waited = false;

    while (n_got < MIB) {
        size_t cap = MIB - n_got < per_turn ? MIB - n_got : per_turn;

        if (n_sent < MIB) {
            struct io_result r = pair_send(pair, sent + n_sent, MIB - n_sent);

            assert_true(r.status == IO_OK || r.status == IO_WANT_WRITE);
            waited = waited || r.status == IO_WANT_WRITE;
            n_sent += r.n;
        } else {
            pair->vc->write.triggered = true;
            assert_int_not_equal(pair->vc->ops->flush(pair->vc).status, IO_ERROR);
        }
        /* No more than a batch is encrypted ahead of the socket. */
        assert_true(tls_spill_left(&pair_ssl_vc(pair)->out) <= TLS_OUT_BYTES);
        n_got += client_read(pair, got + n_got, cap);
    }
    assert_int_equal(waited, must_wait);
    assert_memory_equal(sent, got, MIB);
    assert_null(pair_ssl_vc(pair)->out.data);
    free(sent);
    free(got);
}

static void a_mebibyte_leaves_unchanged(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init_open(&pair, bed);
    send_mebibyte(&pair, MIB, false);
    pair_fini(&pair);
}

static void a_slow_reader_with_a_tiny_socket_buffer_gets_every_byte(void **state)
{
    BED;
    struct tls_pair pair;
    int tiny = 1;

    pair_init_open(&pair, bed);
    assert_int_equal(setsockopt(pair.vc->fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof(tiny)), 0);
    send_mebibyte(&pair, 3000, true);
    pair_fini(&pair);
}

static void odd_pieces_are_sent_in_order(void **state)
{
    BED;
    static const size_t lengths[] = {5,  0, 1,     16384, 3,    40000, 4095, 4096,
                                     17, 1, 16385, 100,   9000, 0,     2,    1};
    struct iovec iov[SP_COUNT_OF(lengths)];
    struct tls_pair pair;
    unsigned char *sent, *got;
    size_t total = 0, n_sent = 0, n_got = 0, at = 0;

    for (size_t i = 0; i < SP_COUNT_OF(lengths); i++)
        total += lengths[i];
    sent = pattern_new(total);
    got = calloc(1, total);
    for (size_t i = 0; i < SP_COUNT_OF(lengths); at += lengths[i++])
        iov[i] = (struct iovec){sent + at, lengths[i]};
    pair_init_open(&pair, bed);
    pair.vc->write.triggered = true;
    n_sent = pair.vc->ops->send(pair.vc, iov, (int)SP_COUNT_OF(lengths)).n;
    assert_int_equal(n_sent, total); /* the socketpair takes that much */
    while (n_got < total)
        n_got += client_read(&pair, got + n_got, total - n_got);
    assert_memory_equal(sent, got, total);
    free(sent);
    free(got);
    pair_fini(&pair);
}

/* Counts the records of the bytes that wait in the client's socket. */
static unsigned records_waiting(struct tls_pair *pair, size_t *longest)
{
    static unsigned char bytes[4 * 65536];
    ssize_t n = recv(pair->client_fd, bytes, sizeof(bytes), MSG_PEEK);
    unsigned records = 0;

    *longest = 0;
    for (ssize_t at = 0; at + 5 <= n; records++) {
        size_t len = (size_t)bytes[at + 3] << 8 | bytes[at + 4];

        *longest = len > *longest ? len : *longest;
        at += 5 + (ssize_t)len;
    }
    return records;
}

/* TLS 1.3 tickets came with the handshake: away with them, so that records can be counted. */
static void client_takes_tickets(struct tls_pair *pair)
{
    char c;

    assert_int_equal(pair_send(pair, "!", 1).n, 1);
    assert_int_equal(client_read(pair, &c, 1), 1);
}

static void tickets_leave_with_the_first_answer(void **state)
{
    BED;
    struct tls_pair pair;
    uint64_t calls;
    char c;

    pair_init_open(&pair, bed);
    assert_int_equal(client_read(&pair, &c, 1), 0);
    ERR_clear_error();
    assert_null(pair.ticket);
    assert_int_equal(pair.vc->ops->flush(pair.vc).status, IO_OK); /* nobody has to wait for them */
    calls = metrics_mine->net_send_calls;
    assert_int_equal(pair_send(&pair, "!", 1).n, 1);
    assert_int_equal(metrics_mine->net_send_calls - calls, 1);
    assert_int_equal(client_read(&pair, &c, 1), 1);
    assert_non_null(pair.ticket);
    pair_fini(&pair);
}

static void tickets_are_not_kept_from_who_is_sent_nothing(void **state)
{
    BED;
    struct tls_pair pair;
    char c;

    pair_init_open(&pair, bed);
    pair.vc->ops->shutdown_write(pair.vc);
    assert_int_equal(client_read(&pair, &c, 1), 0);
    ERR_clear_error();
    assert_non_null(pair.ticket);
    pair_fini(&pair);
}

static void a_small_answer_in_pieces_is_one_record_and_one_call(void **state)
{
    BED;
    struct tls_pair pair;
    unsigned char *body = pattern_new(12000);
    char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    struct iovec iov[] = {{head, 19}, {body, 12000}};
    uint64_t calls;
    size_t longest;

    pair_init_open(&pair, bed);
    client_takes_tickets(&pair);
    calls = metrics_mine->net_send_calls;
    assert_int_equal(pair.vc->ops->send(pair.vc, iov, 2).n, 12019);
    assert_int_equal(metrics_mine->net_send_calls - calls, 1);
    assert_int_equal(records_waiting(&pair, &longest), 1);
    free(body);
    pair_fini(&pair);
}

static void a_large_answer_starts_with_records_of_one_segment(void **state)
{
    BED;
    struct tls_pair pair;
    unsigned char *body = pattern_new(40000);
    size_t longest;

    pair_init_open(&pair, bed);
    client_takes_tickets(&pair);
    assert_int_equal(pair_send(&pair, body, 40000).n, 40000);
    assert_true(records_waiting(&pair, &longest) > 12);
    assert_true(longest < 4400);
    free(body);
    pair_fini(&pair);
}

static void an_idle_connection_holds_no_buffer(void **state)
{
    BED;
    struct tls_pair pair;
    char buf[64];

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "question", 8), 8);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 8);
    assert_int_equal(pair_send(&pair, "answer", 6).n, 6);
    assert_null(pair_ssl_vc(&pair)->in.data);
    assert_null(pair_ssl_vc(&pair)->out.data);
    pair_fini(&pair);
}

static void one_byte_at_a_time_is_read_when_the_record_is_whole(void **state)
{
    BED;
    struct tls_pair pair;
    BIO *to_server = BIO_new(BIO_s_mem());
    char *bytes, buf[64];
    long len;

    pair_init_open(&pair, bed);
    client_takes_tickets(&pair);
    SSL_set0_wbio(pair.client, to_server);
    assert_int_equal(client_write(&pair, "question", 8), 8);
    len = BIO_get_mem_data(to_server, &bytes);
    for (long i = 0; i < len; i++) {
        struct io_result r;

        assert_int_equal(write(pair.client_fd, bytes + i, 1), 1);
        r = pair_recv(&pair, buf, sizeof(buf));
        assert_int_equal(r.status, i + 1 < len ? IO_WANT_READ : IO_OK);
        assert_false(pair.vc->ops->pending(pair.vc)); /* or the loop would spin */
    }
    assert_memory_equal(buf, "question", 8);
    pair_fini(&pair);
}

static void close_notify_is_a_clean_end(void **state)
{
    BED;
    struct tls_pair pair;
    char buf[8];

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "last", 4), 4);
    assert_int_equal(SSL_shutdown(pair.client), 0);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 4);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).status, IO_EOF);
    assert_int_equal(pair_send(&pair, "bye", 3).n, 3); /* our side is still open, RFC 8446 6.1 */
    assert_int_equal(client_read(&pair, buf, sizeof(buf)), 3);
    pair_fini(&pair);
}

/* The last bytes and the end came together, perhaps to another thread: the socket has nothing more
 * to say, and the end must be told all the same. */
static void an_end_that_came_with_data_is_pending(void **state)
{
    BED;
    struct tls_pair pair;
    struct iovec iov;
    struct io_result r;
    char buf[8];

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "last", 4), 4);
    assert_int_equal(SSL_shutdown(pair.client), 0);
    r = pair_recv(&pair, buf, sizeof(buf));
    assert_int_equal(r.n, 4);
    assert_false(r.drained);
    pair.vc->read.triggered = false;
    assert_true(pair.vc->ops->pending(pair.vc));
    iov = (struct iovec){buf, sizeof(buf)};
    assert_int_equal(pair.vc->ops->recv(pair.vc, &iov, 1).status, IO_EOF);
    assert_false(pair.vc->ops->pending(pair.vc));
    pair_fini(&pair);
}

static void a_bare_fin_is_a_truncation(void **state)
{
    BED;
    struct tls_pair pair;
    struct io_result r;
    char buf[8];
    uint64_t truncated = metrics_mine->tls_truncated;

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "last", 4), 4);
    assert_int_equal(shutdown(pair.client_fd, SHUT_WR), 0);
    pair.vc->peer_ended = true;
    r = pair_recv(&pair, buf, sizeof(buf));
    assert_int_equal(r.n, 4);
    assert_false(r.drained);
    r = pair_recv(&pair, buf, sizeof(buf));
    assert_int_equal(r.status, IO_ERROR);
    assert_int_equal(r.err, SP_TLS_TRUNCATED);
    assert_int_equal(metrics_mine->tls_truncated - truncated, 1);
    pair_fini(&pair);
}

static void a_damaged_record_breaks_the_connection_with_an_alert(void **state)
{
    BED;
    static const char damaged[] = "\x17\x03\x03\x00\x20"
                                  "0123456789abcdef0123456789abcdef";
    struct tls_pair pair;
    char buf[8];

    pair_init_open(&pair, bed);
    client_takes_tickets(&pair);
    assert_int_equal(write(pair.client_fd, damaged, 37), 37);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).err, SP_TLS_PROTOCOL);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).err, SP_TLS_PROTOCOL);
    assert_int_equal(pair_send(&pair, "x", 1).err, SP_TLS_PROTOCOL);
    assert_int_equal(client_read(&pair, buf, sizeof(buf)), 0);
    assert_int_equal(pair_client_reason(), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    pair_close_server(&pair, VC_CLOSE_CLEAN); /* no close_notify after a fatal alert */
    pair_fini(&pair);
}

static int client_ending(struct tls_pair *pair)
{
    char c;

    return SSL_get_error(pair->client, SSL_read(pair->client, &c, 1));
}

static void a_clean_close_says_so_and_an_abort_does_not(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init_open(&pair, bed);
    pair_close_server(&pair, VC_CLOSE_CLEAN);
    assert_int_equal(client_ending(&pair), SSL_ERROR_ZERO_RETURN);
    pair_fini(&pair);

    pair_init_open(&pair, bed);
    pair_close_server(&pair, VC_CLOSE_ABORT);
    assert_int_not_equal(client_ending(&pair), SSL_ERROR_ZERO_RETURN);
    pair_fini(&pair);
}

static void a_shut_down_stream_can_still_be_read(void **state)
{
    BED;
    struct tls_pair pair;
    char buf[8];

    pair_init_open(&pair, bed);
    pair.vc->ops->shutdown_write(pair.vc);
    assert_int_equal(client_ending(&pair), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(recv(pair.client_fd, buf, 1, 0), 0); /* FIN behind the close_notify */
    assert_int_equal(client_write(&pair, "more", 4), 4);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 4);
    pair_close_server(&pair, VC_CLOSE_CLEAN);
    pair_fini(&pair);
}

static void a_peer_that_went_away_fails_the_send(void **state)
{
    BED;
    struct tls_pair pair;
    struct io_result r;

    pair_init_open(&pair, bed);
    pair_close_client(&pair);
    r = pair_send(&pair, "x", 1);
    if (r.status == IO_OK)
        r = pair_send(&pair, "x", 1);
    assert_int_equal(r.status, IO_ERROR);
    assert_true(r.err == SP_PEER_CLOSED || r.err == SP_PEER_RESET);
    pair_fini(&pair);
}

static void key_updates_are_followed(void **state)
{
    BED;
    struct tls_pair pair;
    char buf[8];

    pair_init_open(&pair, bed);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(client_write(&pair, "ping", 4), 4);
        assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).n, 4);
        assert_int_equal(pair_send(&pair, "pong", 4).n, 4);
        assert_int_equal(client_read(&pair, buf, sizeof(buf)), 4);
        assert_memory_equal(buf, "pong", 4);
    }
    pair_fini(&pair);
}

static void a_flood_of_key_updates_ends_the_connection(void **state)
{
    BED;
    struct tls_pair pair;
    struct io_result r = {.status = IO_OK};
    uint64_t floods = metrics_mine->tls_key_update_floods;
    char buf[8];
    int sent = 0;

    pair_init_open(&pair, bed);
    while (r.status != IO_ERROR && sent < 1000) {
        assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(pair.client), 1);
        sent++;
        r = pair_recv(&pair, buf, sizeof(buf));
    }
    assert_int_equal(r.err, SP_TLS_PROTOCOL);
    assert_int_equal(sent, TLS_KEY_UPDATES_MAX + 1);
    assert_int_equal(metrics_mine->tls_key_update_floods - floods, 1);
    pair_fini(&pair);
}

static void renegotiation_is_refused(void **state)
{
    BED;
    struct tls_pair pair;
    uint64_t refused = metrics_mine->tls_renegotiations;
    char buf[8];

    pair_init(&pair, bed);
    (void)SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    assert_true(pair_handshake(&pair));
    assert_int_equal(SSL_renegotiate(pair.client), 1);
    (void)SSL_do_handshake(pair.client);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).status, IO_WANT_READ); /* it goes on */
    ERR_clear_error();
    assert_int_equal(SSL_read(pair.client, buf, sizeof(buf)), -1);
    assert_int_equal(pair_client_reason(), SSL_R_NO_RENEGOTIATION);
    assert_int_equal(metrics_mine->tls_renegotiations - refused, 1);
    pair_fini(&pair);
}

/* The library's client gives up after one refusal, so the further ones are told by hand. */
static void insisting_on_renegotiation_ends_the_connection(void **state)
{
    BED;
    static const unsigned char alert[] = {SSL3_AL_WARNING, SSL_AD_NO_RENEGOTIATION};
    struct tls_pair pair;
    struct tls_thread *t;
    char buf[8];

    pair_init_open(&pair, bed);
    t = tls_step_begin(pair_ssl_vc(&pair), 0);
    for (int i = 0; i <= TLS_RENEGOTIATIONS_MAX; i++) {
        assert_int_equal(pair_ssl_vc(&pair)->broken, SP_OK);
        tls_on_message(1, TLS1_2_VERSION, SSL3_RT_ALERT, alert, 2, pair_ssl_vc(&pair)->ssl, NULL);
    }
    assert_int_equal(tls_step_end(t, (struct io_result){0}).status, IO_OK);
    assert_int_equal(pair_recv(&pair, buf, sizeof(buf)).err, SP_TLS_RENEGOTIATION);
    pair_fini(&pair);
}

static void leftovers_move_to_the_other_thread(void **state)
{
    BED;
    struct tls_pair pair;
    struct ethread *other = bed->ep->threads[1];
    char buf[16];

    pair_init_open(&pair, bed);
    assert_int_equal(client_write(&pair, "abcdefgh", 8), 8);
    assert_int_equal(client_write(&pair, "ijkl", 4), 4);
    assert_int_equal(pair_recv(&pair, buf, 5).n, 5);
    assert_int_equal(pair.vc->ops->detach(pair.vc), SP_OK);
    net_handler_remove(pair.vc->nh, pair.vc);

    ethread_adopt(other);
    pair.vc->thread = other;
    assert_int_equal(net_handler_add(net_handler_of(bed->core, other), pair.vc), SP_OK);
    pair.vc->read.triggered = false;
    assert_true(pair.vc->ops->pending(pair.vc));
    assert_int_equal(pair.vc->ops->recv(pair.vc, &(struct iovec){buf, 16}, 1).n, 7);
    assert_memory_equal(buf, "fghijkl", 7);
    assert_int_equal(pair_send(&pair, "answer", 6).n, 6);
    assert_int_equal(client_read(&pair, buf, sizeof(buf)), 6);
    pair_fini(&pair);
    ethread_adopt(bed->ep->threads[0]);
}

/* Two connections take turns in the middle of their records: the thread's buffers are shared, their
 * bytes are not. */
static void connections_of_a_thread_do_not_mix(void **state)
{
    BED;
    struct tls_pair a, b;
    char buf[32];

    pair_init(&a, bed);
    pair_init(&b, bed);
    (void)SSL_do_handshake(a.client);
    (void)pair_advance(&a); /* half way while the other one goes through */
    assert_true(pair_handshake(&b));
    assert_true(pair_handshake(&a));
    assert_int_equal(client_write(&a, "aaaaaaaaaa", 10), 10);
    assert_int_equal(client_write(&b, "bbbbbbbbbb", 10), 10);
    assert_int_equal(pair_recv(&a, buf, 3).n, 3);
    assert_int_equal(pair_recv(&b, buf, 3).n, 3);
    assert_memory_equal(buf, "bbb", 3);
    assert_int_equal(pair_recv(&a, buf, 20).n, 7);
    assert_memory_equal(buf, "aaaaaaa", 7);
    pair_fini(&a);
    assert_int_equal(pair_recv(&b, buf, 20).n, 7);
    assert_memory_equal(buf, "bbbbbbb", 7);
    pair_fini(&b);
}

static void a_connection_that_cannot_be_made_gives_nothing_up(void **state)
{
    BED;
    int fds[2];
    struct net_accept *ref = net_accept_ref(bed->na);
    struct net_vconnection *vc;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    failing_alloc_arm(0);
    vc = bed->np.super.ops->allocate_vc(&bed->np.super, ref, fds[1]);
    assert_true(failing_alloc_hit());
    assert_null(vc);
    assert_int_equal(failing_alloc_live(), 0);
    net_accept_unref(ref); /* still the caller's, like the descriptor */
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

/* A whole life with the nth allocation of ours failing: an error at worst. */
static void a_life_survives_each_failed_allocation(void **state)
{
    BED;
    for (unsigned nth = 0;; nth++) {
        struct tls_pair pair;
        char buf[8];
        bool failed;

        pair_init(&pair, bed);
        failing_alloc_arm(nth);
        if (pair_handshake(&pair)) {
            assert_int_equal(client_write(&pair, "abcdef", 6), 6);
            assert_int_equal(client_write(&pair, "gh", 2), 2);
            (void)pair_recv(&pair, buf, 4); /* leaves a spill */
            (void)pair_recv(&pair, buf, 4);
            (void)pair_send(&pair, "x", 1);
            pair_close_server(&pair, VC_CLOSE_CLEAN);
        }
        failed = failing_alloc_hit();
        pair_fini(&pair);
        if (!failed)
            break;
    }
}

int main(void)
{
#define WITH_BED(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
    const struct CMUnitTest tests[] = {
        WITH_BED(bytes_travel_both_ways),
        WITH_BED(a_short_read_says_that_the_socket_is_drained),
        WITH_BED(a_full_buffer_leaves_the_rest_pending),
        WITH_BED(pieces_are_filled_in_order),
        WITH_BED(a_mebibyte_arrives_unchanged),
        WITH_BED(a_mebibyte_leaves_unchanged),
        WITH_BED(a_slow_reader_with_a_tiny_socket_buffer_gets_every_byte),
        WITH_BED(odd_pieces_are_sent_in_order),
        WITH_BED(tickets_leave_with_the_first_answer),
        WITH_BED(tickets_are_not_kept_from_who_is_sent_nothing),
        WITH_BED(a_small_answer_in_pieces_is_one_record_and_one_call),
        WITH_BED(a_large_answer_starts_with_records_of_one_segment),
        WITH_BED(an_idle_connection_holds_no_buffer),
        WITH_BED(one_byte_at_a_time_is_read_when_the_record_is_whole),
        WITH_BED(close_notify_is_a_clean_end),
        WITH_BED(an_end_that_came_with_data_is_pending),
        WITH_BED(a_bare_fin_is_a_truncation),
        WITH_BED(a_damaged_record_breaks_the_connection_with_an_alert),
        WITH_BED(a_clean_close_says_so_and_an_abort_does_not),
        WITH_BED(a_shut_down_stream_can_still_be_read),
        WITH_BED(a_peer_that_went_away_fails_the_send),
        WITH_BED(key_updates_are_followed),
        WITH_BED(a_flood_of_key_updates_ends_the_connection),
        WITH_BED(renegotiation_is_refused),
        WITH_BED(insisting_on_renegotiation_ends_the_connection),
        WITH_BED(leftovers_move_to_the_other_thread),
        WITH_BED(connections_of_a_thread_do_not_mix),
        WITH_BED(a_connection_that_cannot_be_made_gives_nothing_up),
        WITH_BED(a_life_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
