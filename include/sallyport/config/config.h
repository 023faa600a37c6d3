/* One configuration, read, checked and immutable: what the JSON file says, with every default
 * filled in and every reference between objects resolved. Reference-counted; strings and arrays
 * live in its arena. Everything is plain data over base: whoever uses a part (net, tls, http, app)
 * includes this header and nothing of config's insides.
 *
 * Life: config_load() on any thread that may block, config_ref/unref from any thread. */
#pragma once

#include <sallyport/base/arena.h>
#include <sallyport/base/endpoint.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/config/accept_options.h>
#include <sallyport/config/http2_budgets.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config_document;

enum client_auth_mode { CLIENT_AUTH_OFF, CLIENT_AUTH_OPTIONAL, CLIENT_AUTH_REQUIRE };

/* What backends are told of a client's certificate. */
#define CLIENT_AUTH_CERT        0x1U  /* Client-Cert, RFC 9440 */
#define CLIENT_AUTH_CHAIN       0x2U  /* Client-Cert-Chain */
#define CLIENT_AUTH_VERIFIED    0x4U  /* X-Client-Cert-Verified: SUCCESS, NONE */
#define CLIENT_AUTH_SUBJECT     0x8U  /* X-Client-Cert-Subject */
#define CLIENT_AUTH_FINGERPRINT 0x10U /* X-Client-Cert-Fingerprint */

/* Certificates of clients. */
struct client_auth_conf {
    bool given; /* in the file: of a bundle, it holds instead of the port's */
    enum client_auth_mode mode;
    struct view ca_file;        /* PEM; with OPTIONAL and REQUIRE */
    struct view crl_file;       /* PEM, a list or more; empty: nothing is revoked */
    uint32_t depth;             /* authorities between a certificate and one of ca_file */
    uint32_t forward;           /* CLIENT_AUTH_* bits */
    uint32_t max_forward_bytes; /* of the values of these fields together */
};

/* Responses of authorities about certificates, for clients that ask (RFC 6960, RFC 6066 8). */
struct ocsp_conf {
    bool fetch;            /* false: only those in files are stapled */
    struct view responder; /* http:// URL that is asked instead of the certificates' own; empty */
    struct view cache;     /* folder of those that were fetched; empty: none is kept */
    uint32_t timeout_ms;   /* of one try, name and connection included */
    uint32_t max_response_bytes;
    uint32_t must_staple_wait_ms; /* a new certificate that demands a staple waits for it */
};

struct cert_conf {
    struct view chain; /* PEM file, leaf first; path resolved against the configuration's folder */
    struct view key;   /* PEM file; empty: the file of `chain` holds it too */
    struct view passphrase_file; /* its first line decrypts the key; empty: it is not encrypted */
    struct view ocsp;            /* DER file with an OCSP response; empty: it is fetched */
};

/* What holds for the certificates of all bundles. */
struct certificates_conf {
    uint32_t warn_before_days; /* what a bundle starts from */
    bool watch;                /* files that change are taken over by themselves */
    struct ocsp_conf ocsp;
};

struct bundle_conf {
    struct view name;
    struct cert_conf *certs; /* n_certs >= 1: ECDSA and RSA side by side */
    uint32_t n_certs;
    struct view *names; /* host names served with it; n_names 0: from the certificates */
    uint32_t n_names;
    bool allow_expired;        /* not valid today, it may take the place of one that serves */
    uint32_t warn_before_days; /* of its end; what `certificates` says */
    struct client_auth_conf client_auth; /* if given: instead of the port's */
};

/* Mozilla's server-side TLS: modern is TLS 1.3 only, intermediate adds TLS 1.2 with AEAD suites. */
enum tls_preset { TLS_PRESET_INTERMEDIATE, TLS_PRESET_MODERN };

#define ALPN_HTTP11 0x1U
#define ALPN_H2     0x2U

