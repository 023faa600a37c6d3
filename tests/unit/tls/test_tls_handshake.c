#include "tls_handshake.h"
#include "tls_pair.h"

#include <openssl/sslerr.h>

#define BED struct tls_bed *bed = *state

static uint64_t counted(size_t offset)
{
    return atomic_load((_Atomic uint64_t *)(void *)((char *)metrics_mine + offset));
}
#define COUNTED(name) counted(offsetof(struct metrics, name))

static struct tls_info info_of(const struct tls_pair *pair)
{
    struct tls_info info = {0};

    assert_true(net_vc_tls_info(pair->vc, &info));
    return info;
}

static void assert_view(struct view v, const char *text)
{
    assert_int_equal(v.len, strlen(text));
    if (v.len > 0)
        assert_memory_equal(v.p, text, v.len);
}

static const char *client_saw_key_type(const struct tls_pair *pair)
{
    return EVP_PKEY_get0_type_name(X509_get0_pubkey(SSL_get0_peer_certificate(pair->client)));
}

static void client_saw_name(const struct tls_pair *pair, char *dst, int cap)
{
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(pair->client)),
                                    NID_commonName, dst, cap);
}

/* The client reads what came with or after the handshake: TLS 1.3 tickets. */
/* They come with the first answer. */
static void client_takes_tickets(struct tls_pair *pair)
{
    char c = '!';
    const struct iovec answer = {&c, 1};
    size_t n;

    assert_int_equal(pair->vc->ops->send(pair->vc, &answer, 1).n, 1);
    (void)SSL_read_ex(pair->client, &c, 1, &n);
    ERR_clear_error();
}

static void a_connection_holds_no_ssl_before_its_first_byte(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init(&pair, bed);
    assert_null(pair_ssl_vc(&pair)->ssl);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ);
    assert_null(pair_ssl_vc(&pair)->ssl);
    assert_true(pair.vc->active_deadline_ms > 0);
    pair_fini(&pair);
}

static void full_handshake_of_tls13(void **state)
{
    BED;
    struct tls_pair pair;
    uint64_t full = COUNTED(tls_handshakes_full), started = COUNTED(tls_handshakes_started);
    struct tls_info info;

    pair_init(&pair, bed);
    client_asks_for(pair.client, "shop.example");
    assert_true(pair_handshake(&pair));
    info = info_of(&pair);
    assert_string_equal(info.version, "TLSv1.3");
    assert_string_equal(info.cipher, "TLS_AES_128_GCM_SHA256");
    assert_view(info.sni, "shop.example");
    assert_view(info.alpn, "");
    assert_view(info.bundle, "shop");
    assert_false(info.resumed);
    assert_true(info.handshake_us > 0);
    assert_int_equal(COUNTED(tls_handshakes_full) - full, 1);
    assert_int_equal(COUNTED(tls_handshakes_started) - started, 1);
    assert_null(pair_ssl_vc(&pair)->hs);
    pair_fini(&pair);
}

