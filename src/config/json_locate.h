/* Where in a JSON text a value stands: jansson tells places only of syntax errors. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct json_place {
    struct view pointer; /* RFC 6901 */
    bool at_key;         /* the place of the member's key instead of its value */
    uint32_t id;         /* the caller's own */
    /* Found: 1-based, a column is a character (UTF-8) and a tab is one. Not found: 0. */
    uint32_t line, column;
    size_t offset; /* bytes from the start of the text */
};

/* Finds all places in one walk over the text, which has to be valid JSON: parts that nobody asked
 * for are skipped over. Sorts `places` by pointer. */
void json_locate(struct view text, struct json_place *places, size_t n);

/* The same order: like bytes, but '/' before all, so that what is inside a value comes right
 * behind it. */
int json_pointer_compare(struct view a, struct view b);

/* The bytes of a JSON string as they stand in a pointer: escapes undone, '~' and '/' escaped. */
struct json_key_reader {
    const char *p, *end; /* behind the opening quote; end of the text */
    char pending[8];     /* decoded and not handed out yet, last one first */
    unsigned n_pending;
};
/* -1 at the closing quote. */
int json_key_next(struct json_key_reader *r);
