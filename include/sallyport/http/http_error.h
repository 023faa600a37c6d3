/* Why a request ended badly: one closed list, each with the status that the client is told, the
 * label for log and metrics, and a sentence for the error page. */
#pragma once

#include <stdint.h>

/* clang-format off */
/* X(id, status, label, text) */
#define HTTP_ERROR_TABLE(X)                                                                                  \
    X(NONE,                   0,   "-",                      "no error")                                     \
    X(BAD_REQUEST_LINE,       400, "bad_request_line",       "The request line is malformed.")               \
    X(BAD_METHOD,             400, "bad_method",             "The method is not a token.")                   \
    X(BAD_TARGET,             400, "bad_target",             "The request target is malformed.")             \
    X(BAD_VERSION,            400, "bad_version",            "The protocol version is malformed.")           \
    X(BAD_LINE_END,           400, "bad_line_end",           "A line does not end in CR LF.")                \
    X(BAD_FIELD_NAME,         400, "bad_field_name",         "A field name is malformed.")                   \
    X(BAD_FIELD_VALUE,        400, "bad_field_value",        "A field value holds a forbidden character.")   \
    X(OBS_FOLD,               400, "obs_fold",               "A field is folded over several lines.")        \
    X(BAD_HOST,               400, "bad_host",               "The Host field is missing, repeated or malformed.") \
    X(BAD_CONTENT_LENGTH,     400, "bad_content_length",     "Content-Length is malformed or contradicts itself.") \
    X(BAD_TRANSFER_ENCODING,  400, "bad_transfer_encoding",  "Transfer-Encoding is malformed or not allowed here.") \
    X(LENGTH_AND_CHUNKED,     400, "length_and_chunked",     "Both Content-Length and Transfer-Encoding are given.") \
    X(BAD_CHUNK,              400, "bad_chunk",              "The chunked body is malformed.")               \
    X(BAD_TRAILER,            400, "bad_trailer",            "A trailer field is malformed or not allowed.") \
    X(BAD_PSEUDO_FIELD,       400, "bad_pseudo_field",       "A pseudo-header field is missing, repeated, malformed or in the wrong place.") \
    X(CONNECTION_FIELD,       400, "connection_field",       "A field is given that HTTP/2 does not have.")  \
    X(BAD_UPGRADE,            400, "bad_upgrade",            "The upgrade request is malformed.")            \
    X(PLAIN_HTTP_ON_TLS,      400, "plain_http_on_tls",      "This port speaks HTTPS, the request was plain HTTP.") \
    X(TE_UNSUPPORTED,         501, "te_unsupported",         "This transfer coding is not supported.")       \
    X(METHOD_UNSUPPORTED,     501, "method_unsupported",     "This method is not supported.")                \
    X(VERSION_UNSUPPORTED,    505, "version_unsupported",    "This protocol version is not supported.")      \
    X(EXPECTATION,            417, "expectation",            "The expectation cannot be met.")               \
    X(URI_TOO_LONG,           414, "uri_too_long",           "The request target is too long.")              \
    X(HEAD_TOO_LARGE,         431, "head_too_large",         "The request head is too large.")               \
    X(TOO_MANY_FIELDS,        431, "too_many_fields",        "The request has too many fields.")             \
    X(BODY_TOO_LARGE,         413, "body_too_large",         "The request body is too large.")               \
    X(CHUNK_OVERHEAD,         400, "chunk_overhead",         "The chunked body is mostly framing.")          \
    X(MISDIRECTED,            421, "misdirected",            "This name is not served on this connection.")  \
    X(NO_ROUTE,               404, "no_route",               "Nothing is served under this address.")        \
    X(CLIENT_HEAD_TIMEOUT,    408, "client_head_timeout",    "The request did not arrive in time.")          \
    X(CLIENT_BODY_TIMEOUT,    408, "client_body_timeout",    "The request body did not arrive in time.")     \
    X(CLIENT_SEND_TIMEOUT,    0,   "client_send_timeout",    "The client did not take the response in time.") \
    X(CLIENT_TOO_SLOW,        408, "client_too_slow",        "The request body arrives too slowly.")         \
    X(CLIENT_CLOSED,          0,   "client_closed",          "The client went away.")                        \
    X(TUNNEL_IDLE,            0,   "tunnel_idle",            "Nothing moved in the tunnel for too long.")    \
    X(UPSTREAM_CONNECT,       502, "upstream_connect",       "No server could be reached.")                  \
    X(UPSTREAM_CLOSED,        502, "upstream_closed",        "The server closed the connection without an answer.") \
    X(UPSTREAM_REFUSED,       502, "upstream_refused",       "The server did not take the request.")         \
    X(UPSTREAM_RESET,         502, "upstream_reset",         "The server broke the request off.")            \
    X(UPSTREAM_BAD_RESPONSE,  502, "upstream_bad_response",  "The server's answer is malformed.")            \
    X(UPSTREAM_HEAD_TOO_LARGE,502, "upstream_head_too_large","The head of the server's answer is too large.") \
    X(UPSTREAM_CUT,           502, "upstream_cut",           "The server's answer ended before its end.")    \
    X(UPSTREAM_CONNECT_TIMEOUT,504,"upstream_connect_timeout","No server could be reached in time.")         \
    X(UPSTREAM_TIMEOUT,       504, "upstream_timeout",       "The server did not answer in time.")           \
    X(UPSTREAM_LIMIT,         503, "upstream_limit",         "All servers are busy.")                        \
    X(TUNNEL_UNSUPPORTED,     501, "tunnel_unsupported",     "The server does not take over connections like this one.") \
    X(NO_SERVER,              503, "no_server",              "No server is available.")                      \
    X(DRAINING,               503, "draining",               "The proxy is shutting down.")                  \
    X(NOMEM,                  503, "nomem",                  "The proxy is out of memory.")                  \
    X(INTERNAL,               500, "internal",               "The proxy failed.")
/* clang-format on */

enum http_error {
#define X(id, status, label, text) HTTP_ERROR_##id,
    HTTP_ERROR_TABLE(X)
#undef X
        HTTP_ERROR_COUNT
};

uint16_t http_error_status(enum http_error e); /* 0: the connection is cut, nobody is told */
const char *http_error_label(enum http_error e);
const char *http_error_text(enum http_error e);
