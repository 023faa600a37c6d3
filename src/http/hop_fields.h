/* The fields that speak of one connection and end there (RFC 9110 7.6.1): the ones with that
 * meaning by themselves, and whatever a message's own Connection field names. */
#pragma once

#include <sallyport/http/http_message.h>

/* Connection-level by itself, or framing, which each protocol writes anew: never passed on.
 * Trailer goes on: it tells of the message. */
static inline bool hop_field_is_connection_level(enum http_field_id id)
{
    const uint64_t set =
        UINT64_C(1) << HTTP_FIELD_CONNECTION | UINT64_C(1) << HTTP_FIELD_KEEP_ALIVE |
        UINT64_C(1) << HTTP_FIELD_PROXY_CONNECTION | UINT64_C(1) << HTTP_FIELD_TRANSFER_ENCODING |
        UINT64_C(1) << HTTP_FIELD_UPGRADE | UINT64_C(1) << HTTP_FIELD_HTTP2_SETTINGS;

    return (set >> id & 1) != 0;
}

#define HOP_FIELDS_MAX 16

/* The fields that one message's Connection names beyond the table above: seldom any. */
struct hop_fields {
    struct view names[HOP_FIELDS_MAX]; /* borrowed from the message */
    uint32_t n;
};
/* SP_LIMIT: more names than anybody needs; comparing each field with each of them would be work
 * that a peer gets for a few bytes. */
enum sp_err hop_fields_init(struct hop_fields *hop, const struct http_fields *fields) SP_MUST_CHECK;

/* Is this field of the message left out? Content-Length is (it goes on as a number), and TE, of
 * which only "trailers" may go on, written anew: see below. */
bool hop_field_is_dropped(const struct hop_fields *hop, const struct http_field *field);

/* Does a TE field of the message ask for trailers? */
static inline bool hop_fields_ask_trailers(const struct http_fields *fields)
{
    return http_fields_list_has(fields, HTTP_FIELD_TE, VIEW("trailers"));
}
