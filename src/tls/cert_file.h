/* A file of certificates or a key, read once into memory: what was checked is what is used, and the
 * stamp belongs to the bytes. Blocks on files; any thread that may. */
#pragma once

#include "cert_load.h"
#include "file_stamp.h"

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of a leaf and what it was issued by, and of a key. */
#define CERT_FILE_MAX_BYTES           ((size_t)1024 * 1024)
/* Of a list of authorities, which may be those of a whole system. */
#define CERT_FILE_MAX_AUTHORITY_BYTES ((size_t)16 * 1024 * 1024)

struct cert_file {
    struct view path; /* borrowed */
    char *bytes;      /* owned, `len` of them and a NUL behind; wiped by cert_file_fini() */
    size_t len;
    struct file_stamp stamp;
    mode_t mode;
    uid_t owner;
};

/* Reads the file whole, at most max_bytes. False after a problem was reported, and *file is empty.
 * A file that changes while it is read is read again, a few times. */
bool cert_file_read(struct cert_file *file, struct view path, size_t max_bytes,
                    struct cert_load *load) SP_MUST_CHECK;
void cert_file_fini(struct cert_file *file); /* an empty one is accepted */

static inline struct view cert_file_view(const struct cert_file *file)
{
    return (struct view){file->bytes, file->len};
}
