/* The tree of a document, for this folder. */
#pragma once

#include <sallyport/config/document.h>

#include <jansson.h>

/* Read-only, and never released by itself. */
json_t *config_document_tree(const struct config_document *d);
