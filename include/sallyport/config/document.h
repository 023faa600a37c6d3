/* A configuration as a document: the JSON that people write, with its comments, the order of its
 * keys and `${ENV:...}` as written. Immutable and reference-counted; a change makes another
 * document, so a change that fails leaves nothing behind.
 *
 * A document need not be a good configuration: config_of_document() says whether it is, and gives
 * out the plain data that the program runs on. Any thread; documents may be shared between them. */
#pragma once

#include <sallyport/base/arena.h>
#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>

#include <stdbool.h>
#include <stdint.h>

struct config_document;

/* ---- Making one ---- */

/* Any JSON; `folder` resolves relative paths, `name` stands in messages. NULL: *problems says why
 * (that the text is no JSON, or out of memory). */
struct config_document *config_document_parse(struct view text, const char *name,
                                              const char *folder, struct config_problems *problems)
    SP_MUST_CHECK;
struct config_document *config_document_load(const char *path, struct config_problems *problems)
    SP_MUST_CHECK;
struct config_document *config_document_ref(struct config_document *d);
void config_document_unref(struct config_document *d); /* NULL is accepted */

/* ---- Reading ---- */

/* As it was written; after a change, as this program writes: two spaces, the order kept, what is
 * short on one line. Good as long as the document; a NUL stands behind it. */
struct view config_document_text(const struct config_document *d);
const char *config_document_name(const struct config_document *d);
const char *config_document_folder(const struct config_document *d);
/* The same for documents with the same content, however they are laid out. */
uint64_t config_document_hash(const struct config_document *d);

/* The configuration that it says, checked as config_load() does. NULL: *problems says why, with
 * places in config_document_text(). It keeps the document. */
struct config *config_of_document(struct config_document *d, struct config_problems *problems)
    SP_MUST_CHECK;

/* ---- Changing ---- */

enum config_edit {
    CONFIG_EDIT_SET,    /* the value at the pointer becomes `value`, or is added */
    CONFIG_EDIT_REMOVE, /* the value at the pointer goes; `value` is not looked at */
    CONFIG_EDIT_PATCH,  /* `value` is a JSON Patch (RFC 6902) of what is at the pointer */
    CONFIG_EDIT_MERGE,  /* `value` is a JSON Merge Patch (RFC 7396) of what is at the pointer */
};

enum config_edit_status {
    CONFIG_EDIT_OK,
    CONFIG_EDIT_NOMEM,
    CONFIG_EDIT_MALFORMED, /* `value` is no JSON, no patch, or the pointer is none */
    CONFIG_EDIT_NOT_FOUND, /* a pointer leads nowhere */
    CONFIG_EDIT_TEST,      /* a "test" of the patch did not hold */
    CONFIG_EDIT_TOO_LARGE, /* the outcome would be out of all proportion, or nested too deep */
};

/* Why it did not work, for a person. */
struct config_edit_problem {
    enum config_edit_status status;
    char text[320];
};

/* The value at a pointer (RFC 6901; "" is the whole) as text in the arena, laid out as above. */
bool config_document_get(const struct config_document *d, struct view pointer, struct arena *arena,
                         struct view *out, struct config_edit_problem *problem) SP_MUST_CHECK;
/* One change, whole or not at all; what a JSON Patch holds is one change. In a list "-" is the
 * place behind the last element. NULL: *problem says why, and `d` is as it was. */
struct config_document *config_document_edit(const struct config_document *d, enum config_edit how,
                                             struct view pointer, struct view value,
                                             struct config_edit_problem *problem) SP_MUST_CHECK;
