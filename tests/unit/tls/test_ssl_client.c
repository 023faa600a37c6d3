/* Whom our outgoing connections believe, what they offer, and how their streams end. */
#include "tls_upstream.h"

static int setup(void **state)
{
    static struct upstream u;

    upstream_open(&u);
    *state = &u;
    return 0;
}

static int teardown(void **state)
{
    upstream_close(*state);
    return 0;
}

/* Meets once and parts; what came of it. */
static enum sp_err outcome(struct upstream *u, const struct ssl_client_options *options)
{
    struct tls_client *client = upstream_client(u, options);
    enum sp_err err = upstream_meet(u, client);

    upstream_part(u);
    tls_client_unref(client);
    return err;
}

/* ---- Whom it believes ---- */

static void is_believed(struct upstream *u, int version)
{
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);
    struct tls_info info;
    char buf[8];

    (void)SSL_CTX_set_max_proto_version(u->ctx, version);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_int_equal(upstream_meet(u, client), SP_OK);
    assert_string_equal(SSL_get_servername(u->ssl, TLSEXT_NAMETYPE_host_name), "shop.example");
    assert_true(net_vc_tls_info(u->user.vc, &info));
    assert_string_equal(info.version, version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
    assert_true(view_eq(info.sni, VIEW("shop.example")));
    assert_false(info.resumed);
    assert_int_equal(SSL_write(u->ssl, "hello", 5), 5);
    NET_FIXTURE_UNTIL(&u->f, u->user.in.len == 5);
    net_user_say(&u->user, "world", 5);
    (void)net_user_write(&u->user, INT64_MAX, 0);
    NET_FIXTURE_UNTIL(&u->f, SSL_peek(u->ssl, buf, sizeof(buf)) == 5);
    assert_memory_equal(buf, "world", 5);
    tls_client_unref(client); /* the connection has a reference of its own */
    upstream_part(u);
}

static void a_server_with_the_right_certificate_is_believed(void **state)
{
    is_believed(*state, TLS1_3_VERSION);
}

static void so_it_is_with_tls12(void **state)
{
    is_believed(*state, TLS1_2_VERSION);
}

static void a_certificate_has_to_be_valid_now(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct metrics before, after;

    metrics_sum(&before);
    upstream_serves(
        u, (struct peer_cert){.names = "DNS:shop.example", .days_from = -10, .days_to = -1});
    assert_int_equal(outcome(u, &options), SP_TLS_CERT_EXPIRED);
    upstream_serves(u,
                    (struct peer_cert){.names = "DNS:shop.example", .days_from = 1, .days_to = 9});
    assert_int_equal(outcome(u, &options), SP_TLS_CERT_EXPIRED);
    metrics_sum(&after);
    assert_int_equal(after.tls_client_handshakes_failed - before.tls_client_handshakes_failed, 2);
    assert_int_equal(after.tls_client_failed_certificate - before.tls_client_failed_certificate, 2);
}

static void the_server_is_told_what_is_wrong_with_its_certificate(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);

    upstream_serves(
        u, (struct peer_cert){.names = "DNS:shop.example", .days_from = -10, .days_to = -1});
    assert_int_equal(upstream_meet(u, client), SP_TLS_CERT_EXPIRED);
    assert_int_not_equal(SSL_do_handshake(u->ssl), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED);
    tls_client_unref(client);
}

static void a_certificate_has_to_be_for_the_name(void **state)
{
    static const struct {
        struct peer_cert cert;
        enum sp_err err;
    } cases[] = {
        {{.names = "DNS:other.example,DNS:www.shop.example"}, SP_OK},
        {{.names = "DNS:*.shop.example"}, SP_OK},
        {{.names = "DNS:other.example"}, SP_TLS_CERT_NAME},
        {{.names = "DNS:w*.shop.example"}, SP_TLS_CERT_NAME},
        {{.names = "DNS:*.example"}, SP_TLS_CERT_NAME},
        {{.names = "DNS:shop.example"}, SP_TLS_CERT_NAME},
        {{.names = "IP:127.0.0.1"}, SP_TLS_CERT_NAME},
        {{.common_name = "www.shop.example"}, SP_TLS_CERT_NAME}, /* RFC 9525 2 */
    };
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);

    options.server_name = VIEW("www.shop.example");
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        upstream_serves(u, cases[i].cert);
        assert_int_equal(outcome(u, &options), cases[i].err);
    }
}