static void full_handshake_of_tls12(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init(&pair, bed);
    (void)SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    assert_true(pair_handshake(&pair));
    assert_string_equal(info_of(&pair).version, "TLSv1.2");
    assert_string_equal(info_of(&pair).cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    pair_fini(&pair);
}

static void established_connections_pin_no_certificates(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init_open(&pair, bed);
    assert_null(SSL_get_certificate(pair_ssl_vc(&pair)->ssl));
    assert_ptr_equal(SSL_get_SSL_CTX(pair_ssl_vc(&pair)->ssl), bed->port->ctx);
    pair_fini(&pair);
}

/* Hands the last ticket of `from` to a new client. */
static void resume(struct tls_pair *pair, struct tls_pair *from, const char *sni)
{
    client_takes_tickets(from);
    assert_non_null(from->ticket);
    pair_init(pair, from->bed);
    (void)SSL_set_max_proto_version(pair->client, SSL_version(from->client));
    if (sni != NULL)
        client_asks_for(pair->client, sni);
    assert_int_equal(SSL_set_session(pair->client, from->ticket), 1);
    assert_true(pair_handshake(pair));
}

static void resumes(struct tls_bed *bed, int version)
{
    struct tls_pair first, second, third;
    uint64_t resumed = COUNTED(tls_handshakes_resumed);

    pair_init(&first, bed);
    (void)SSL_set_max_proto_version(first.client, version);
    client_asks_for(first.client, "shop.example");
    assert_true(pair_handshake(&first));
    resume(&second, &first, "shop.example");
    assert_true(info_of(&second).resumed);
    assert_view(info_of(&second).sni, "shop.example");
    assert_view(info_of(&second).bundle, "shop");
    assert_true(SSL_session_reused(second.client));
    /* A TLS 1.3 ticket should serve once, so there is a new one (RFC 8446 C.4). */
    client_takes_tickets(&second);
    assert_int_equal(second.ticket != NULL, version == TLS1_3_VERSION);
    resume(&third, version == TLS1_3_VERSION ? &second : &first, "shop.example");
    assert_true(info_of(&third).resumed);
    assert_int_equal(COUNTED(tls_handshakes_resumed) - resumed, 2);
    pair_fini(&first);
    pair_fini(&second);
    pair_fini(&third);
}

static void resumes_in_tls13(void **state)
{
    resumes(*state, TLS1_3_VERSION);
}

static void resumes_in_tls12(void **state)
{
    resumes(*state, TLS1_2_VERSION);
}

/* RFC 6066 3: "MUST NOT accept the request to resume the session if the server_name extension
 * contains a different name". */
static void does_not_resume_under_another_name(void **state)
{
    BED;
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct tls_pair first, second;

        pair_init(&first, bed);
        (void)SSL_set_max_proto_version(first.client, versions[i]);
        client_asks_for(first.client, "shop.example");
        assert_true(pair_handshake(&first));
        resume(&second, &first, "www.shop.example");
        assert_false(info_of(&second).resumed);
        assert_view(info_of(&second).sni, "www.shop.example");
        pair_fini(&first);
        pair_fini(&second);
    }
}

static void gives_out_no_ticket_when_told_so(void **state)
{
    BED;
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    bed->conf.session_tickets = false;
    bed_reopen_port(bed);
    for (size_t i = 0; i < 2; i++) {
        struct tls_pair pair;

        pair_init(&pair, bed);
        (void)SSL_set_max_proto_version(pair.client, versions[i]);
        assert_true(pair_handshake(&pair));
        client_takes_tickets(&pair);
        assert_true(pair.ticket == NULL || !SSL_SESSION_has_ticket(pair.ticket));
        pair_fini(&pair);
    }
}

static void resumes_after_the_certificates_were_swapped(void **state)
{
    BED;
    const struct cert_reporter reporter = {.report = report_unexpected};
    struct tls_pair first, second;
    struct cert_store *next;
    enum sp_err err;

    pair_init_open(&first, bed);
    next = store_make(&bed->conf, &reporter, &err);
    ssl_port_set_store(bed->port, next);
    cert_store_unref(next);
    resume(&second, &first, NULL);
    assert_true(info_of(&second).resumed);
    pair_fini(&first);
    pair_fini(&second);
}

/* How many of so many handshakes would begin with `store`. */
static unsigned handshakes_with(struct ssl_port *port, const struct cert_store *store, unsigned of)
{
    unsigned n = 0;

    for (unsigned i = 0; i < of; i++) {
        struct cert_store *got = ssl_port_store(port);

        n += got == store;
        cert_store_unref(got);
    }
    return n;
}

static void a_canary_takes_its_share(void **state)
{
    BED;
    const struct cert_reporter reporter = {.report = report_unexpected};
    enum sp_err err;
    struct cert_store *next = store_make(&bed->conf, &reporter, &err);

    ssl_port_set_canary(bed->port, next, 500);
    assert_in_range(handshakes_with(bed->port, next, 1000), 48, 52);
    ssl_port_set_canary(bed->port, next, SSL_PORT_WHOLE);
    assert_int_equal(handshakes_with(bed->port, next, 100), 100);
    ssl_port_set_canary(bed->port, NULL, 0);
    assert_int_equal(handshakes_with(bed->port, bed->store, 100), 100);
    ssl_port_set_canary(bed->port, next, 500);
    ssl_port_set_store(bed->port, next); /* which ends it */
    assert_int_equal(handshakes_with(bed->port, next, 100), 100);
    cert_store_unref(next);
}

