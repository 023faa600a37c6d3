/* Every value of an object in the order of its rows, for what is said about objects as a whole. */
#pragma once

#include "conf_table.h"

#include <sallyport/config/bundle.h>

/* `hash` goes on; the address of nothing is in it. */
uint64_t conf_object_hash(uint64_t hash, const struct conf_table *t, const void *object);
/* Every CONF_PATH that is not empty, those of the objects and lists inside included. */
void conf_object_files(const struct conf_table *t, const void *object, config_file_fn file,
                       void *arg);
