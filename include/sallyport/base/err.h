/* What can go wrong below HTTP, as one closed list. A label is also the value in logs, metrics and
 * the access log. Status is returned, data goes out by pointer, outputs are untouched on error. */
#pragma once

#include <sallyport/base/compiler.h>

/* clang-format off */
/* X(id, label, text for a person) */
#define SP_ERR_TABLE(X)                                                                            \
    X(OK,                "ok",                 "success")                                          \
    X(NOMEM,             "nomem",              "out of memory")                                    \
    X(SYSCALL,           "syscall",            "a system call failed")                             \
    X(NOFILE,            "nofile",             "out of file descriptors")                          \
    X(INVALID,           "invalid",            "not a valid value")                                \
    X(NOT_FOUND,         "not_found",          "no such thing")                                    \
    X(LIMIT,             "limit",              "a limit was reached")                              \
    X(SHUTTING_DOWN,     "shutting_down",      "the program is stopping")                          \
    X(PEER_CLOSED,       "peer_closed",        "the peer closed the connection")                   \
    X(PEER_RESET,        "peer_reset",         "the peer reset the connection")                    \
    X(CONN_REFUSED,      "conn_refused",       "connection refused")                               \
    X(CONN_UNREACHABLE,  "conn_unreachable",   "host or network unreachable")                      \
    X(CONN_TIMEOUT,      "conn_timeout",       "the connection was not established in time")       \
    X(INACTIVITY,        "inactivity_timeout", "nothing moved for too long")                       \
    X(ACTIVE_TIMEOUT,    "active_timeout",     "the connection was open for too long")             \
    X(DNS,               "dns",                "the name did not resolve")                         \
    X(THROTTLED,         "throttled",          "refused by a connection throttle")                 \
    X(TLS_TIMEOUT,       "tls_timeout",        "the handshake took too long")                      \
    X(TLS_NOT_TLS,       "tls_not_tls",        "the first bytes are not TLS")                      \
    X(TLS_PLAIN_HTTP,    "tls_plain_http",     "plain HTTP on a TLS port")                         \
    X(TLS_VERSION,       "tls_version",        "no common protocol version")                       \
    X(TLS_CIPHER,        "tls_cipher",         "no common cipher suite or signature algorithm")    \
    X(TLS_SNI,           "tls_sni",            "the requested name is not served here")            \
    X(TLS_ALPN,          "tls_alpn",           "no common application protocol")                   \
    X(TLS_CERT_EXPIRED,  "tls_cert_expired",   "the server's certificate is out of date")          \
    X(TLS_CERT_UNKNOWN_CA, "tls_cert_unknown_ca", "the server's certificate is of no known authority") \
    X(TLS_CERT_NAME,     "tls_cert_name",      "the server's certificate is for another name")     \
    X(TLS_CERT_REFUSED,  "tls_cert_refused",   "the server's certificate is not fit")              \
    X(TLS_CLIENT_CERT_MISSING, "tls_client_cert_missing", "the client has sent no certificate")    \
    X(TLS_CLIENT_CERT_UNKNOWN_CA, "tls_client_cert_unknown", "the client's certificate is of no known authority") \
    X(TLS_CLIENT_CERT_EXPIRED, "tls_client_cert_expired", "the client's certificate is out of date") \
    X(TLS_CLIENT_CERT_REVOKED, "tls_client_cert_revoked", "the client's certificate was revoked")  \
    X(TLS_CLIENT_CERT_REFUSED, "tls_client_cert_refused", "the client's certificate is not fit")   \
    X(TLS_ALERT,         "tls_alert",          "the peer sent a fatal alert")                      \
    X(TLS_PROTOCOL,      "tls_protocol",       "the peer broke the protocol")                      \
    X(TLS_TRUNCATED,     "tls_truncated",      "the stream ended without close_notify")            \
    X(TLS_GONE,          "tls_gone",           "the peer went away during the handshake")          \
    X(TLS_RENEGOTIATION, "tls_renegotiation",  "the peer asked for renegotiation")                 \
    X(TLS_INTERNAL,      "tls_internal",       "the TLS library failed")
/* clang-format on */

enum sp_err {
#define X(id, label, text) SP_##id,
    SP_ERR_TABLE(X)
#undef X
        SP_ERR_COUNT
};

/* Short, stable, lower case: for logs and metrics. */
const char *sp_err_label(enum sp_err err);
/* For a person. */
const char *sp_err_text(enum sp_err err);
/* The row that fits a connect(2), recv(2) or send(2) failure best; SP_SYSCALL if none does. */
enum sp_err sp_err_of_errno(int error_number);