static void an_address_is_verified_and_not_asked_for(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);
    struct tls_client *client;

    options.server_name = VIEW("::1");
    upstream_serves(u, (struct peer_cert){.names = "IP:127.0.0.1"});
    assert_int_equal(outcome(u, &options), SP_TLS_CERT_NAME);
    upstream_serves(u, (struct peer_cert){.names = "IP:127.0.0.1,IP:::1"});
    client = upstream_client(u, &options);
    assert_int_equal(upstream_meet(u, client), SP_OK);
    assert_null(SSL_get_servername(u->ssl, TLSEXT_NAMETYPE_host_name));
    tls_client_unref(client);
}

static void a_final_dot_of_the_name_is_not_part_of_it(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);

    options.server_name = VIEW("shop.example.");
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_int_equal(outcome(u, &options), SP_OK);
}

static void a_certificate_has_to_lead_to_a_known_authority(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);

    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example", .self_signed = true});
    assert_int_equal(outcome(u, &options), SP_TLS_CERT_UNKNOWN_CA);
}

static void who_does_not_verify_believes_anybody(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);

    options.trust = NULL;
    upstream_serves(
        u, (struct peer_cert){
               .names = "DNS:other.example", .days_from = -10, .days_to = -1, .self_signed = true});
    assert_int_equal(outcome(u, &options), SP_OK);
    options.server_name = VIEW("");
    assert_int_equal(outcome(u, &options), SP_OK);
}

/* ---- Protocols ---- */

static const char *peer_protocol; /* what the server answers; NULL: nothing */
static bool peer_refuses;

static int peer_chooses(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)in;
    (void)in_len;
    (void)arg;
    if (peer_refuses)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    if (peer_protocol == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    *out = (const unsigned char *)peer_protocol;
    *out_len = (unsigned char)strlen(peer_protocol);
    return SSL_TLSEXT_ERR_OK;
}

static void the_protocol_has_to_be_one_that_was_offered(void **state)
{
    static const struct {
        uint32_t offered;
        bool required, refuses;
        const char *chosen;
        enum sp_err err;
    } cases[] = {
        {ALPN_H2, true, false, "h2", SP_OK},
        {ALPN_H2 | ALPN_HTTP11, true, false, "http/1.1", SP_OK},
        {ALPN_H2, true, false, NULL, SP_TLS_ALPN},
        {ALPN_HTTP11, false, false, NULL, SP_OK},
        {ALPN_H2, true, true, NULL, SP_TLS_ALPN},
    };
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);

    SSL_CTX_set_alpn_select_cb(u->ctx, peer_chooses, NULL);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        options.alpn = cases[i].offered;
        options.alpn_required = cases[i].required;
        peer_protocol = cases[i].chosen;
        peer_refuses = cases[i].refuses;
        assert_int_equal(outcome(u, &options), cases[i].err);
    }
}

/* Libraries of late see it themselves, and call it a bad extension. */
static void a_protocol_that_was_not_offered_is_refused(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    enum sp_err err;

    SSL_CTX_set_alpn_select_cb(u->ctx, peer_chooses, NULL);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    peer_refuses = false;
    peer_protocol = "h2";
    err = outcome(u, &options);
    assert_true(err == SP_TLS_ALPN || err == SP_TLS_PROTOCOL);
}

static void the_chosen_protocol_is_told(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);
    struct tls_client *client;
    struct tls_info info;

    options.alpn = ALPN_H2;
    peer_protocol = "h2";
    peer_refuses = false;
    SSL_CTX_set_alpn_select_cb(u->ctx, peer_chooses, NULL);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    client = upstream_client(u, &options);
    assert_int_equal(upstream_meet(u, client), SP_OK);
    assert_true(net_vc_tls_info(u->user.vc, &info));
    assert_true(view_eq(info.alpn, VIEW("h2")));
    tls_client_unref(client);
}

static void a_server_that_is_too_old_is_refused(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);

    options.preset = TLS_PRESET_MODERN;
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    (void)SSL_CTX_set_max_proto_version(u->ctx, TLS1_2_VERSION);
    assert_int_equal(outcome(u, &options), SP_TLS_ALERT);
}

/* ---- Sessions ---- */

static bool meets_resumed(struct upstream *u, struct tls_client *client)
{
    struct tls_info info = {0};
    bool resumed;

    assert_int_equal(upstream_meet(u, client), SP_OK);
    assert_true(net_vc_tls_info(u->user.vc, &info));
    resumed = info.resumed;
    assert_int_equal(resumed, SSL_session_reused(u->ssl));
    upstream_part(u);
    return resumed;
}