/* Requests before the client's handshake is over (RFC 8446 2.3, RFC 8470). */
struct early_data_conf {
    bool enabled;
    uint32_t max_bytes;   /* of a connection */
    uint32_t max_tickets; /* that are known to be used or not; older ones are refused */
};

struct tls_port_conf {
    const struct bundle_conf **bundles; /* in order; n_bundles >= 1 on a TLS port */
    uint32_t n_bundles;
    const struct bundle_conf *default_bundle; /* the first one unless given */
    bool strict_sni; /* no match: unrecognized_name alert instead of the default bundle */
    enum tls_preset preset;
    uint32_t alpn; /* ALPN_* bits */
    bool session_tickets;
    uint32_t ticket_lifetime_s;
    /* Where the keys that seal tickets come from; both empty: random ones, in memory only. */
    struct view ticket_secret_file; /* derived from it and the time */
    struct view ticket_key_file;    /* listed in it; not with the other one */
    struct view ticket_label;       /* keys derived for another one are other keys */
    struct early_data_conf early_data;
    uint32_t handshake_timeout_ms;       /* accept to the client's Finished */
    struct client_auth_conf client_auth; /* of bundles that have none of their own */
};

/* What a peer may grow and how long it may take. */
struct http_limits_conf {
    uint32_t max_head_bytes;
    uint32_t max_target_bytes;
    uint32_t max_fields;
    uint32_t max_trailer_bytes;
    uint64_t max_body_bytes;              /* 0: unlimited */
    uint32_t max_requests_per_connection; /* 0: unlimited */
    uint32_t head_timeout_ms;             /* first byte of a request to the end of its head */
    uint32_t keep_alive_timeout_ms;       /* idle between requests */
    uint32_t body_timeout_ms;             /* between two pieces of a request body */
    uint32_t send_timeout_ms;             /* between two writes that the client takes */
    uint32_t min_rate_bytes_per_s;        /* of a request body, after a grace of 10 s; 0: off */
    uint32_t tunnel_timeout_ms;           /* idle upgraded connections */
    uint32_t buffer_bytes;                /* held per direction before the source is paused */
};

/* HTTP/2: how much it may carry at a time, and what a peer may do (RFC 9113). */
struct http2_conf {
    uint32_t max_streams;             /* at a time: SETTINGS_MAX_CONCURRENT_STREAMS */
    uint32_t stream_window_bytes;     /* SETTINGS_INITIAL_WINDOW_SIZE */
    uint32_t max_stream_window_bytes; /* up to which the window of a fast upload grows */
    uint32_t receive_bytes;           /* the connection's window: what all its streams can hold */
    uint32_t send_bytes; /* queued on all streams before each has to wait for its peer */
    struct http2_budgets_conf budgets;
};

struct port_conf {
    struct view name;           /* the key as written: "443", "127.0.0.1:8443", "unix:/path" */
    struct endpoint *endpoints; /* "443" is [::]:443 for both families */
    uint32_t n_endpoints;
    bool any_address; /* no address in the key: fall back to IPv4 where IPv6 is missing */
    bool tls;
    struct tls_port_conf tls_conf; /* only with tls */
    bool h2c;                      /* without tls: HTTP/2 too, by prior knowledge */
    struct accept_options accept;
    struct http_limits_conf limits;
    struct http2_conf http2;
    uint16_t redirect_to_port; /* 0: off; otherwise every request is sent there with 308 */
};

/* Towards servers, this program is the TLS client. */
struct tls_client_conf {
    bool given; /* in the file */
    bool enabled;
    bool verify;             /* the server's certificate: its issuer and its name */
    struct view ca_file;     /* PEM; empty: the system's */
    struct view server_name; /* asked for and verified, a name or an address; empty: the server's
                                host */
    struct view certificate; /* to show when the server asks, PEM, leaf first; empty: none */
    struct view key;         /* PEM; exactly with `certificate` */
    enum tls_preset preset;
};

enum backend_protocol { BACKEND_HTTP11, BACKEND_H2, BACKEND_H2C };

