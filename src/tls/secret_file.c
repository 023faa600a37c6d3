#include "secret_file.h"

#include <openssl/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void secret_file_problem(const struct secret_source *source, bool warning, const char *fmt, ...)
{
    char text[256];
    struct cert_problem problem = {.port = source->port, .file = source->path, .warning = warning};
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    problem.text = view_of(text);
    source->reporter->report(source->reporter->arg, &problem);
}

/* O_NONBLOCK: a FIFO that nobody writes to is refused, not waited for. */
static int open_path(const struct secret_source *source)
{
    struct view path = source->path;
    char name[PATH_MAX];
    int fd;

    if (path.len == 0 || path.len >= sizeof(name)) {
        secret_file_problem(source, false, "the path is empty or too long");
        return -1;
    }
    memcpy(name, path.p, path.len);
    name[path.len] = '\0';
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        secret_file_problem(source, false, "cannot be opened: %s", strerrordesc_np(errno));
    return fd;
}

static bool look_at(int fd, const struct secret_source *source)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        secret_file_problem(source, false, "is not a regular file");
        return false;
    }
    if ((st.st_mode & S_IROTH) != 0) {
        secret_file_problem(source, true,
                            "can be read by everybody (mode %04o): expected 0600 or 0640",
                            (unsigned)st.st_mode & 07777U);
    }
    return true;
}

static bool read_all(int fd, struct secret_file *s, const struct secret_source *source)
{
    while (s->len <= SECRET_FILE_MAX) {
        ssize_t n = read(fd, s->p + s->len, SECRET_FILE_MAX + 1 - s->len);

        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR) {
            secret_file_problem(source, false, "cannot be read: %s", strerrordesc_np(errno));
            return false;
        }
        s->len += n > 0 ? (size_t)n : 0;
    }
    secret_file_problem(source, false, "is larger than %zu bytes", SECRET_FILE_MAX);
    return false;
}

static bool read_fd(int fd, struct secret_file *s, const struct secret_source *source)
{
    if (!look_at(fd, source))
        return false;
    s->p = malloc(SECRET_FILE_MAX + 1);
    if (s->p == NULL) {
        secret_file_problem(source, false, "cannot be read: out of memory");
        return false;
    }
    return read_all(fd, s, source);
}

bool secret_file_read(struct secret_file *out, const struct secret_source *source)
{
    int fd = open_path(source);
    bool ok;

    *out = (struct secret_file){NULL, 0};
    if (fd < 0)
        return false;
    ok = read_fd(fd, out, source);
    (void)close(fd);
    if (!ok)
        secret_file_free(out);
    return ok;
}

void secret_file_free(struct secret_file *s)
{
    if (s->p != NULL)
        OPENSSL_cleanse(s->p, s->len);
    free(s->p);
    *s = (struct secret_file){NULL, 0};
}
