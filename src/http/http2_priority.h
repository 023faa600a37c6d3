/* The Priority field (RFC 9218 4): how urgent a response is, and whether its pieces are of use. */
#pragma once

#include <sallyport/http/http_message.h>

struct http2_priority {
    uint8_t urgency; /* 0 first, 7 last, 3 where nothing is said */
    bool incremental;
};

/* False: no Priority field, *out untouched. What a field has that cannot be read counts as not
 * said (RFC 9218 4: parameters out of range, of unexpected types or unknown are ignored). */
bool http2_priority_of(const struct http_fields *fields, struct http2_priority *out);
