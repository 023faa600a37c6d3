/* Early data (RFC 8470): a request that was received before its client's handshake is over may be a
 * copy that somebody else sends, as often as they find an instance that takes it. So it goes on at
 * once only where doing it twice is harmless, with a field that lets the backend decline;
 * everything else waits, and is then a request like any other. */
#include "forwarded_head.h"
#include "transaction.h"

#include <sallyport/base/metrics.h>
#include <sallyport/http/http_syntax.h>

/* "Safe" methods (RFC 9110 9.2.1) without a body. A tunnel is more than its request. */
static bool may_go_early(const struct transaction *t)
{
    return t->no_body && !t->is_upgrade && http_method_is_safe(t->request->method);
}

static void forward(struct transaction *t)
{
    enum http_error error = forwarded_request_make(&t->forwarding, t->request, t->request_id,
                                                   &t->client->arena, &t->out);

    if (error == HTTP_ERROR_NONE)
        transaction_connect(t);
    else
        transaction_fail(t, error);
}

static void proven(struct net_vc_proof *proof)
{
    struct transaction *t = container_of(proof, struct transaction, proof);

    t->forwarding.early = false;
    forward(t);
}

/* Bounded by the time that the handshake has. */
static void wait(struct transaction *t)
{
    transaction_enter(t, TRANSACTION_PROVING);
    transaction_pause_client(t);
    t->proof.proven = proven;
    net_vc_wait_proof(t->client->vc, &t->proof);
}

void transaction_forward(struct transaction *t)
{
    if (!net_vc_is_early(t->client->vc)) {
        forward(t);
        return;
    }
    if (!may_go_early(t)) {
        METRIC_INC(http_early_waited);
        wait(t);
        return;
    }
    METRIC_INC(http_early_requests);
    t->forwarding.early = true;
    t->sent_early = http_fields_get(&t->request->fields, HTTP_FIELD_EARLY_DATA) == NULL;
    forward(t);
}

/* Whoever is in front of us and said Early-Data asks again themselves (RFC 8470 5.2). */
bool transaction_was_too_early(const struct transaction *t, uint16_t status)
{
    return status == 425 && t->sent_early && !t->client_failed && t->client->vc != NULL;
}

void transaction_ask_again_proven(struct transaction *t)
{
    METRIC_INC(http_early_retried);
    t->sent_early = false;
    transaction_drop_upstream(t, HTTP_ERROR_NONE);
    t->answered_ns = 0;
    if (net_vc_is_early(t->client->vc)) {
        wait(t);
        return;
    }
    proven(&t->proof);
}
