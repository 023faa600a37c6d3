/* A small file whose contents are a secret: read whole, wiped when done with. May block. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/tls/cert_problem.h>

#include <stddef.h>
#include <stdint.h>

#define SECRET_FILE_MAX ((size_t)65536)

struct secret_file {
    uint8_t *p; /* owned */
    size_t len;
};
/* Which file, of which port, and who is told what is wrong with it. */
struct secret_source {
    struct view path, port;
    const struct cert_reporter *reporter;
};

/* False: told why, and *out is zeroed. A file that everybody may read is warned of. */
bool secret_file_read(struct secret_file *out, const struct secret_source *source) SP_MUST_CHECK;
void secret_file_free(struct secret_file *s); /* also of a zeroed one */
/* What is wrong with it, told. */
void secret_file_problem(const struct secret_source *source, bool warning, const char *fmt, ...)
    SP_PRINTF(3, 4);
