/* The keys of the configuration for programs and for people, out of their rows. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdio.h>

/* JSON Schema 2020-12. False: out of memory, or the stream failed. */
bool config_print_schema(FILE *out) SP_MUST_CHECK;

/* What there is to say about a key: a JSON pointer ("/ports/443/alpn"; any name or index stands for
 * all) or the name of a key alone, which may be in several objects. False: there is none; *nearest
 * is a name that was perhaps meant, static, or empty. */
bool config_explain(struct view key, FILE *out, struct view *nearest) SP_MUST_CHECK;
