/* Certificates that serve a share of the handshakes first: how they do, and a person's verdict. */
#include "admin_routes.h"
#include "cert_canary.h"
#include "server_internal.h"

#include <sallyport/base/clock.h>

static void write_bundle(struct json_writer *j, const struct server *s, uint32_t i)
{
    const struct cert_canary_use use = cert_canary_use_of(s, i);

    json_object(j, NULL);
    json_text(j, "bundle", cert_bundle_name(cert_set_at(s->canary.set, i)));
    json_number(j, "handshakes", use.handshakes);
    json_number(j, "failed", use.failed);
    json_number(j, "old_handshakes", use.old_handshakes);
    json_number(j, "old_failed", use.old_failed);
    json_end(j);
}

static void write_canary(struct json_writer *j, const struct server *s)
{
    const struct cert_canary *c = &s->canary;
    int64_t left_ms = c->until_mono_ms - clock_mono_ms();

    json_number(j, "share_per_10000", c->share);
    json_number(j, "left_ms", left_ms < 0 ? 0 : (uint64_t)left_ms);
    json_array(j, "bundles");
    for (uint32_t i = 0; i < cert_set_n(c->set); i++)
        if (cert_set_outcome(c->set, i) == CERT_CHANGED)
            write_bundle(j, s, i);
    json_end(j);
}

static void get_canary(const struct admin_request *rq, struct admin_answer *a)
{
    struct server *s = rq->server;

    (void)pthread_mutex_lock(&s->applying);
    json_object(&a->json, NULL);
    json_bool(&a->json, "active", s->canary.set != NULL);
    if (s->canary.set != NULL)
        write_canary(&a->json, s);
    json_end(&a->json);
    (void)pthread_mutex_unlock(&s->applying);
}

static void end_canary(const struct admin_request *rq, struct admin_answer *a,
                       void (*end)(struct server *s, const char *why))
{
    struct server *s = rq->server;
    bool active;

    (void)pthread_mutex_lock(&s->applying);
    active = s->canary.set != NULL;
    if (active) {
        json_object(&a->json, NULL);
        write_canary(&a->json, s);
        json_end(&a->json);
    }
    end(s, "as asked");
    (void)pthread_mutex_unlock(&s->applying);
    if (!active)
        admin_problem(a, 409, "no canary is under way");
}

static void complete_canary(const struct admin_request *rq, struct admin_answer *a)
{
    end_canary(rq, a, cert_canary_complete);
}

static void take_canary_back(const struct admin_request *rq, struct admin_answer *a)
{
    end_canary(rq, a, cert_canary_back);
}

static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/certs/canary", get_canary,
     .help =
         "Certificates that serve a share of the handshakes first: the share, the time that is "
         "left, and for each bundle how many full handshakes completed and failed with the new one "
         "and with the old one meanwhile."},
    {HTTP_METHOD_POST, "/certs/canary/complete", complete_canary,
     .help = "The new ones serve everybody now."},
    {HTTP_METHOD_POST, "/certs/canary/back", take_canary_back,
     .help = "The old ones serve everybody again."},
};

const struct admin_routes admin_canary_routes = {"Canary", ADMIN_ROWS(rows)};
