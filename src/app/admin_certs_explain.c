/* GET /certs/explain: what a client gets that asks for a name, port by port, and why. The ports are
 * asked as a handshake asks them: what is told is what is served at this moment. */
#include "admin_certs.h"
#include "idn.h"
#include "server_internal.h"

#include <sallyport/config/nearest.h>

#include <arpa/inet.h>

#define NAME_MAX_BYTES 512
#define CANDIDATES     64

/* ---- The name, as it would stand in a ClientHello ---- */

struct question {
    struct view given;
    struct view asked; /* empty: the client asks for none */
    const char *note;  /* what became of the given one; NULL: nothing */
    char ascii[NAME_MAX_BYTES];
};

static bool is_address(struct view name)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];

    if (name.len > 2 && name.p[0] == '[' && name.p[name.len - 1] == ']')
        name = view_head(view_from(name, 1), name.len - 2);
    if (name.len == 0 || name.len >= sizeof(text))
        return false;
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static bool is_host(struct view name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_host_char(name.p[i]))
            return false;
    return true;
}

/* False: 400 was answered. */
static bool take_name(const struct admin_request *rq, struct admin_answer *a, struct question *q)
{
    q->given = VIEW("");
    (void)admin_request_query(rq, "name", &q->given);
    q->asked = q->given;
    if (q->given.len == 0) {
        q->note = "the client asks for no name";
    } else if (is_address(q->given)) {
        q->asked = VIEW("");
        q->note = "a client that connects to an address asks for no name (RFC 6066 3)";
    } else if (idn_is_international(q->given)) {
        const char *why;

        if (!idn_to_ascii(q->given, q->ascii, sizeof(q->ascii), &why)) {
            admin_problem(a, 400, "this is no name: %s", why);
            return false;
        }
        q->asked = view_of(q->ascii);
        q->note = "clients ask for it in its ASCII form (RFC 5890)";
    }
    if (is_host(q->asked))
        return true;
    admin_problem(a, 400,
                  "\"" VIEW_FMT "\" is no host name that a client could ask for: it has letters, "
                  "digits, \"-\", \"_\" and dots, no scheme, no port and no \"*\"",
                  VIEW_ARG(q->given));
    return false;
}

/* ---- Why ---- */

static const char *kind_name(enum cert_match_kind kind)
{
    static const char *const names[] = {[CERT_MATCH_EXACT] = "exact",
                                        [CERT_MATCH_WILDCARD] = "wildcard",
                                        [CERT_MATCH_DEFAULT] = "default",
                                        [CERT_MATCH_REFUSED] = "refused"};

    return names[kind];
}

static void write_why(struct json_writer *j, const struct question *q, const struct cert_match *m)
{
    switch (m->kind) {
    case CERT_MATCH_EXACT: json_string(j, "why", "the bundle has this very name"); return;
    case CERT_MATCH_WILDCARD:
        json_printf(j, "why",
                    "no bundle of the port has this very name, and \"" VIEW_FMT
                    "\" stands for one label",
                    VIEW_ARG(m->pattern));
        return;
    case CERT_MATCH_DEFAULT:
        json_printf(j, "why", "%s: the port's default bundle serves it",
                    q->asked.len == 0 ? "no name is asked for"
                                      : "no bundle of the port has this name or a wildcard for it");
        return;
    case CERT_MATCH_REFUSED:
        json_string(j, "why",
                    "no bundle of the port has this name or a wildcard for it, and the port has "
                    "\"strict_sni\": the handshake ends with the alert unrecognized_name");
        return;
    }
}

static const char *why_it_loses(const struct cert_match *winner, const struct cert_match *loser)
{
    if (loser->kind == CERT_MATCH_DEFAULT)
        return "the default is for names that nobody has";
    if (loser->kind != winner->kind)
        return "a wildcard is only asked when no bundle has the very name";
    return "the other bundle comes first in the port's list";
}

/* ---- Which of a bundle's certificates ---- */

static bool has_key(const struct cert_bundle *bundle, const char *type)
{
    struct cert_info info;

    for (uint32_t i = 0; i < cert_bundle_n_certs(bundle); i++) {
        cert_bundle_describe(bundle, i, &info);
        if (strncmp(info.key, type, strlen(type)) == 0)
            return true;
    }
    return false;
}

/* The order of the server's signature algorithms and suites: ECDSA, EdDSA, RSA. */
static const char *for_whom(const struct cert_bundle *bundle, const struct cert_info *info)
{
    bool ecdsa = has_key(bundle, "ECDSA"), ed25519 = has_key(bundle, "Ed25519");

    if (cert_bundle_n_certs(bundle) == 1)
        return "every client";
    if (strncmp(info->key, "ECDSA", 5) == 0)
        return "clients that offer ECDSA";
    if (strcmp(info->key, "Ed25519") == 0)
        return ecdsa ? "clients that offer Ed25519 and no ECDSA" : "clients that offer Ed25519";
    return ecdsa && ed25519 ? "clients that offer neither ECDSA nor Ed25519"
           : ecdsa          ? "clients that offer no ECDSA"
                            : "clients that offer no Ed25519";
}

