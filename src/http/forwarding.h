/* The fields that tell a backend whom it serves: X-Forwarded-*, Forwarded (RFC 7239), X-Request-Id,
 * Via (RFC 9110 7.6.3), Client-Cert and Client-Cert-Chain (RFC 9440), X-Client-Cert-*.
 *
 * A peer on the trusted list (another proxy) is believed: its fields are kept and added to. From
 * everybody else these fields are thrown away, also those that the configuration does not send, so
 * that a backend never sees one that a client made up (nor its like with underscores). What is said
 * of a client's certificate is believed of nobody (RFC 9440 2.4): it is what this side has
 * verified. All are added after hop-by-hop fields were removed: naming them in Connection takes
 * only the client's own. */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/config/config.h>
#include <sallyport/http/http_message.h>
#include <sallyport/net/client_identity.h>

struct forwarding {
    const struct forwarding_conf *conf;
    union ip_endpoint client;
    struct client_identity *identity; /* borrowed; NULL: no certificate is asked for */
    uint16_t port;                    /* of this side; 0: unknown (unix) */
    bool tls;
    bool early;   /* the client's handshake is not over, and the backend is told (RFC 8470 5.1) */
    bool trusted; /* forwarding_trusts(conf, &client) */
};

bool forwarding_trusts(const struct forwarding_conf *conf, const union ip_endpoint *peer);

/* Is this field of the request not to be copied, because forwarding_add() decides about it? */
bool forwarding_owns(enum http_field_id id);

/* Is it one of these names with underscores or the like? To a reader of CGI variables both are
 * one. */
bool forwarding_is_imitation(struct view name);

/* At most how many fields forwarding_add() adds, those of a trusted peer's `request` included. */
uint32_t forwarding_max_fields(const struct http_fields *request);

/* Adds the fields for `request`. Values are in the arena or in the request. */
enum sp_err forwarding_add(const struct forwarding *f, const struct http_head *request,
                           struct view request_id, struct arena *arena, struct http_fields *out)
    SP_MUST_CHECK;

/* The id of a request: a trusted peer's sane one, else a new one in the arena. .p is NULL: out of
 * memory. */
struct view forwarding_request_id(const struct forwarding *f, const struct http_head *request,
                                  struct arena *arena) SP_MUST_CHECK;
