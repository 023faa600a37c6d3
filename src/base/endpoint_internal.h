/* What endpoint.c and cidr.c share: strict reading of numbers and addresses. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

/* Digits only: no sign, no blank, no leading zero before another digit; at most `max`. */
bool decimal_parse(struct view text, uint32_t max, uint32_t *out);
/* inet_pton(3) of a view. `family` is AF_INET or AF_INET6, `out` its struct in_addr or in6_addr. */
bool address_parse(struct view text, int family, void *out);