static void resumes(struct upstream *u, int version)
{
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);
    struct tls_client *other = upstream_client(u, &options);

    (void)SSL_CTX_set_max_proto_version(u->ctx, version);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_false(meets_resumed(u, client));
    assert_true(meets_resumed(u, client));
    assert_true(meets_resumed(u, client));
    assert_false(meets_resumed(u, other));
    upstream_wall_offset_ms = (TLS_SESSION_MAX_AGE_S + 1) * INT64_C(1000);
    assert_false(meets_resumed(u, client));
    tls_client_unref(client);
    tls_client_unref(other);
}

static void the_next_connection_resumes(void **state)
{
    resumes(*state, TLS1_3_VERSION);
}

static void so_it_does_with_tls12(void **state)
{
    resumes(*state, TLS1_2_VERSION);
}

static void nothing_is_resumed_past_the_end_of_the_certificate(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);
    SSL_SESSION *session;

    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_false(meets_resumed(u, client));
    session = tls_sessions_take(&ssl_client_of(client)->sessions, u->f.thread->id);
    assert_non_null(session);
    upstream_wall_offset_ms = INT64_C(86400000) + 1000; /* the certificate is for one day */
    SSL_SESSION_set_time(session, (long)(upstream_wall_ms() / 1000));
    tls_sessions_put(&ssl_client_of(client)->sessions, u->f.thread->id, session);
    assert_null(tls_sessions_take(&ssl_client_of(client)->sessions, u->f.thread->id));
    tls_client_unref(client);
}

static void few_sessions_are_kept_and_the_newest_is_used(void **state)
{
    struct upstream *u = *state;
    struct tls_sessions sessions;
    SSL_SESSION *made[TLS_SESSIONS_PER_SLOT + 2], *session;

    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    tls_sessions_init(&sessions);
    for (size_t i = 0; i < SP_COUNT_OF(made); i++) {
        const struct ssl_client_options options = upstream_options(u);
        struct tls_client *client = upstream_client(u, &options);

        assert_false(meets_resumed(u, client));
        made[i] = tls_sessions_take(&ssl_client_of(client)->sessions, u->f.thread->id);
        assert_non_null(made[i]);
        tls_sessions_put(&sessions, 3, made[i]);
        tls_client_unref(client);
    }
    assert_null(tls_sessions_take(&sessions, 4));
    for (size_t i = 0; i < TLS_SESSIONS_PER_SLOT; i++) {
        session = tls_sessions_take(&sessions, 3 + TLS_SESSION_SLOTS);
        assert_ptr_equal(session, made[SP_COUNT_OF(made) - 1 - i]);
        SSL_SESSION_free(session);
    }
    assert_null(tls_sessions_take(&sessions, 3));
    tls_sessions_fini(&sessions);
}

static void a_slot_in_use_is_not_waited_for(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);
    struct tls_session_slot *slot = &ssl_client_of(client)->sessions.slots[u->f.thread->id];

    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_false(atomic_flag_test_and_set(&slot->in_use));
    assert_false(meets_resumed(u, client));
    assert_int_equal(slot->n, 0);
    atomic_flag_clear(&slot->in_use);
    assert_false(meets_resumed(u, client));
    assert_true(meets_resumed(u, client));
    tls_client_unref(client);
}

/* ---- The end of a stream ---- */

static struct tls_client *meet_shop(struct upstream *u)
{
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);

    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_int_equal(upstream_meet(u, client), SP_OK);
    return client;
}

static void a_stream_that_ends_with_close_notify_is_whole(void **state)
{
    struct upstream *u = *state;
    struct tls_client *client = meet_shop(u);

    assert_int_equal(SSL_write(u->ssl, "all", 3), 3);
    assert_int_equal(SSL_shutdown(u->ssl), 0);
    upstream_peer_gone(u);
    NET_FIXTURE_UNTIL(&u->f, net_user_count(&u->user, VC_EVENT_EOS) == 1);
    assert_int_equal(net_user_count(&u->user, VC_EVENT_ERROR), 0);
    assert_int_equal(u->user.in.len, 3);
    tls_client_unref(client);
}

static void a_stream_that_ends_without_it_was_cut(void **state)
{
    struct upstream *u = *state;
    struct tls_client *client = meet_shop(u);

    assert_int_equal(SSL_write(u->ssl, "hal", 3), 3);
    assert_int_equal(shutdown(u->fd, SHUT_WR), 0); /* a FIN, as anybody on the way can send it */
    NET_FIXTURE_UNTIL(&u->f, net_user_count(&u->user, VC_EVENT_ERROR) == 1);
    assert_int_equal(net_user_count(&u->user, VC_EVENT_EOS), 0);
    assert_int_equal(u->user.vc->err, SP_TLS_TRUNCATED);
    assert_int_equal(u->user.in.len, 3);
    tls_client_unref(client);
}

