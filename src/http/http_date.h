/* The Date of this second, formatted once a second and thread (RFC 9110 5.6.7, IMF-fixdate). */
#pragma once

#include <sallyport/base/view.h>

#include <stdint.h>

#define HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Valid until the thread asks again in a later second: copy it, or send it at once. */
struct view http_date_now(void);
/* Of any second since the epoch. dst has HTTP_DATE_LEN bytes, not terminated. */
void http_date_format(int64_t second, char *dst);
