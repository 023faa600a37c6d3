/* The field names that this program itself looks at: X(id, name). Looked up once, while parsing;
 * afterwards a field is recognised by its id. */
#pragma once

/* clang-format off */
#define HTTP_FIELD_TABLE(X)                                                                        \
    X(ACCEPT_ENCODING,    "accept-encoding")                                                       \
    X(AGE,                "age")                                                                   \
    X(AUTHORIZATION,      "authorization")                                                         \
    X(CACHE_CONTROL,      "cache-control")                                                         \
    X(CLIENT_CERT,        "client-cert")                                                           \
    X(CLIENT_CERT_CHAIN,  "client-cert-chain")                                                     \
    X(CONNECTION,         "connection")                                                            \
    X(CONTENT_LENGTH,     "content-length")                                                        \
    X(CONTENT_TYPE,       "content-type")                                                          \
    X(COOKIE,             "cookie")                                                                \
    X(DATE,               "date")                                                                  \
    X(EARLY_DATA,         "early-data")                                                            \
    X(EXPECT,             "expect")                                                                \
    X(FORWARDED,          "forwarded")                                                             \
    X(HOST,               "host")                                                                  \
    X(HTTP2_SETTINGS,     "http2-settings")                                                        \
    X(KEEP_ALIVE,         "keep-alive")                                                            \
    X(LOCATION,           "location")                                                              \
    X(PRIORITY,           "priority")                                                              \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                    \
    X(PROXY_AUTHORIZATION,"proxy-authorization")                                                   \
    X(PROXY_CONNECTION,   "proxy-connection")                                                      \
    X(REFERER,            "referer")                                                               \
    X(SERVER,             "server")                                                                \
    X(SET_COOKIE,         "set-cookie")                                                            \
    X(TE,                 "te")                                                                    \
    X(TRAILER,            "trailer")                                                               \
    X(TRANSFER_ENCODING,  "transfer-encoding")                                                     \
    X(UPGRADE,            "upgrade")                                                               \
    X(USER_AGENT,         "user-agent")                                                            \
    X(VIA,                "via")                                                                   \
    X(X_CLIENT_CERT_FINGERPRINT, "x-client-cert-fingerprint")                                      \
    X(X_CLIENT_CERT_SUBJECT, "x-client-cert-subject")                                              \
    X(X_CLIENT_CERT_VERIFIED, "x-client-cert-verified")                                            \
    X(X_FORWARDED_FOR,    "x-forwarded-for")                                                       \
    X(X_FORWARDED_HOST,   "x-forwarded-host")                                                      \
    X(X_FORWARDED_PORT,   "x-forwarded-port")                                                      \
    X(X_FORWARDED_PROTO,  "x-forwarded-proto")                                                     \
    X(X_REQUEST_ID,       "x-request-id")
/* clang-format on */