static void our_own_end_is_announced(void **state)
{
    struct upstream *u = *state;
    struct tls_client *client = meet_shop(u);
    char c;

    net_user_close(&u->user, VC_CLOSE_CLEAN);
    net_fixture_settle(&u->f);
    assert_int_equal(SSL_read(u->ssl, &c, 1), 0);
    assert_int_equal(SSL_get_error(u->ssl, 0), SSL_ERROR_ZERO_RETURN);
    tls_client_unref(client);
}

/* ---- Time, and ends in the middle ---- */

static void one_time_limit_covers_connecting_and_the_handshake(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);

    upstream_connect(u, client); /* the kernel accepts, and nobody answers the ClientHello */
    NET_FIXTURE_UNTIL(&u->f, u->user.vc->phase == VC_HANDSHAKE);
    net_fixture_pass_ms(&u->f, CONNECT_TIMEOUT_MS - 100);
    assert_int_equal(net_user_count(&u->user, NET_EVENT_OPEN_FAILED), 0);
    net_fixture_pass_ms(&u->f, 200);
    assert_int_equal(net_user_count(&u->user, NET_EVENT_OPEN_FAILED), 1);
    assert_int_equal(u->user.failure, SP_TLS_TIMEOUT);
    assert_int_equal(net_user_count(&u->user, NET_EVENT_OPEN), 0);
    u->user.vc = NULL;
    tls_client_unref(client);
}

static void a_server_that_leaves_or_speaks_no_tls_is_told_apart(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);
    int fd;

    upstream_connect(u, client);
    NET_FIXTURE_UNTIL(&u->f, u->user.vc->phase == VC_HANDSHAKE);
    fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    NET_FIXTURE_UNTIL(&u->f, net_user_count(&u->user, NET_EVENT_OPEN_FAILED) == 1);
    assert_int_equal(u->user.failure, SP_TLS_GONE);
    (void)close(fd);
    net_fixture_settle(&u->f);

    upstream_connect(u, client);
    NET_FIXTURE_UNTIL(&u->f, u->user.vc->phase == VC_HANDSHAKE);
    fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
    NET_FIXTURE_UNTIL(&u->f, net_user_count(&u->user, NET_EVENT_OPEN_FAILED) == 1);
    assert_int_equal(u->user.failure, SP_TLS_VERSION); /* "wrong version number" */
    (void)close(fd);
    u->user.vc = NULL;
    tls_client_unref(client);
}

static void a_handshake_that_its_user_gives_up_is_no_failure(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);
    struct tls_client *client = upstream_client(u, &options);
    struct metrics before, after;

    metrics_sum(&before);
    upstream_connect(u, client);
    net_user_close(&u->user, VC_CLOSE_ABORT); /* before it stands */
    net_fixture_settle(&u->f);
    upstream_connect(u, client);
    NET_FIXTURE_UNTIL(&u->f, u->user.vc->phase == VC_HANDSHAKE);
    net_fixture_settle(&u->f);
    net_user_close(&u->user, VC_CLOSE_ABORT);
    net_fixture_settle(&u->f);
    metrics_sum(&after);
    assert_int_equal(after.tls_client_handshakes_failed, before.tls_client_handshakes_failed);
    tls_client_unref(client);
}

/* ---- Our own certificate ---- */

static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static void our_own_certificate_is_shown_to_who_asks(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);
    struct cert_conf own = cert_files_make(&u->folder, "proxy", KEY_EC, "DNS:proxy.example");
    struct tls_client *client;
    X509 *seen;

    options.certificate = own.chain;
    options.key = own.key;
    client = upstream_client(u, &options);
    SSL_CTX_set_verify(u->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_int_equal(upstream_meet(u, client), SP_OK);
    seen = SSL_get1_peer_certificate(u->ssl);
    assert_non_null(seen);
    assert_int_equal(X509_check_host(seen, "proxy.example", 0, 0, NULL), 1);
    X509_free(seen);
    tls_client_unref(client);
}