struct server_conf {
    struct view name; /* as written: the label in logs */
    struct view host; /* name or address without brackets; empty for unix */
    uint16_t port;
    struct endpoint endpoint; /* filled when the host is an address or unix; else len 0: resolve */
};

struct backend_conf {
    struct view name;
    struct server_conf *servers; /* n_servers >= 1 */
    uint32_t n_servers;
    uint32_t connect_timeout_ms;
    uint32_t response_timeout_ms;   /* request sent to the response head's end */
    uint32_t idle_timeout_ms;       /* between two pieces of a response, and of a tunnel */
    uint32_t keep_alive;            /* idle connections kept per data thread and server */
    uint32_t keep_alive_timeout_ms; /* ...for that long */
    uint32_t max_connections;       /* per server, all threads; 0: unlimited */
    uint32_t retries;               /* of an idempotent request that no server has answered */
    bool pass_host;                 /* the client's Host, else the server's own name */
    enum backend_protocol protocol; /* BACKEND_H2 has tls.enabled, BACKEND_H2C has not */
    struct tls_client_conf tls;
};

enum route_action { ROUTE_BACKEND, ROUTE_REDIRECT, ROUTE_RESPOND };

struct header_conf {
    struct view name, value;
};

struct route_conf {
    struct view host; /* "shop.example.com", "*.example.com" (one label), empty: any */
    struct view path; /* prefix on segment borders, "/" or empty: any */
    enum route_action action;
    const struct backend_conf *backend; /* ROUTE_BACKEND */
    uint16_t status;      /* ROUTE_REDIRECT (301, 302, 303, 307, 308), ROUTE_RESPOND */
    struct view location; /* ROUTE_REDIRECT: an absolute URL, or a path; "{path}" (path and query of
                             the request) and "{host}" are filled in */
    struct header_conf *headers; /* ROUTE_RESPOND */
    uint32_t n_headers;
    struct view text; /* ROUTE_RESPOND */
};

#define THREADS_AUTO UINT32_MAX

struct threads_conf {
    uint32_t net;     /* THREADS_AUTO: one per core */
    uint32_t ssl;     /* 0: handshakes run in the data loops */
    uint32_t task;    /* blocking work */
    int32_t ssl_nice; /* 0..19: lower weight of the ET_SSL threads */
};

struct handshake_conf {
    uint32_t budget_us;         /* per loop turn where data and handshakes share a loop */
    uint32_t max_waiting;       /* per thread: accepting stops here, and goes on at half of it */
    uint32_t max_open;          /* per thread: the same for connections in their handshake at all */
    uint32_t target_wait_ms;    /* oldest first below, newest first above */
    uint32_t max_wait_ms;       /* whoever waited longer is dropped before any cryptography */
    uint32_t shed_after_ms;     /* of waits above the target: the excess is refused; 0: never */
    uint32_t min_share_percent; /* of a core, while some wait; 0: what data leaves */
    /* Of each: 0, any number. */
    uint32_t max_at_once, max_at_once_per_address;
    uint32_t rate_per_s, burst;
    uint32_t rate_per_address_per_s, burst_per_address;
    struct cidr *exempt; /* from the limits of one address */
    uint32_t n_exempt;
};

struct throttle_conf {
    uint32_t max_connections;             /* client side, in total; 0: from the descriptor limit */
    uint32_t max_connections_per_address; /* 0: unlimited */
    struct cidr *exempt;                  /* from the per-address limit */
    uint32_t n_exempt;
    uint32_t accept_headroom_percent;  /* of the descriptors kept away from accept */
    uint32_t connect_headroom_percent; /* kept away from outgoing connections */
    uint64_t memory_ceiling_bytes;     /* resident memory above which accept refuses; 0: off */
    uint32_t default_inactivity_ms;    /* for a connection that nobody gave a timeout */
    uint32_t max_keep_alive;           /* idle client connections per data thread; 0: unlimited */
};