static void a_handshake_finishes_with_the_certificates_it_began_with(void **state)
{
    BED;
    const struct cert_reporter reporter = {.report = report_unexpected};
    struct tls_pair pair;
    struct cert_store *next;
    enum sp_err err;

    pair_init(&pair, bed);
    assert_true(SSL_do_handshake(pair.client) < 0);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ); /* half way */
    next = store_make(&bed->conf, &reporter, &err);
    ssl_port_set_store(bed->port, next);
    cert_store_unref(next);
    cert_store_unref(bed->store); /* only the handshake holds it now */
    bed->store = cert_store_ref(next);
    assert_true(pair_handshake(&pair));
    assert_view(info_of(&pair).bundle, "shop");
    pair_fini(&pair);
}

static void chooses_the_certificate_that_the_client_can_verify(void **state)
{
    BED;
    char both[] = "ECDSA+SHA256:RSA-PSS+SHA256", pss[] = "RSA-PSS+SHA256";
    char rsa[] = "RSA+SHA256:RSA-PSS+SHA256", ecdsa[] = "ECDSA+SHA256";
    const struct {
        int version;
        char *signatures; /* the macro casts const away */
        const char *key_type;
    } cases[] = {{TLS1_3_VERSION, both, "EC"},
                 {TLS1_3_VERSION, pss, "RSA"},
                 {TLS1_2_VERSION, rsa, "RSA"},
                 {TLS1_2_VERSION, ecdsa, "EC"}};

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct tls_pair pair;

        pair_init(&pair, bed);
        (void)SSL_set_max_proto_version(pair.client, cases[i].version);
        assert_int_equal(SSL_set1_sigalgs_list(pair.client, cases[i].signatures), 1);
        assert_true(pair_handshake(&pair));
        assert_string_equal(client_saw_key_type(&pair), cases[i].key_type);
        pair_fini(&pair);
    }
}

static void the_name_chooses_the_bundle(void **state)
{
    BED;
    static const struct {
        const char *sni, *bundle;
    } cases[] = {{"api.example", "api"},       {"API.Example", "api"},
                 {"www.shop.example", "shop"}, {"a.b.shop.example", "shop"},
                 {"unknown.example", "shop"},  {NULL, "shop"}};

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct tls_pair pair;
        char name[64];

        pair_init(&pair, bed);
        if (cases[i].sni != NULL)
            client_asks_for(pair.client, cases[i].sni);
        assert_true(pair_handshake(&pair));
        assert_view(info_of(&pair).bundle, cases[i].bundle);
        client_saw_name(&pair, name, sizeof(name));
        assert_string_equal(name, strcmp(cases[i].bundle, "api") == 0 ? "api" : "shop-ec");
        pair_fini(&pair);
    }
}

static void strict_sni_refuses_names_that_nobody_has(void **state)
{
    BED;
    uint64_t refused = COUNTED(tls_failed_sni);
    struct tls_pair pair;

    bed->conf.strict_sni = true;
    bed_reopen_port(bed);
    pair_init(&pair, bed);
    client_asks_for(pair.client, "unknown.example");
    assert_false(pair_handshake(&pair));
    assert_int_equal(pair.advanced.err, SP_TLS_SNI);
    assert_int_equal(SSL_do_handshake(pair.client), -1);
    assert_int_equal(pair_client_reason(), SSL_R_TLSV1_UNRECOGNIZED_NAME);
    assert_int_equal(COUNTED(tls_failed_sni) - refused, 1);
    pair_fini(&pair);

    pair_init(&pair, bed); /* no name is not an unknown name */
    assert_true(pair_handshake(&pair));
    pair_fini(&pair);
}

static void alpn_follows_the_port_s_preference(void **state)
{
    BED;
    static const struct {
        unsigned port;
        const char *offer;
        const char *chosen;
    } cases[] = {
        {ALPN_H2 | ALPN_HTTP11, "\x08http/1.1\x02h2", "h2"},
        {ALPN_H2 | ALPN_HTTP11, "\x08http/1.0\x08http/1.1", "http/1.1"},
        {ALPN_HTTP11, "\x02h2\x08http/1.1", "http/1.1"},
        {ALPN_H2, "\x02h2", "h2"},
    };

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct tls_pair pair;

        bed->conf.alpn = cases[i].port;
        bed_reopen_port(bed);
        pair_init(&pair, bed);
        assert_int_equal(SSL_set_alpn_protos(pair.client, (const unsigned char *)cases[i].offer,
                                             (unsigned)strlen(cases[i].offer)),
                         0);
        assert_true(pair_handshake(&pair));
        assert_view(info_of(&pair).alpn, cases[i].chosen);
        pair_fini(&pair);
    }
}

