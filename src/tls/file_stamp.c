#include "file_stamp.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

struct file_stamp file_stamp_of(const struct stat *st)
{
    return (struct file_stamp){.device = st->st_dev,
                               .inode = st->st_ino,
                               .size_bytes = st->st_size,
                               .modified_ns = nanoseconds(&st->st_mtim),
                               .changed_ns = nanoseconds(&st->st_ctim)};
}

void file_stamp_take(struct view path, struct file_stamp *out)
{
    char text[PATH_MAX];
    struct stat st;

    *out = (struct file_stamp){0};
    if (path.len == 0 || path.len >= sizeof(text))
        return;
    memcpy(text, path.p, path.len);
    text[path.len] = '\0';
    if (stat(text, &st) == 0)
        *out = file_stamp_of(&st);
}
