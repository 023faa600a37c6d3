/* Names with other letters than ASCII's, as they travel: "bücher.example" is
 * "xn--bcher-kva.example" in a ClientHello, a certificate and the DNS (RFC 5890). */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stddef.h>

/* Is there anything beyond ASCII? */
bool idn_is_international(struct view name);
/* Each label that is not ASCII by Punycode (RFC 3492), the others as they are; terminated. Letters
 * are taken as they are: that they are in lower case and composed (UTS 46) is the caller's
 * business. False: no UTF-8, or it does not fit. */
bool idn_to_ascii(struct view name, char *dst, size_t cap);
