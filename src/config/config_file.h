/* The bytes of a configuration file. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>

#define CONFIG_FILE_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define CONFIG_FILE_TOO_LARGE "the file is larger than 64 MiB"

struct config_file {
    char *bytes;      /* owned */
    struct view text; /* all of the bytes */
    char *folder;     /* owned: what relative paths count from */
    char error[160];  /* for a person, when it could not be read */
};

/* False: *file has only the error, and nothing to free. */
bool config_file_read(const char *path, struct config_file *file) SP_MUST_CHECK;
void config_file_free(struct config_file *file);