static void alpn_without_overlap_is_refused_with_its_alert(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init(&pair, bed);
    assert_int_equal(SSL_set_alpn_protos(pair.client, (const unsigned char *)"\x04spdy", 5), 0);
    assert_false(pair_handshake(&pair));
    assert_int_equal(pair.advanced.err, SP_TLS_ALPN);
    (void)SSL_do_handshake(pair.client);
    assert_int_equal(pair_client_reason(), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    pair_fini(&pair);
}

static void the_modern_preset_is_tls13_only(void **state)
{
    BED;
    struct tls_pair pair;

    bed->conf.preset = TLS_PRESET_MODERN;
    bed_reopen_port(bed);
    pair_init(&pair, bed);
    (void)SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    assert_false(pair_handshake(&pair));
    assert_int_equal(pair.advanced.err, SP_TLS_VERSION);
    (void)SSL_do_handshake(pair.client);
    assert_int_equal(pair_client_reason(), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    pair_fini(&pair);
}

static void suites_without_forward_secrecy_are_refused(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init(&pair, bed);
    (void)SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    assert_int_equal(SSL_set_cipher_list(pair.client, "AES128-GCM-SHA256:AES128-SHA"), 1);
    assert_false(pair_handshake(&pair));
    assert_int_equal(pair.advanced.err, SP_TLS_CIPHER);
    pair_fini(&pair);
}

static void an_alert_of_the_peer_is_told_as_such(void **state)
{
    BED;
    struct tls_pair pair;
    uint64_t alerts = COUNTED(tls_failed_alert);

    pair_init(&pair, bed);
    SSL_set_verify(pair.client, SSL_VERIFY_PEER, NULL); /* trusts nobody */
    assert_false(pair_handshake(&pair));
    if (pair.advanced.status == IO_WANT_READ)
        (void)pair_advance(&pair);
    assert_int_equal(pair.advanced.err, SP_TLS_ALERT);
    assert_int_equal(COUNTED(tls_failed_alert) - alerts, 1);
    pair_close_server(&pair, VC_CLOSE_CLEAN); /* is not counted again */
    assert_int_equal(COUNTED(tls_failed_alert) - alerts, 1);
    pair_fini(&pair);
}

/* Client bytes go through a pipe that lets one through at a time. */
static void a_handshake_in_single_bytes_completes(void **state)
{
    BED;
    struct tls_pair pair;
    BIO *to_server = BIO_new(BIO_s_mem()), *from_server = BIO_new(BIO_s_mem());
    char buf[8192], *bytes;
    int rc = -1;

    pair_init(&pair, bed);
    SSL_set_bio(pair.client, from_server, to_server);
    for (int turn = 0; turn < 20 && (rc != 1 || pair.vc->phase == VC_HANDSHAKE); turn++) {
        if (rc != 1)
            rc = SSL_do_handshake(pair.client);
        long len = BIO_get_mem_data(to_server, &bytes);
        for (long i = 0; i < len && pair.vc->phase == VC_HANDSHAKE; i++) {
            assert_int_equal(write(pair.client_fd, bytes + i, 1), 1);
            assert_int_not_equal(pair_advance(&pair).status, IO_ERROR);
        }
        (void)BIO_reset(to_server);
        ssize_t n = read(pair.client_fd, buf, sizeof(buf));
        if (n > 0)
            assert_int_equal(BIO_write(from_server, buf, (int)n), n);
    }
    assert_int_equal(rc, 1);
    assert_int_equal(pair.vc->phase, VC_OPEN);
    pair_fini(&pair);
}

static void the_peer_may_leave_at_any_point(void **state)
{
    BED;
    struct tls_pair pair;
    uint64_t gone = COUNTED(tls_failed_gone);

    pair_init(&pair, bed); /* without a word */
    pair_close_client(&pair);
    assert_int_equal(pair_advance(&pair).err, SP_TLS_GONE);
    pair_fini(&pair);

    pair_init(&pair, bed); /* in the middle of the hello */
    assert_int_equal(write(pair.client_fd, "\x16\x03\x01\x02", 4), 4);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ);
    pair_close_client(&pair);
    assert_int_equal(pair_advance(&pair).err, SP_TLS_GONE);
    pair_fini(&pair);

    pair_init(&pair, bed); /* after the server's flight */
    assert_true(SSL_do_handshake(pair.client) < 0);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ);
    assert_int_equal(shutdown(pair.client_fd, SHUT_WR), 0);
    assert_int_equal(pair_advance(&pair).err, SP_TLS_GONE);
    pair_fini(&pair);
    assert_int_equal(COUNTED(tls_failed_gone) - gone, 3);
}

