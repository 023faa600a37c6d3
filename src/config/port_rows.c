#include "conf_kinds.h"
#include "conf_reader.h"
#include "config_rows.h"
#include "tls_client_rows.h"

#include <stdio.h>

/* The one place that says what protocols there are. */
static const struct conf_word protocols[] = {
    {"http/1.1", ALPN_HTTP11, NULL},
    {"h2", ALPN_H2, NULL},
};

/* "443": all addresses of both families, or the unix socket, or an address. */
static bool parse_key(struct conf_reader *r, struct port_conf *port, struct endpoint *e)
{
    uint16_t number;

    if (view_starts_with(port->name, VIEW("unix:")))
        return conf_unix_endpoint(r, port->name, e);
    if (!conf_port_number(port->name, &number))
        return endpoint_parse(port->name, e) == SP_OK;
    port->any_address = true;
    e->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(number)};
    e->len = sizeof(e->in6);
    return true;
}

static void finish_endpoint(struct conf_reader *r, const struct conf_path *at,
                            struct port_conf *port)
{
    struct endpoint *e = conf_new(r, 1, sizeof(*e));

    if (e == NULL)
        return;
    if (parse_key(r, port, e)) {
        port->endpoints = e;
        port->n_endpoints = 1;
    } else {
        conf_key_error(r, at,
                       "expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or "
                       "\"unix:/path\" (a path of at most 107 bytes)");
    }
}

/* The default is one of the port's own; the first one unless given. */
static void finish_bundles(struct conf_reader *r, const struct conf_path *at,
                           struct port_conf *port)
{
    struct tls_port_conf *tls = &port->tls_conf;

    if (tls->n_bundles == 0)
        return;
    if (tls->default_bundle == NULL) {
        tls->default_bundle = tls->bundles[0];
        return;
    }
    for (uint32_t i = 0; i < tls->n_bundles; i++)
        if (tls->bundles[i] == tls->default_bundle)
            return;
    conf_error(r, &(struct conf_path){.up = at, .key = "default_bundle"},
               "\"" VIEW_FMT "\" is not among the \"bundles\" of the port",
               VIEW_ARG(tls->default_bundle->name));
}

/* Keys of one secret are other keys on another port, whatever its address. */
static struct view default_ticket_label(struct conf_reader *r, const struct port_conf *port)
{
    char number[8];

    if (!port->any_address && view_starts_with(port->name, VIEW("unix:")))
        return port->name;
    (void)snprintf(number, sizeof(number), "%u", (unsigned)endpoint_port(&port->endpoints[0]));
    return conf_copy(r, view_of(number));
}

static void finish_tickets(struct conf_reader *r, const struct conf_path *at,
                           struct port_conf *port)
{
    struct tls_port_conf *tls = &port->tls_conf;
    bool derived = tls->ticket_secret_file.len > 0, listed = tls->ticket_key_file.len > 0;
    const char *key = derived ? "ticket_secret_file" : "ticket_key_file";

    if (derived && listed) {
        conf_error(r, &(struct conf_path){.up = at, .key = "ticket_key_file"},
                   "tickets have the keys of this file, or those of \"ticket_secret_file\": not "
                   "both");
    }
    if ((derived || listed) && !tls->session_tickets) {
        conf_error(r, &(struct conf_path){.up = at, .key = key},
                   "is of no use with \"session_tickets\": false");
    }
    if (tls->ticket_label.len > 0 && !derived)
        conf_error(r, &(struct conf_path){.up = at, .key = "ticket_label"},
                   "is only for keys that are derived: needs \"ticket_secret_file\" beside it");
    if (tls->early_data.enabled && !tls->session_tickets)
        conf_error(r, &(struct conf_path){.up = at, .key = "early_data"},
                   "is of no use with \"session_tickets\": false");
    if (tls->ticket_label.len == 0 && port->n_endpoints > 0)
        tls->ticket_label = default_ticket_label(r, port);
}

static void port_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    struct port_conf *port = object;

    finish_endpoint(r, at, port);
    if (port->tls)
        finish_bundles(r, at, port);
    if (port->tls)
        finish_tickets(r, at, port);
    if (port->tls && port->h2c)
        conf_error(r, &(struct conf_path){.up = at, .key = "h2c"},
                   "\"h2c\" is only for a port with \"tls\": false; with TLS, \"alpn\" has \"h2\"");
    if (port->redirect_to_port != 0 && port->n_endpoints > 0 &&
        port->redirect_to_port == endpoint_port(&port->endpoints[0]))
        conf_error(r, &(struct conf_path){.up = at, .key = "redirect_to_port"},
                   "the port would redirect to itself");
}

/* ---- Early data ---- */

#define E struct early_data_conf

/* clang-format off */
static const struct conf_row early_data_rows[] = {
    {CONF_ROW_BOOL(E, "enabled", enabled, true,
        "Accept early data. The object may be written as this value alone.")},
    {CONF_ROW_INT(E, "max_bytes", max_bytes, 1, 1048576, 16384, "bytes",
        "Early data of a connection at the most.")},
    {CONF_ROW_INT(E, "max_tickets", max_tickets, 1024, 268435456, 1048576, NULL,
        "How many of the last tickets are known to be used or not, 2 bits each; early data with an "
        "older one is refused.")},
};
/* clang-format on */

