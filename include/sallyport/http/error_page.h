/* What a client is told when its request cannot be served: a small page with the status, one
 * sentence and the request's id, never cached. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>

enum error_page_type { ERROR_PAGE_TEXT, ERROR_PAGE_HTML };

/* HTML for who accepts text/html (browsers), plain text for the others and without a head. */
enum error_page_type error_page_type_for(const struct http_head *request);

/* The whole answer to `why`, which has a status. `request_id` is printable ASCII without `<` and
 * `&`; empty: none is shown. SP_NOMEM: *head and *body are not usable. */
enum sp_err error_page_make(enum http_error why, enum error_page_type type, struct view request_id,
                            struct arena *arena, struct http_head *head, struct iobuf *body)
    SP_MUST_CHECK;

/* A complete HTTP/1.1 answer for a client that speaks plain HTTP to a TLS port: sent without TLS,
 * before the connection is closed. Static. */
struct view error_page_plain_http_on_tls(void);
