/* `${ENV:NAME}` and `${FILE:path}` in the strings of a document: what they stand for when it is
 * read as a configuration. The document keeps the text, and so does every message: what is filled
 * in may be a secret.
 *
 * Before the rows are read, all strings with a "${" are looked up; conf_string() then gives what a
 * string means. "$${" stands for "${" itself. */
#pragma once

#include "conf_reader.h"

#define CONF_EXPAND_FILE_MAX ((size_t)1024 * 1024)

struct conf_expansion {
    const json_t *string;
    struct view meant;
    bool failed; /* a problem was added */
};

/* Adds a problem for each that cannot be filled in. */
void conf_expand(struct conf_reader *r, json_t *root);