static void a_timeout_is_counted_by_the_close(void **state)
{
    BED;
    struct tls_pair pair;
    uint64_t timeouts = COUNTED(tls_handshake_timeouts), failed = COUNTED(tls_handshakes_failed);

    pair_init(&pair, bed);
    pair.vc->err = SP_TLS_TIMEOUT; /* as the net layer does */
    pair_close_server(&pair, VC_CLOSE_ABORT);
    assert_int_equal(COUNTED(tls_handshake_timeouts) - timeouts, 1);
    assert_int_equal(COUNTED(tls_handshakes_failed) - failed, 1);
    pair_fini(&pair);
}

static void plain_http_gets_its_answer(void **state)
{
    BED;
    struct tls_pair pair;
    char answer[256];
    uint64_t plain = COUNTED(tls_plain_http);
    ssize_t n;

    pair_init(&pair, bed);
    assert_int_equal(write(pair.client_fd, "GE", 2), 2);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ);
    assert_int_equal(write(pair.client_fd, "T / HTTP/1.1\r\n\r\n", 16), 16);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ); /* for the peer to leave */
    assert_null(pair_ssl_vc(&pair)->ssl);
    n = read(pair.client_fd, answer, sizeof(answer));
    assert_int_equal(n, sizeof(PLAIN_HTTP_ANSWER) - 1);
    assert_memory_equal(answer, PLAIN_HTTP_ANSWER, (size_t)n);
    assert_int_equal(read(pair.client_fd, answer, 1), 0); /* and the end of the stream */
    assert_int_equal(write(pair.client_fd, "late", 4), 4);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_READ);
    pair_close_client(&pair);
    assert_int_equal(pair_advance(&pair).err, SP_TLS_PLAIN_HTTP);
    assert_int_equal(COUNTED(tls_plain_http) - plain, 1);
    pair_fini(&pair);
}

static void garbage_is_not_tls(void **state)
{
    BED;
    struct tls_pair pair;
    char c;

    pair_init(&pair, bed);
    assert_int_equal(write(pair.client_fd, "\x80\x2e\x01\x03\x01", 5), 5);
    assert_int_equal(pair_advance(&pair).err, SP_TLS_NOT_TLS);
    pair_close_server(&pair, VC_CLOSE_CLEAN);
    assert_true(read(pair.client_fd, &c, 1) <= 0); /* closed without a word */
    pair_fini(&pair);
}

static void a_broken_hello_is_refused_with_an_alert(void **state)
{
    BED;
    static const char hello[] = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
    struct tls_pair pair;
    unsigned char alert[16];

    pair_init(&pair, bed);
    assert_int_equal(write(pair.client_fd, hello, 10), 10);
    assert_int_equal(pair_advance(&pair).err, SP_TLS_PROTOCOL);
    pair_close_server(&pair, VC_CLOSE_CLEAN);
    assert_int_equal(read(pair.client_fd, alert, sizeof(alert)), 7);
    assert_int_equal(alert[0], SSL3_RT_ALERT);
    assert_int_equal(alert[6], SSL_AD_DECODE_ERROR);
    pair_fini(&pair);
}

static void a_flight_that_the_socket_does_not_take_waits(void **state)
{
    BED;
    struct tls_pair pair;
    int tiny = 1;

    pair_init(&pair, bed);
    assert_int_equal(setsockopt(pair.vc->fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof(tiny)), 0);
    assert_true(pair_handshake(&pair));
    pair_fini(&pair);
}

