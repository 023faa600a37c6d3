/* The one model of a message that HTTP/1.1 and HTTP/2 both read into and write from.
 *
 * Views point into the block that the head was read into, or into the arena of the exchange; both
 * outlive the message (see http_head.pin). Field names keep the spelling they arrived with and are
 * compared without case. Source: RFC 9110. */
#pragma once

#include <sallyport/base/arena.h>
#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/http/http_field_table.h>

#include <stdbool.h>
#include <stdint.h>

enum http_field_id {
    HTTP_FIELD_OTHER,
#define X(id, name) HTTP_FIELD_##id,
    HTTP_FIELD_TABLE(X)
#undef X
        HTTP_FIELD_COUNT
};

/* RFC 9110 9.3 and PATCH (RFC 5789). What is not here is OTHER and passes by its text. */
/* X(id, text, safe, idempotent): RFC 9110 9.2 */
#define HTTP_METHODS(X)                 \
    X(GET, "GET", true, true)           \
    X(HEAD, "HEAD", true, true)         \
    X(POST, "POST", false, false)       \
    X(PUT, "PUT", false, true)          \
    X(DELETE, "DELETE", false, true)    \
    X(CONNECT, "CONNECT", false, false) \
    X(OPTIONS, "OPTIONS", true, true)   \
    X(TRACE, "TRACE", true, true)       \
    X(PATCH, "PATCH", false, false)
enum http_method {
    HTTP_METHOD_OTHER,
#define X(id, text, safe, idempotent) HTTP_METHOD_##id,
    HTTP_METHODS(X)
#undef X
};
enum http_method http_method_of(struct view text);
bool http_method_is_safe(enum http_method m);
bool http_method_is_idempotent(enum http_method m);

struct http_field {
    struct view name, value; /* value without surrounding blanks */
    enum http_field_id id;
    bool never_indexed; /* RFC 7541 7.1.3: no HTTP/2 hop may put it into a compression table */
};

/* In order of arrival. Grows in the arena. {0} is empty. */
struct http_fields {
    struct http_field *v;
    uint32_t n, cap;
    uint64_t present; /* bit per id < 64: a quick "is there one at all" */
};
_Static_assert(HTTP_FIELD_COUNT <= 64, "http_fields.present has 64 bits");

enum http_field_id http_field_id_of(struct view name);
/* The field that a reader of CGI variables takes this one for, whose name is another: "Client_Cert"
 * and "Client.Cert" for "Client-Cert" (RFC 3875 4.1.18; PHP folds more than that). OTHER: none. */
enum http_field_id http_field_id_imitated(struct view name);
const char *http_field_name(enum http_field_id id); /* lower case; "" for OTHER */

/* The views are kept, not copied. SP_NOMEM: unchanged. */
enum sp_err http_fields_add(struct http_fields *f, struct arena *a, enum http_field_id id,
                            struct view name, struct view value) SP_MUST_CHECK;
/* One more like `field`. */
enum sp_err http_fields_add_copy(struct http_fields *f, struct arena *a,
                                 const struct http_field *field) SP_MUST_CHECK;
static inline bool http_fields_has(const struct http_fields *f, enum http_field_id id)
{
    return (f->present >> id & 1) != 0;
}
/* The first with this id (not OTHER), or NULL. */
const struct http_field *http_fields_get(const struct http_fields *f, enum http_field_id id);
/* The next one after `after` with the same id; NULL when there is none. */
const struct http_field *http_fields_next(const struct http_fields *f,
                                          const struct http_field *after);

/* Walks a comma-separated list value (RFC 9110 5.6.1): the next element without blanks, quoted
 * strings kept whole, empty elements skipped. False at the end. Start with *rest = value. */
bool http_list_next(struct view *rest, struct view *element);
/* Is `token` an element of any field with this id? Case is ignored; parameters are not. */
bool http_fields_list_has(const struct http_fields *f, enum http_field_id id, struct view token);

enum http_version { HTTP_VERSION_1_0 = 10, HTTP_VERSION_1_1 = 11, HTTP_VERSION_2 = 20 };

/* How the body's length is known. LENGTH with 0 bytes and NONE differ: POST with
 * "content-length: 0" says so to the backend. */
enum http_body_kind {
    HTTP_BODY_NONE,     /* no body: GET without length, HEAD, 204, 304 */
    HTTP_BODY_LENGTH,   /* content_length bytes */
    HTTP_BODY_UNSIZED,  /* chunked in HTTP/1.1, until END_STREAM in HTTP/2; may have trailers */
    HTTP_BODY_TO_CLOSE, /* HTTP/1 responses only: until the connection closes */
    HTTP_BODY_TUNNEL,   /* after 101 or a 2xx to CONNECT: bytes both ways until both sides end */
};

/* A request or response head, or trailers (fields only). */
struct http_head {
    enum http_version version;
    struct http_fields fields;
    enum http_body_kind body;
    uint64_t content_length; /* with HTTP_BODY_LENGTH */
    bool keep_alive;         /* HTTP/1: may the connection be used again after this message? */
    /* Request */
    enum http_method method;
    struct view method_text;
    struct view scheme;    /* "https", "http"; from the connection for origin-form */
    struct view authority; /* host[:port]: Host field, :authority or absolute-form; may be empty */
    struct view path;      /* path and query as sent, begins with "/", or is "*" */
    struct view protocol;  /* Upgrade's or :protocol's value when the request asks for a tunnel */
    bool expect_continue;  /* Expect: 100-continue */
    /* Response */
    uint16_t status; /* 0 for a request */
    struct view reason;
};

static inline bool http_head_is_request(const struct http_head *h)
{
    return h->status == 0;
}
/* "OK", "Not Found"; "" when unknown. RFC 9110 15. */
const char *http_status_reason(unsigned status);
