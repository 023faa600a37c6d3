/* Handshakes with clients: what became of them in numbers, and the last that failed one by one. */
#include "admin_route.h"

#include <sallyport/base/metrics.h>
#include <sallyport/tls/client_hello.h>
#include <sallyport/tls/handshake_log.h>

#include <stdlib.h>

#define LIMIT_DEFAULT    100
#define FOLLOW_PERIOD_MS 500
#define FOLLOW_AT_ONCE   100 /* failures in one piece of a stream */

/* ---- One that failed ---- */

/* What stands for nothing is left out; what has no name is shown by its number. */
static void write_numbers(struct json_writer *j, const char *name, struct view list,
                          const char *(*name_of)(uint16_t number))
{
    uint16_t number;

    json_array(j, name);
    while (client_hello_number(&list, &number)) {
        const char *text = name_of(number);

        if (text != NULL)
            json_string(j, NULL, text);
        else if (!client_hello_is_grease(number))
            json_printf(j, NULL, "0x%04x", number);
    }
    json_end(j);
}

/* Those of the extension; without it the one in the hello itself (RFC 8446 4.2.1). */
static struct view versions_of(const struct client_hello *hello, const struct handshake_failure *f)
{
    struct view message = {(const char *)f->hello, f->hello_len};

    return hello->versions.len > 0 ? hello->versions : view_head(view_from(message, 4), 2);
}

static void write_hello(struct json_writer *j, const struct handshake_failure *f)
{
    struct client_hello hello;
    char ja4[CLIENT_HELLO_JA4_BYTES];
    struct view protocol;

    if (!client_hello_parse((struct view){(const char *)f->hello, f->hello_len}, &hello))
        return;
    client_hello_ja4(&hello, ja4);
    if (hello.sni.len > 0)
        json_text(j, "sni", hello.sni);
    json_string(j, "ja4", ja4);
    write_numbers(j, "versions", versions_of(&hello, f), tls_version_name);
    write_numbers(j, "groups", hello.groups, tls_group_name);
    write_numbers(j, "signature_algorithms", hello.signatures, tls_signature_name);
    json_array(j, "alpn");
    while (client_hello_protocol(&hello.alpn, &protocol))
        json_text(j, NULL, protocol);
    json_end(j);
}

static void write_alert(struct json_writer *j, const char *name, int description)
{
    const char *text = tls_alert_name(description);

    if (description < 0)
        return;
    if (text != NULL)
        json_string(j, name, text);
    else
        json_printf(j, name, "%d", description);
}

static void write_failure(struct json_writer *j, const struct handshake_failure *f)
{
    char peer[ENDPOINT_TEXT_MAX];

    json_object(j, NULL);
    json_number(j, "number", f->number);
    json_time(j, "time", f->wall_ms);
    json_number(j, "connection", f->vc_id);
    json_string(j, "port", f->port);
    json_string(j, "peer", ip_endpoint_format(&f->peer, peer, sizeof(peer)));
    json_string(j, "err", sp_err_label(f->err));
    json_string(j, "reason", f->reason != NULL ? f->reason : sp_err_text(f->err));
    write_alert(j, "alert_sent", f->alert_sent);
    write_alert(j, "alert_received", f->alert_received);
    if (f->certificate[0] != '\0')
        json_string(j, "certificate", f->certificate);
    json_number(j, "wait_us", f->wait_us);
    json_number(j, "crypto_us", f->crypto_us);
    write_hello(j, f);
    json_end(j);
}

/* The newest that are later than `after`, at most so many, the oldest of them first. */
static void write_failures(struct json_writer *j, uint64_t after, uint64_t limit)
{
    uint64_t last = handshake_log_last();
    struct handshake_failure f;

    if (last > limit && last - limit > after)
        after = last - limit;
    json_number(j, "last", last);
    json_array(j, "failed");
    while (handshake_log_next(after, &f) && f.number <= last) {
        write_failure(j, &f);
        after = f.number;
    }
    json_end(j);
}

/* ---- All in numbers ---- */

static void write_agreed(struct json_writer *j, const struct metrics *m)
{
    json_object(j, "versions");
    json_number(j, "TLSv1.2", METRIC_GET(m, tls_version_1_2));
    json_number(j, "TLSv1.3", METRIC_GET(m, tls_version_1_3));
    json_end(j);
    json_object(j, "ciphers");
    json_number(j, "AES-128-GCM", METRIC_GET(m, tls_cipher_aes_128_gcm));
    json_number(j, "AES-256-GCM", METRIC_GET(m, tls_cipher_aes_256_gcm));
    json_number(j, "ChaCha20-Poly1305", METRIC_GET(m, tls_cipher_chacha20_poly1305));
    json_end(j);
    json_object(j, "groups");
    json_number(j, "X25519", METRIC_GET(m, tls_group_x25519));
    json_number(j, "P-256", METRIC_GET(m, tls_group_p256));
    json_number(j, "P-384", METRIC_GET(m, tls_group_p384));
    json_number(j, "X25519MLKEM768", METRIC_GET(m, tls_group_x25519mlkem768));
    json_number(j, "other", METRIC_GET(m, tls_group_other));
    json_end(j);
}

