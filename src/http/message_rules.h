/* What HTTP/1.1 and HTTP/2 ask alike of a message whose parts have been taken apart: methods, Host,
 * lengths, expectations, tunnels, trailers. One reading for both, so that what comes in by the one
 * may go out by the other. Thread: any. Prefix: message_. */
#pragma once

#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>

/* Sets method and method_text. BAD_METHOD; METHOD_UNSUPPORTED (RFC 9112 3) for one that is longer
 * than any registered method; CONNECT passes. */
enum http_error message_take_method(struct http_head *head, struct view text) SP_MUST_CHECK;

/* The authority of a request, which the target (or :authority) may have given already, and what
 * Host says. RFC 9112 3.2: exactly one valid Host in HTTP/1.1; it may be missing in HTTP/1.0, and
 * in HTTP/2 beside :authority. Where both are given they must say the same. BAD_HOST. */
enum http_error message_take_host(struct http_head *head) SP_MUST_CHECK;

/* The number that Content-Length, which is there, says. BAD_CONTENT_LENGTH: a list, several fields
 * or anything but digits, or more than 63 bits. */
enum http_error message_content_length(const struct http_fields *fields, uint64_t *out)
    SP_MUST_CHECK;

/* Does a body of at least one byte follow, as far as the head tells? */
bool message_has_content(const struct http_head *head);

/* Sets expect_continue; body must be known. EXPECTATION: something else is expected. */
enum http_error message_take_expect(struct http_head *head) SP_MUST_CHECK;

/* protocol = token [ "/" token ] (RFC 9110 7.8). */
bool message_is_protocol(struct view protocol);
/* Would it carry requests past our rules inside the tunnel (h2c, TLS...)? */
bool message_protocol_carries_http(struct view protocol);

/* Drops from trailers what a trailer must not be. True when there was nothing to drop. */
bool message_drop_forbidden_trailers(struct http_fields *fields);