struct log_conf {
    struct view levels;      /* "info", or "warn,tls=debug" */
    struct view path;        /* empty: standard error */
    struct view access_path; /* "-": standard output; empty: no access log */
    bool access_json;
    uint32_t queue_bytes; /* of each sink */
};

struct forwarding_conf {
    struct cidr *trusted; /* peers whose Forwarded / X-Forwarded-* are believed */
    uint32_t n_trusted;
    bool forwarded;   /* send Forwarded (RFC 7239) */
    bool x_forwarded; /* send X-Forwarded-For, -Proto, -Host, -Port */
    bool via;
    bool request_id; /* send X-Request-Id; a trusted peer's is kept */
};

struct admin_conf {
    struct view socket; /* path; empty: none */
    bool socket_given;  /* in the file: it has to be made, or the program does not start */
    struct view owner;  /* of the socket's file; empty: unchanged */
    struct view state;  /* folder of the revisions */
    uint32_t keep_revisions;
};

struct config {
    atomic_uint refs;
    struct arena arena;
    struct view file;                 /* where it was read from, for messages */
    struct config_document *document; /* what says it all: owned (config/document.h) */
    struct port_conf *ports;
    uint32_t n_ports;
    struct certificates_conf certificates;
    struct bundle_conf *bundles;
    uint32_t n_bundles;
    struct backend_conf *backends;
    uint32_t n_backends;
    struct route_conf *routes; /* first match wins; sorted by nothing */
    uint32_t n_routes;
    struct http_limits_conf limits; /* what a port starts from; ports[].limits is what holds */
    struct http2_conf http2;        /* likewise; connections to backends have this one */
    struct threads_conf threads;
    struct handshake_conf handshake;
    struct throttle_conf throttle;
    struct log_conf log;
    struct forwarding_conf forwarding;
    struct admin_conf admin;
    struct view user;          /* to become after the ports are bound; empty: stay */
    uint32_t drain_timeout_ms; /* SIGTERM to the end */
};

/* Everything that is wrong with a file, in the order of the file. */
struct config_problem {
    uint32_t line, column; /* 1-based, a column is a character; 0: the file as a whole */
    bool warning;          /* the configuration can be used all the same */
    bool at_key;           /* the place is that of the key, not of its value */
    struct view pointer;   /* JSON pointer, RFC 6901 */
    struct view text;      /* what was found, what was expected, the nearest known name */
    struct view quote;     /* of the source line, around the place; empty: none */
    uint32_t caret;        /* byte of the quote that the place is at */
};
struct config_problems {
    struct arena arena;
    struct config_problem *v;
    uint32_t n, cap;
    uint32_t n_errors; /* those that are no warnings */
    struct view file;
    struct config_problem last_resort; /* where "out of memory" is kept */
};
void config_problems_init(struct config_problems *p);
void config_problems_fini(struct config_problems *p);
/* One more, found by whoever uses the configuration: without a place, `pointer` says it. */
void config_problems_add(struct config_problems *p, struct view pointer, struct view text,
                         bool warning);
/* "file:line:column: pointer: text", a line each, "warning: " before the text of a warning. On a
 * terminal the source line follows, with a caret under the place. */
void config_problems_print(const struct config_problems *p, FILE *out);

/* Reads and checks a file: no DNS, no root, no free port needed; certificates are not opened here.
 * NULL: *problems says why (at least one error). Otherwise it may hold warnings. */
struct config *config_load(const char *path, struct config_problems *problems) SP_MUST_CHECK;
/* The same for text; `folder` resolves relative paths, `name` stands in messages. */
struct config *config_parse(struct view text, const char *name, const char *folder,
                            struct config_problems *problems) SP_MUST_CHECK;
struct config *config_ref(struct config *c);
void config_unref(struct config *c); /* NULL is accepted */

/* The reference of every key, for people: from the rows. As text for a terminal, and as Markdown
 * for the manual. */
void config_print_reference(FILE *out);
void config_print_markdown(FILE *out);