static void write_certificates(struct json_writer *j, const struct cert_bundle *bundle)
{
    struct cert_info info;

    json_array(j, "certificates");
    for (uint32_t i = 0; i < cert_bundle_n_certs(bundle); i++) {
        cert_bundle_describe(bundle, i, &info);
        json_object(j, NULL);
        admin_certs_write(j, &info);
        json_string(j, "for", for_whom(bundle, &info));
        json_end(j);
    }
    json_end(j);
}

/* ---- A port ---- */

static void write_losers(struct json_writer *j, const struct cert_store *store,
                         const struct question *q, const struct cert_match *winner)
{
    struct cert_match all[CANDIDATES];
    uint32_t n = cert_store_candidates(store, q->asked, all, CANDIDATES);

    json_array(j, "shadowed");
    for (uint32_t i = 1; i < n && i < CANDIDATES; i++) {
        if (all[i].bundle == winner->bundle)
            continue;
        json_object(j, NULL);
        json_text(j, "bundle", cert_bundle_name(all[i].bundle));
        json_string(j, "match", kind_name(all[i].kind));
        if (all[i].pattern.len > 0)
            json_text(j, "pattern", all[i].pattern);
        json_string(j, "why", why_it_loses(winner, &all[i]));
        json_end(j);
    }
    json_end(j);
}

/* What a canary gives to some of those who ask for the name, where that is something else. */
static void write_canary(struct json_writer *j, const struct server_port *port,
                         const struct question *q, const struct cert_bundle *otherwise)
{
    uint32_t share;
    struct cert_store *store = ssl_port_trying(port->tls, &share);
    struct cert_match match;

    if (store == NULL)
        return;
    match = cert_store_match(store, q->asked);
    if (match.bundle != NULL && match.bundle != otherwise) {
        json_object(j, "canary");
        json_decimal(j, "percent", (double)share * 100 / SSL_PORT_WHOLE);
        json_text(j, "bundle", cert_bundle_name(match.bundle));
        write_certificates(j, match.bundle);
        json_end(j);
    }
    cert_store_unref(store);
}

static void write_port(struct json_writer *j, const struct server_port *port,
                       const struct question *q)
{
    struct cert_store *store = ssl_port_serving(port->tls);
    struct cert_match match = cert_store_match(store, q->asked);

    json_object(j, NULL);
    json_text(j, "port", port->conf->name);
    json_string(j, "match", kind_name(match.kind));
    if (match.pattern.len > 0)
        json_text(j, "pattern", match.pattern);
    if (match.bundle != NULL)
        json_text(j, "bundle", cert_bundle_name(match.bundle));
    write_why(j, q, &match);
    if (match.bundle != NULL)
        write_certificates(j, match.bundle);
    write_losers(j, store, q, &match);
    write_canary(j, port, q, match.bundle);
    json_end(j);
    cert_store_unref(store);
}

static void write_ports(struct json_writer *j, const struct server *s, const struct question *q,
                        struct view only)
{
    json_array(j, "ports");
    for (uint32_t i = 0; i < s->n_ports; i++)
        if (s->ports[i]->tls != NULL && (only.p == NULL || view_eq(s->ports[i]->conf->name, only)))
            write_port(j, s->ports[i], q);
    json_end(j);
}

/* With the server's lock. False: 404 was answered. */
static bool port_is_known(const struct server *s, struct admin_answer *a, struct view name)
{
    struct nearest near;

    nearest_init(&near, name);
    for (uint32_t i = 0; i < s->n_ports; i++) {
        if (s->ports[i]->tls == NULL)
            continue;
        if (view_eq(s->ports[i]->conf->name, name))
            return true;
        nearest_offer(&near, s->ports[i]->conf->name);
    }
    admin_problem(a, 404, "no TLS port \"" VIEW_FMT "\"%s" VIEW_FMT "%s", VIEW_ARG(name),
                  near.best.p == NULL ? "" : "; did you mean \"", VIEW_ARG(near.best),
                  near.best.p == NULL ? "" : "\"?");
    return false;
}

void admin_certs_explain(const struct admin_request *rq, struct admin_answer *a)
{
    struct view port = {NULL, 0};
    struct question q = {.note = NULL};

    if (!take_name(rq, a, &q))
        return;
    (void)admin_request_query(rq, "port", &port);
    server_lock(rq->server);
    if (port.p == NULL || port_is_known(rq->server, a, port)) {
        json_object(&a->json, NULL);
        json_text(&a->json, "name", q.given);
        json_text(&a->json, "asked", q.asked);
        if (q.note != NULL)
            json_string(&a->json, "note", q.note);
        write_ports(&a->json, rq->server, &q, port);
        json_end(&a->json);
    }
    server_unlock(rq->server);
}
