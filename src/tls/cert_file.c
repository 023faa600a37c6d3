#include "cert_file.h"

#include <openssl/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A program that writes a file in place is done with it after that many looks, or it is no file
 * for certificates. */
#define MAX_TRIES 4

static bool copy_path(struct view path, char dst[PATH_MAX])
{
    if (path.len == 0 || path.len >= PATH_MAX || memchr(path.p, '\0', path.len) != NULL)
        return false;
    memcpy(dst, path.p, path.len);
    dst[path.len] = '\0';
    return true;
}

/* "www-data (user 33)": the rights that were not enough are this user's. */
static void format_user(char *dst, size_t cap)
{
    struct passwd entry, *found = NULL;
    char buf[1024];
    uid_t uid = geteuid();

    if (getpwuid_r(uid, &entry, buf, sizeof(buf), &found) == 0 && found != NULL)
        (void)snprintf(dst, cap, "%s (user %u)", found->pw_name, (unsigned)uid);
    else
        (void)snprintf(dst, cap, "user %u", (unsigned)uid);
}

static bool report_errno(struct cert_load *load, struct view path, const char *what,
                         int error_number)
{
    char user[80];

    if (error_number == EACCES || error_number == EPERM) {
        format_user(user, sizeof(user));
        cert_load_error(load, path, "%s: %s for %s", what, strerrordesc_np(error_number), user);
    } else {
        cert_load_error(load, path, "%s: %s", what, strerrordesc_np(error_number));
    }
    return false;
}

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a pipe";
    case S_IFSOCK: return "a socket";
    default: return "a device";
    }
}

/* Not even a pipe that nobody writes to may hold this up. */
static int open_file(struct view path, struct cert_load *load)
{
    char text[PATH_MAX];
    int fd;

    if (!copy_path(path, text)) {
        cert_load_error(load, path, "the path is empty or too long");
        return -1;
    }
    fd = open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        (void)report_errno(load, path, "cannot be opened", errno);
    return fd;
}

/* Up to `cap` bytes from the start of the file; -1: errno. */
static ssize_t read_up_to(int fd, char *dst, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = pread(fd, dst + len, cap - len, (off_t)len);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)len;
}

static void drop_bytes(struct cert_file *file)
{
    if (file->bytes != NULL)
        OPENSSL_cleanse(file->bytes, file->len);
    free(file->bytes);
    file->bytes = NULL;
    file->len = 0;
}

enum look { LOOK_FAILED, LOOK_AGAIN, LOOK_DONE };

static enum look fail(struct cert_file *file, int error_number, struct cert_load *load)
{
    (void)report_errno(load, file->path, "cannot be read", error_number);
    return LOOK_FAILED;
}

static bool fits(const struct cert_file *file, const struct stat *st, size_t max_bytes,
                 struct cert_load *load)
{
    if (!S_ISREG(st->st_mode)) {
        cert_load_error(load, file->path, "is %s, no regular file", kind_of(st->st_mode));
        return false;
    }
    if ((uint64_t)st->st_size > max_bytes) {
        cert_load_error(load, file->path, "has %lld bytes; at most %zu are read",
                        (long long)st->st_size, max_bytes);
        return false;
    }
    return true;
}

/* The bytes between two looks at the file that see the same. */
static enum look look(struct cert_file *file, int fd, size_t max_bytes, struct cert_load *load)
{
    struct stat before, after;
    struct file_stamp now;
    ssize_t n;

    if (fstat(fd, &before) != 0)
        return fail(file, errno, load);
    if (!fits(file, &before, max_bytes, load))
        return LOOK_FAILED;
    file->len = (size_t)before.st_size;
    file->bytes = malloc(file->len + 1);
    if (file->bytes == NULL) {
        cert_load_nomem(load, file->path);
        return LOOK_FAILED;
    }
    n = read_up_to(fd, file->bytes, file->len);
    if (n < 0 || fstat(fd, &after) != 0)
        return fail(file, errno, load);
    file->bytes[file->len] = '\0';
    file->stamp = file_stamp_of(&before);
    file->mode = before.st_mode;
    file->owner = before.st_uid;
    now = file_stamp_of(&after);
    return (size_t)n == file->len && file_stamp_eq(&file->stamp, &now) ? LOOK_DONE : LOOK_AGAIN;
}

bool cert_file_read(struct cert_file *file, struct view path, size_t max_bytes,
                    struct cert_load *load)
{
    enum look result = LOOK_AGAIN;
    int fd = open_file(path, load);

    *file = (struct cert_file){.path = path};
    if (fd < 0)
        return false;
    for (unsigned i = 0; i < MAX_TRIES && result == LOOK_AGAIN; i++) {
        drop_bytes(file);
        result = look(file, fd, max_bytes, load);
    }
    (void)close(fd);
    if (result == LOOK_AGAIN)
        cert_load_error(load, path, "changes while it is read");
    if (result != LOOK_DONE)
        cert_file_fini(file);
    return result == LOOK_DONE;
}

void cert_file_fini(struct cert_file *file)
{
    drop_bytes(file);
    *file = (struct cert_file){0};
}
