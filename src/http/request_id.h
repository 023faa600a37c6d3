/* Names for requests: 128 random bits in hexadecimal. They are unique, not secret. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_ID_LEN 32

/* dst has REQUEST_ID_LEN bytes, not terminated. */
void request_id_make(char *dst);
/* May an id that came with a request be kept? Short and harmless in a log, a field and a page. */
bool request_id_is_sane(struct view id);
/* The thread's generator, for whoever needs unguarded randomness. */
uint64_t request_id_random(void);