/* An authority's certificates for one key, of 3 KiB each. */
static void write_long_chain(const struct cert_conf *conf)
{
    char alt_names[3072] = "DNS:padding.example";
    EVP_PKEY *ca_key = key_new(KEY_EC), *key = key_new(KEY_RSA);
    const struct cert_recipe ca_recipe = {
        .common_name = "CA", .alt_names = alt_names, .days_to = 30, .ca = true};
    X509 *ca, *leaf;

    for (size_t len = strlen(alt_names); len + 32 < sizeof(alt_names); len = strlen(alt_names))
        (void)snprintf(alt_names + len, sizeof(alt_names) - len, ",DNS:padding%zu.example", len);
    ca = cert_new(&ca_recipe, ca_key);
    leaf = cert_new(&(struct cert_recipe){.common_name = "api",
                                          .alt_names = "DNS:api.example",
                                          .days_to = 30,
                                          .issuer = ca,
                                          .issuer_key = ca_key},
                    key);
    pem_write_key(conf->key, key);
    pem_write_cert(conf->chain, leaf, "w");
    for (int i = 0; i < 30; i++) {
        pem_write_cert(conf->chain, ca, "a");
        X509_free(ca);
        ca = cert_new(&ca_recipe, ca_key);
    }
    X509_free(ca);
    X509_free(leaf);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

/* Longer than the thread's send buffer, through a socket that takes a little at a time. */
static void a_chain_that_fits_no_buffer_is_sent(void **state)
{
    BED;
    bool waited = false;

    write_long_chain(&bed->certs[2]);
    bed_reopen_port(bed);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_pair pair;
        int tiny = 1, rc = -1;

        pair_init(&pair, bed);
        assert_int_equal(setsockopt(pair.vc->fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof(tiny)), 0);
        (void)SSL_set_max_proto_version(pair.client, version);
        client_asks_for(pair.client, "api.example");
        SSL_set_max_cert_list(pair.client, 1L << 20);
        for (int i = 0; i < 1000 && (rc != 1 || pair.vc->phase == VC_HANDSHAKE); i++) {
            rc = SSL_do_handshake(pair.client);
            ERR_clear_error();
            if (pair.vc->phase == VC_HANDSHAKE)
                assert_int_not_equal(pair_advance(&pair).status, IO_ERROR);
            waited = waited || pair.advanced.status == IO_WANT_WRITE;
        }
        assert_int_equal(rc, 1);
        assert_int_equal(pair.vc->phase, VC_OPEN);
        pair_fini(&pair);
    }
    assert_true(waited);
}

static void the_error_queue_is_empty_between_steps(void **state)
{
    BED;
    struct tls_pair pair;

    pair_init_open(&pair, bed);
    assert_int_equal(ERR_peek_error(), 0); /* the queue is the thread's and stays empty */
    pair_fini(&pair);
}

int main(void)
{
#define WITH_BED(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
    const struct CMUnitTest tests[] = {
        WITH_BED(a_connection_holds_no_ssl_before_its_first_byte),
        WITH_BED(full_handshake_of_tls13),
        WITH_BED(full_handshake_of_tls12),
        WITH_BED(established_connections_pin_no_certificates),
        WITH_BED(resumes_in_tls13),
        WITH_BED(resumes_in_tls12),
        WITH_BED(does_not_resume_under_another_name),
        WITH_BED(gives_out_no_ticket_when_told_so),
        WITH_BED(resumes_after_the_certificates_were_swapped),
        WITH_BED(a_canary_takes_its_share),
        WITH_BED(a_handshake_finishes_with_the_certificates_it_began_with),
        WITH_BED(chooses_the_certificate_that_the_client_can_verify),
        WITH_BED(the_name_chooses_the_bundle),
        WITH_BED(strict_sni_refuses_names_that_nobody_has),
        WITH_BED(alpn_follows_the_port_s_preference),
        WITH_BED(alpn_without_overlap_is_refused_with_its_alert),
        WITH_BED(the_modern_preset_is_tls13_only),
        WITH_BED(suites_without_forward_secrecy_are_refused),
        WITH_BED(an_alert_of_the_peer_is_told_as_such),
        WITH_BED(a_handshake_in_single_bytes_completes),
        WITH_BED(the_peer_may_leave_at_any_point),
        WITH_BED(a_timeout_is_counted_by_the_close),
        WITH_BED(plain_http_gets_its_answer),
        WITH_BED(garbage_is_not_tls),
        WITH_BED(a_broken_hello_is_refused_with_an_alert),
        WITH_BED(a_flight_that_the_socket_does_not_take_waits),
        WITH_BED(a_chain_that_fits_no_buffer_is_sent),
        WITH_BED(the_error_queue_is_empty_between_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
