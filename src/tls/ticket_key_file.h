/* A file of ticket keys, as those write it who rotate outside: keys of 80 bytes, one after the
 * other, or in text, each in base64 on a line of its own. */
#pragma once

#include "ticket_ring.h"

#include <sallyport/base/view.h>

#include <stddef.h>

#define TICKET_FILE_KEYS_MAX TICKET_RING_SLOTS
#define TICKET_WHY_MAX       160

struct ticket_key_list {
    union ticket_key keys[TICKET_FILE_KEYS_MAX]; /* stamp 0; the first seals */
    unsigned n;
};

/* False: `why` says what is wrong, for a person; no byte of the file is in it. The list has to be
 * wiped by the caller in either case. */
bool ticket_key_file_parse(struct view bytes, struct ticket_key_list *list,
                           char why[TICKET_WHY_MAX]) SP_MUST_CHECK;