static void write_reasons(struct json_writer *j, const struct metrics *m)
{
    json_object(j, "reasons");
    json_number(j, "timeout", METRIC_GET(m, tls_handshake_timeouts));
    json_number(j, "gone", METRIC_GET(m, tls_failed_gone));
    json_number(j, "plain_http", METRIC_GET(m, tls_plain_http));
    json_number(j, "not_tls", METRIC_GET(m, tls_failed_not_tls));
    json_number(j, "version", METRIC_GET(m, tls_failed_version));
    json_number(j, "cipher", METRIC_GET(m, tls_failed_cipher));
    json_number(j, "sni", METRIC_GET(m, tls_failed_sni));
    json_number(j, "alpn", METRIC_GET(m, tls_failed_alpn));
    json_number(j, "certificate_missing", METRIC_GET(m, tls_failed_certificate_missing));
    json_number(j, "certificate_unknown_ca", METRIC_GET(m, tls_failed_certificate_unknown_ca));
    json_number(j, "certificate_expired", METRIC_GET(m, tls_failed_certificate_expired));
    json_number(j, "certificate_revoked", METRIC_GET(m, tls_failed_certificate_revoked));
    json_number(j, "certificate_refused", METRIC_GET(m, tls_failed_certificate_refused));
    json_number(j, "alert", METRIC_GET(m, tls_failed_alert));
    json_number(j, "protocol", METRIC_GET(m, tls_failed_protocol));
    json_number(j, "other", METRIC_GET(m, tls_failed_other));
    json_end(j);
}

static void write_tickets(struct json_writer *j, const struct metrics *m)
{
    json_object(j, "tickets");
    json_number(j, "issued", METRIC_GET(m, tls_tickets_issued));
    json_number(j, "current", METRIC_GET(m, tls_tickets_current));
    json_number(j, "old", METRIC_GET(m, tls_tickets_old));
    json_number(j, "unknown", METRIC_GET(m, tls_tickets_unknown));
    json_number(j, "expired", METRIC_GET(m, tls_tickets_expired));
    json_number(j, "damaged", METRIC_GET(m, tls_tickets_damaged));
    json_end(j);
}

static void write_average(struct json_writer *j, const char *name, uint64_t sum, uint64_t n)
{
    if (n > 0)
        json_number(j, name, sum / n);
}

static void write_totals(struct json_writer *j, const struct metrics *m)
{
    uint64_t full = METRIC_GET(m, tls_handshakes_full);
    uint64_t resumed = METRIC_GET(m, tls_handshakes_resumed);

    json_object(j, "totals");
    json_number(j, "full", full);
    json_number(j, "resumed", resumed);
    json_number(j, "failed", METRIC_GET(m, tls_handshakes_failed));
    json_number(j, "client_certificates", METRIC_GET(m, tls_certificates_verified));
    write_average(j, "full_cpu_us", METRIC_GET(m, tls_handshake_full_us), full);
    write_average(j, "resumed_cpu_us", METRIC_GET(m, tls_handshake_resumed_us), resumed);
    write_agreed(j, m);
    write_tickets(j, m);
    write_reasons(j, m);
    json_end(j);
}

/* ---- Requests ---- */

struct follow {
    struct admin_stream super;
    uint64_t after;
};

static bool follow_more(struct admin_stream *s, FILE *out)
{
    struct follow *follow = container_of(s, struct follow, super);
    struct handshake_failure f;

    for (int i = 0; i < FOLLOW_AT_ONCE && handshake_log_next(follow->after, &f); i++) {
        struct json_writer j = {.out = out, .compact = true};

        write_failure(&j, &f);
        follow->after = f.number;
    }
    return true;
}

static void follow_end(struct admin_stream *s)
{
    free(container_of(s, struct follow, super));
}

static void follow(struct admin_answer *a, uint64_t after)
{
    struct follow *follow = malloc(sizeof(*follow));

    if (follow == NULL) {
        admin_problem(a, 503, "out of memory");
        return;
    }
    *follow = (struct follow){
        .super = {.more = follow_more, .end = follow_end, .period_ms = FOLLOW_PERIOD_MS},
        .after = after};
    a->content_type = "application/jsonl";
    a->stream = &follow->super;
}

static void answer(const struct admin_request *rq, struct admin_answer *a, uint64_t after,
                   uint64_t limit)
{
    struct metrics *sum = calloc(1, sizeof(*sum));

    if (sum == NULL) {
        admin_problem(a, 503, "out of memory");
        return;
    }
    metrics_sum(sum);
    json_object(&a->json, NULL);
    if (!admin_request_flag(rq, "failed"))
        write_totals(&a->json, sum);
    write_failures(&a->json, after, limit);
    json_end(&a->json);
    free(sum);
}

static void get_handshakes(const struct admin_request *rq, struct admin_answer *a)
{
    bool follows = admin_request_flag(rq, "follow");
    uint64_t after = follows ? handshake_log_last() : 0, limit = LIMIT_DEFAULT;

    if (!admin_request_number(rq, a, "after", 0, UINT64_MAX, &after) ||
        !admin_request_number(rq, a, "limit", 0, HANDSHAKE_LOG_ENTRIES, &limit))
        return;
    if (follows)
        follow(a, after);
    else
        answer(rq, a, after, limit);
}

static const struct admin_parameter query[] = {
    {"failed", "only those that failed, without the numbers of all"},
    {"after", "only failures with a greater `number`; with `follow` also earlier ones than now"},
    {"limit", "how many failures at the most, the newest; 0 to 1000, 100 without"},
    {"follow", "goes on: a line of JSON for each handshake that fails"},
};

static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/handshakes", get_handshakes, ADMIN_QUERY(query),
     .help =
         "How many handshakes there were and what was agreed on, and the last 1,000 that failed: "
         "who it was, what was offered, the JA4 fingerprint, the alert and the reason."},
};

const struct admin_routes admin_handshakes_routes = {"Handshakes", ADMIN_ROWS(rows)};
