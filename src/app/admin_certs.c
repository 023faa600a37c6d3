/* The certificates of the moment: a list of them here, what a name gets in admin_certs_explain.c,
 * their reload in admin_certs_reload.c. */
#include "admin_certs.h"

#include "server_internal.h"

#include <sallyport/base/clock.h>
#include <sallyport/tls/ocsp.h>

/* ---- One certificate ---- */

void admin_certs_write(struct json_writer *j, const struct cert_info *info)
{
    json_string(j, "key", info->key);
    json_string(j, "serial", info->serial);
    json_string(j, "fingerprint", info->fingerprint);
    json_time(j, "not_after", info->not_after_s * 1000);
}

/* Whole days, rounded down: less than a day left is 0, one that expired an hour ago has -1. */
static int64_t days_until(int64_t at_s, int64_t now_s)
{
    int64_t left_s = at_s - now_s;

    return left_s >= 0 ? left_s / 86400 : -((-left_s + 86399) / 86400);
}

/* Nothing where it can have none, or never had to. */
static void write_staple(struct json_writer *j, struct ocsp_slot *slot, int64_t now_s)
{
    struct ocsp_state state;

    if (slot == NULL)
        return;
    state = ocsp_slot_state(slot);
    json_object(j, "staple");
    json_string(j, "state",
                state.revoked       ? "revoked"
                : state.good        ? "good"
                : state.must_staple ? "missing"
                                    : "none");
    json_bool(j, "must_staple", state.must_staple);
    if (state.this_update_ms > 0) {
        json_time(j, "this_update", state.this_update_ms);
        json_signed(j, "age_s", now_s - state.this_update_ms / 1000);
    }
    if (state.next_update_ms > 0)
        json_time(j, "next_update", state.next_update_ms);
    if (state.tried_ms > 0) {
        json_time(j, "tried", state.tried_ms);
        json_string(j, "outcome", ocsp_outcome_text(state.last));
        json_number(j, "failures", state.failures);
    }
    if (state.next_try_ms > 0)
        json_time(j, "next_try", state.next_try_ms);
    json_end(j);
}

struct now {
    int64_t now_s;
    uint32_t warn_before_days; /* of the bundle */
};

static void write_certificate(struct json_writer *j, const struct cert_bundle *bundle, uint32_t i,
                              const struct now *now)
{
    int64_t now_s = now->now_s;
    struct cert_info info;

    cert_bundle_describe(bundle, i, &info);
    json_object(j, NULL);
    admin_certs_write(j, &info);
    json_string(j, "subject", info.subject);
    json_string(j, "issuer", info.issuer);
    json_time(j, "not_before", info.not_before_s * 1000);
    json_signed(j, "days_left", days_until(info.not_after_s, now_s));
    json_bool(j, "expired", info.not_after_s <= now_s);
    json_bool(j, "expires_soon",
              info.not_after_s > now_s &&
                  days_until(info.not_after_s, now_s) < (int64_t)now->warn_before_days);
    write_staple(j, cert_bundle_ocsp(bundle, i), now_s);
    json_end(j);
}

/* ---- The list ---- */

static void write_bundle(struct json_writer *j, const struct cert_bundle *bundle,
                         const struct now *now)
{
    struct cert_bundle_use use = cert_bundle_use(bundle);

    json_object(j, NULL);
    json_text(j, "bundle", cert_bundle_name(bundle));
    json_array(j, "names");
    for (uint32_t i = 0; i < cert_bundle_n_names(bundle); i++)
        json_text(j, NULL, cert_bundle_host(bundle, i));
    json_end(j);
    json_array(j, "certificates");
    for (uint32_t i = 0; i < cert_bundle_n_certs(bundle); i++)
        write_certificate(j, bundle, i, now);
    json_end(j);
    json_number(j, "handshakes", use.handshakes);
    json_number(j, "failed", use.failed);
    if (use.last_ms > 0)
        json_time(j, "last_used", use.last_ms);
    json_end(j);
}

/* The set of a moment and the configuration that it is of: both have the same order. */
static void get_certs(const struct admin_request *rq, struct admin_answer *a)
{
    struct server *s = rq->server;
    struct now now = {.now_s = clock_wall_ms() / 1000};
    struct config *config;
    struct cert_set *set;

    server_lock(s);
    config = config_ref(s->config);
    set = cert_set_ref(s->certs);
    server_unlock(s);
    json_object(&a->json, NULL);
    json_time(&a->json, "time", now.now_s * 1000);
    json_array(&a->json, "bundles");
    for (uint32_t i = 0; i < cert_set_n(set); i++) {
        now.warn_before_days = config->bundles[i].warn_before_days;
        write_bundle(&a->json, cert_set_at(set, i), &now);
    }
    json_end(&a->json);
    json_end(&a->json);
    cert_set_unref(set);
    config_unref(config);
}

/* ---- Routes ---- */

static const struct admin_parameter reload_query[] = {
    {"bundle", "only this one; may be repeated"},
    {"partial", "the good ones change although others are refused"},
    {"dry_run", "only say what would change"},
    {"canary", "percent of the handshakes that are served with the new ones first (`5`, `0.5`, "
               "at most 100); they go back by themselves when more handshakes fail than before"},
    {"canary_s", "for so many seconds (60), before they serve everybody"},
};
static const struct admin_parameter explain_query[] = {
    {"name", "as a client asks for it; empty or left out: it asks for none"},
    {"port", "only on this one"},
};
static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/certs", get_certs,
     .help = "Every bundle: its names and certificates, when they expire, how often it was used."},
    {HTTP_METHOD_GET, "/certs/explain", admin_certs_explain, ADMIN_QUERY(explain_query),
     .help = "Which bundle a client gets on each TLS port that asks for a name, why, and which "
             "other bundles have it or a wildcard for it."},
    {HTTP_METHOD_POST, "/certs/reload", admin_certs_reload, ADMIN_QUERY(reload_query),
     .help = "Reads certificates whose files changed, checks them, and swaps them in, all or, "
             "with `partial`, the good ones. What was refused is in `problems`: 422, or 200 with "
             "`partial`."},
};
const struct admin_routes admin_certs_routes = {"Certificates", ADMIN_ROWS(rows)};
