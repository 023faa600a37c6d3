#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct bytes {
    char *p;
    size_t len, cap;
};

static bool fail(struct config_file *file, const char *what, int error_number)
{
    char reason[100];

    *file = (struct config_file){0};
    if (error_number == ENOMEM)
        (void)snprintf(file->error, sizeof(file->error), "out of memory");
    else
        (void)snprintf(file->error, sizeof(file->error), "%s: %s", what,
                       strerror_r(error_number, reason, sizeof(reason)));
    return false;
}

/* Room for more, doubled each time. One byte past the limit shows that it is passed. */
static bool grow(struct bytes *b)
{
    size_t cap = b->cap == 0 ? 64 * (size_t)1024 : 2 * b->cap;
    char *p;

    if (cap > CONFIG_FILE_MAX_BYTES + 1)
        cap = CONFIG_FILE_MAX_BYTES + 1;
    p = realloc(b->p, cap);
    if (p == NULL)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

/* 0, or an errno: reads to the end, or one byte past the limit. Pipes are fine. */
static int read_all(int fd, struct bytes *b)
{
    while (b->len <= CONFIG_FILE_MAX_BYTES) {
        ssize_t n;

        if (b->len == b->cap && !grow(b))
            return ENOMEM;
        n = read(fd, b->p + b->len, b->cap - b->len);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return 0;
        b->len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

bool config_file_read(const char *path, struct config_file *file)
{
    struct bytes b = {0};
    char *folder = NULL;
    int error_number, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(file, "cannot open the file", errno);
    error_number = read_all(fd, &b);
    (void)close(fd);
    if (error_number == 0 && b.len > CONFIG_FILE_MAX_BYTES) {
        free(b.p);
        *file = (struct config_file){.error = CONFIG_FILE_TOO_LARGE};
        return false;
    }
    if (error_number == 0)
        folder = folder_of(path);
    if (folder == NULL) {
        free(b.p);
        return fail(file, "cannot read the file", error_number != 0 ? error_number : ENOMEM);
    }
    *file = (struct config_file){.bytes = b.p, .text = {b.p, b.len}, .folder = folder};
    return true;
}

void config_file_free(struct config_file *file)
{
    free(file->bytes);
    free(file->folder);
    *file = (struct config_file){0};
}