static void a_server_that_wants_a_certificate_and_gets_none_says_so(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_options options = upstream_options(u);

    SSL_CTX_set_verify(u->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    (void)SSL_CTX_set_max_proto_version(u->ctx, TLS1_2_VERSION);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_int_equal(outcome(u, &options), SP_TLS_ALERT);
}

/* ---- Options ---- */

static void is_refused(struct upstream *u, const struct ssl_client_options *options,
                       const char *key, const char *text)
{
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    enum sp_err err = SP_OK;

    u->n_problems = 0;
    assert_null(ssl_client_new(options, &reporter, &err));
    assert_int_equal(err, SP_INVALID);
    assert_int_equal(u->n_problems, 1);
    assert_string_equal(u->key, key);
    assert_non_null(strstr(u->text, text));
}

static void what_cannot_be_used_is_told_with_its_key(void **state)
{
    struct upstream *u = *state;
    struct ssl_client_options options = upstream_options(u);
    struct cert_conf a = cert_files_make(&u->folder, "a", KEY_EC, "DNS:a.example");
    struct cert_conf b = cert_files_make(&u->folder, "b", KEY_EC, "DNS:b.example");

    options.server_name = VIEW("");
    is_refused(u, &options, "server_name", "is needed");
    options = upstream_options(u);
    options.certificate = a.chain;
    options.key = b.key;
    is_refused(u, &options, "key", "does not belong to the certificate");
    options.key = a.key;
    options.certificate = folder_file(&u->folder, "missing.pem");
    is_refused(u, &options, "certificate", "cannot be opened");
}

static void authorities_that_cannot_be_read_are_told(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    struct view empty = folder_file(&u->folder, "empty.pem");
    enum sp_err err = SP_OK;

    text_write(empty, "nothing\n");
    assert_null(ssl_trust_new(empty, &reporter, &err));
    assert_int_equal(err, SP_INVALID);
    assert_string_equal(u->key, "ca_file");
    assert_non_null(strstr(u->text, "has no PEM block"));
    assert_null(ssl_trust_new(folder_file(&u->folder, "missing.pem"), &reporter, &err));
    assert_int_equal(err, SP_INVALID);
    assert_non_null(strstr(u->text, "cannot be opened"));
    assert_int_equal(u->n_problems, 2);
}

static void the_systems_authorities_can_be_named_by_the_environment(void **state)
{
    struct upstream *u = *state;
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    struct ssl_client_options options = upstream_options(u);
    enum sp_err err;

    assert_int_equal(setenv("SSL_CERT_FILE", u->ca_file.p, 1), 0); // NOLINT(concurrency-mt-unsafe)
    options.trust = ssl_trust_new(VIEW(""), &reporter, &err);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0); // NOLINT(concurrency-mt-unsafe)
    assert_non_null(options.trust);
    upstream_serves(u, (struct peer_cert){.names = "DNS:shop.example"});
    assert_int_equal(outcome(u, &options), SP_OK);
    ssl_trust_unref(options.trust);
}

#define CLIENT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(a_server_with_the_right_certificate_is_believed),
        CLIENT_TEST(so_it_is_with_tls12),
        CLIENT_TEST(a_certificate_has_to_be_valid_now),
        CLIENT_TEST(the_server_is_told_what_is_wrong_with_its_certificate),
        CLIENT_TEST(a_certificate_has_to_be_for_the_name),
        CLIENT_TEST(an_address_is_verified_and_not_asked_for),
        CLIENT_TEST(a_final_dot_of_the_name_is_not_part_of_it),
        CLIENT_TEST(a_certificate_has_to_lead_to_a_known_authority),
        CLIENT_TEST(who_does_not_verify_believes_anybody),
        CLIENT_TEST(the_protocol_has_to_be_one_that_was_offered),
        CLIENT_TEST(a_protocol_that_was_not_offered_is_refused),
        CLIENT_TEST(the_chosen_protocol_is_told),
        CLIENT_TEST(a_server_that_is_too_old_is_refused),
        CLIENT_TEST(the_next_connection_resumes),
        CLIENT_TEST(so_it_does_with_tls12),
        CLIENT_TEST(nothing_is_resumed_past_the_end_of_the_certificate),
        CLIENT_TEST(few_sessions_are_kept_and_the_newest_is_used),
        CLIENT_TEST(a_slot_in_use_is_not_waited_for),
        CLIENT_TEST(a_stream_that_ends_with_close_notify_is_whole),
        CLIENT_TEST(a_stream_that_ends_without_it_was_cut),
        CLIENT_TEST(our_own_end_is_announced),
        CLIENT_TEST(one_time_limit_covers_connecting_and_the_handshake),
        CLIENT_TEST(a_server_that_leaves_or_speaks_no_tls_is_told_apart),
        CLIENT_TEST(a_handshake_that_its_user_gives_up_is_no_failure),
        CLIENT_TEST(our_own_certificate_is_shown_to_who_asks),
        CLIENT_TEST(a_server_that_wants_a_certificate_and_gets_none_says_so),
        CLIENT_TEST(what_cannot_be_used_is_told_with_its_key),
        CLIENT_TEST(authorities_that_cannot_be_read_are_told),
        CLIENT_TEST(the_systems_authorities_can_be_named_by_the_environment),
    };

    if (metrics_register_thread() != SP_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