static const struct conf_table early_data_table = {
    .noun = "early data",
    CONF_ROWS(E, early_data_rows),
    .form = CONF_FORM_OBJECT_OR_FIRST,
};

/* ---- The port ---- */

#define P struct port_conf

/* clang-format off */
static const struct conf_row rows[] = {
    {CONF_TOUCHES(LISTENERS),
     CONF_ROW_BOOL(P, "tls", tls, true,
        "TLS. false: plain HTTP.")},
    {CONF_ROW_MANY(P, "bundles", CONF_REFS, tls_conf.bundles, tls_conf.n_bundles,
        "Certificate bundles, which a TLS port needs; the name that a client asks for chooses."),
        .table = &conf_bundle_table, .refers_to = "bundles", .only_with = "tls", .min = 1,
        .required = true},
    {CONF_ROW_REF(P, "default_bundle", tls_conf.default_bundle, "bundles", &conf_bundle_table,
        "For clients that ask for no name, or for one that no bundle has."),
        .only_with = "tls", .def_note = "the first of \"bundles\""},
    {CONF_ROW_BOOL(P, "strict_sni", tls_conf.strict_sni, false,
        "Refuse a name that no bundle has (alert unrecognized_name) instead of the default bundle."),
        .only_with = "tls"},
    {CONF_ROW_ENUM(P, "preset", tls_conf.preset, conf_tls_presets, TLS_PRESET_INTERMEDIATE,
        "Mozilla's server-side TLS: \"modern\" is TLS 1.3 only, \"intermediate\" adds TLS 1.2 with "
        "authenticated encryption."),
        .only_with = "tls"},
    {.name = "alpn", .type = CONF_FLAGS, CONF_FIELD(P, tls_conf.alpn), CONF_WORDS(protocols),
        .help = "Protocols that are offered.",
        .def = ALPN_HTTP11 | ALPN_H2, .min = 1, .only_with = "tls"},
    {CONF_ROW_BOOL(P, "h2c", h2c, false,
        "HTTP/2 without TLS too, for clients that begin with it by prior knowledge; only on a port "
        "with \"tls\": false.")},
    {CONF_ROW_OBJECT(P, "client_auth", tls_conf.client_auth, &conf_client_auth_table,
        "Certificates of clients, where the bundle of the name that they ask for does not say."),
        .only_with = "tls"},
    {CONF_ROW_BOOL(P, "session_tickets", tls_conf.session_tickets, true,
        "Give out tickets with which a client resumes without a full handshake."),
        .only_with = "tls"},
    {CONF_ROW_INT(P, "ticket_lifetime_s", tls_conf.ticket_lifetime_s, 60, 604800, 86400, "seconds",
        "How long a ticket is good for (RFC 8446 4.6.1: at most 7 days)."),
        .only_with = "tls"},
    {CONF_ROW_PATH(P, "ticket_secret_file", tls_conf.ticket_secret_file,
        "File with a secret of at least 32 bytes, from which the keys of tickets are derived: "
        "machines with the same secret resume each other's sessions."),
        .only_with = "tls", .def_note = "random keys, in memory only"},
    {CONF_ROW_PATH(P, "ticket_key_file", tls_conf.ticket_key_file,
        "File with keys for tickets of 80 bytes each, binary or a line of base64: the first seals, "
        "all open."),
        .only_with = "tls", .def_note = "random keys, in memory only"},
    {CONF_ROW_STRING(P, "ticket_label", tls_conf.ticket_label, &conf_kind_name,
        "What the keys of \"ticket_secret_file\" are derived for: ports with the same secret and "
        "label have the same keys."),
        .only_with = "tls", .def_note = "the port's number"},
    {CONF_ROW_OBJECT(P, "early_data", tls_conf.early_data, &early_data_table,
        "Requests that clients send with the first bytes of a resumed connection (0-RTT). Anybody who "
        "records such bytes can send them once more: see the manual before you turn it on."),
        .only_with = "tls", .optional = true, .def_note = "false"},
    {CONF_ROW_INT(P, "handshake_timeout_ms", tls_conf.handshake_timeout_ms, 100, 600000, 10000, "ms",
        "From accept to the client's Finished."),
        .only_with = "tls"},
    {CONF_TOUCHES(LISTENERS),
     CONF_ROW_INT(P, "defer_accept", accept.defer_accept_s, 0, 3600, 0, "seconds",
        "TCP_DEFER_ACCEPT: the program is woken when the client's first bytes are there, or after "
        "that time; 0: off.")},
    {CONF_ROW_INT(P, "redirect_to_port", redirect_to_port, 0, 65535, 0, NULL,
        "Send every request to this port with https and status 308, without looking at the routes; "
        "0: off.")},
    {CONF_TOUCHES(LISTENERS),
     CONF_ROW_OBJECT(P, "accept", accept, &conf_accept_table,
        "How the port accepts.")},
    {CONF_ROW_OBJECT(P, "limits", limits, &conf_limits_table,
        "What a client may grow and how long it may take, where it differs from the limits for all "
        "ports."),
        .inherits = "limits"},
    {CONF_ROW_OBJECT(P, "http2", http2, &conf_http2_table,
        "What an HTTP/2 connection may carry and what its peer may do, where it differs from what "
        "holds for all ports."),
        .inherits = "http2"},
};
/* clang-format on */

const struct conf_table conf_port_table = {
    .noun = "port",
    CONF_ROWS(struct port_conf, rows),
    .finish = port_finish,
};
