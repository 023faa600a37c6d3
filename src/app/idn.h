/* Names with other letters than ASCII's, as they travel: "bücher.example" is
 * "xn--bcher-kva.example" in a ClientHello, a certificate and the DNS (RFC 5890, UTS 46). */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stddef.h>

/* Is there anything beyond ASCII? */
bool idn_is_international(struct view name);
/* As a browser does it, capitals and composition included; terminated. False: *why says what is
 * wrong with the name, static. */
bool idn_to_ascii(struct view name, char *dst, size_t cap, const char **why);
