/* What a folder of revisions is on disk, and whose. */
#include "revisions_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Saying why ---- */

enum sp_err revisions_fail(struct revisions *r, enum sp_err err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(r->why, sizeof(r->why), fmt, args);
    va_end(args);
    return err;
}

enum sp_err revisions_fail_nomem(struct revisions *r)
{
    return revisions_fail(r, SP_NOMEM, "out of memory");
}

enum sp_err revisions_fail_call(struct revisions *r, const char *what, const char *name)
{
    int error_number = errno;
    char reason[100];

    if (error_number == ENOMEM)
        return revisions_fail_nomem(r);
    return revisions_fail(r, SP_SYSCALL, "cannot %s %s%s%s: %s", what, r->folder,
                          name[0] == '\0' ? "" : "/", name,
                          strerror_r(error_number, reason, sizeof(reason)));
}

/* ---- The folder ---- */

enum sp_err revisions_make_folder(struct revisions *r)
{
    for (char *slash = strchr(r->folder + 1, '/');; slash = strchr(slash + 1, '/')) {
        int made;

        if (slash != NULL)
            *slash = '\0';
        made = mkdir(r->folder, slash == NULL ? 0700 : 0755);
        if (slash != NULL)
            *slash = '/';
        if (made != 0 && errno != EEXIST)
            return revisions_fail_call(r, "make", "");
        if (slash == NULL)
            return SP_OK;
    }
}

/* ---- Names ---- */

void revision_name(uint64_t number, char name[REVISION_NAME_MAX])
{
    (void)snprintf(name, REVISION_NAME_MAX, "%08" PRIu64 ".json", number);
}

uint64_t revision_number(const char *name)
{
    char again[REVISION_NAME_MAX];
    char *end;
    uint64_t number = strtoull(name, &end, 10);

    revision_name(number, again);
    return strcmp(again, name) == 0 ? number : 0;
}

/* ---- Giving it all to another user ---- */

static bool is_ours(const char *name)
{
    return revision_number(name) != 0 || strcmp(name, REVISIONS_CURRENT) == 0 ||
           strcmp(name, REVISIONS_LOCK) == 0 || strcmp(name, REVISIONS_NEW) == 0;
}

struct gift {
    struct revisions *r;
    uid_t uid;
    gid_t gid;
};

/* What is open, so that nobody can put something else into its place. A file with a second name may
 * be anybody's: the user that had the folder before could link it there. */
static enum sp_err give(const struct gift *g, int fd, const char *name)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return revisions_fail_call(g->r, "look at", name);
    if (st.st_uid != geteuid() || (!S_ISDIR(st.st_mode) && st.st_nlink != 1))
        return SP_OK;
    return fchown(fd, g->uid, g->gid) == 0 ? SP_OK : revisions_fail_call(g->r, "give away", name);
}

static enum sp_err give_file(const struct gift *g, int folder_fd, const char *name)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    enum sp_err err;

    if (fd < 0)
        return revisions_fail_call(g->r, "open", name);
    err = give(g, fd, name);
    (void)close(fd);
    return err;
}

/* Calls `each` for everything in there. */
static enum sp_err for_each_name(const struct gift *g, DIR *dir,
                                 enum sp_err (*each)(const struct gift *g, int folder_fd,
                                                     const char *name))
{
    enum sp_err err = SP_OK;
    struct dirent *entry;

    rewinddir(dir);
    while (err == SP_OK && (entry = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe) */
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = each(g, dirfd(dir), entry->d_name);
    return err;
}

/* A path that was mistaken must not cost somebody a folder. */
static enum sp_err check_name(const struct gift *g, int folder_fd, const char *name)
{
    (void)folder_fd;
    return is_ours(name) ? SP_OK
                         : revisions_fail(g->r, SP_INVALID, "%.150s holds something else: %.60s",
                                          g->r->folder, name);
}

enum sp_err revisions_give(struct revisions *r, uid_t uid, gid_t gid)
{
    const struct gift g = {r, uid, gid};
    enum sp_err err = revisions_make_folder(r);
    DIR *dir;

    if (err != SP_OK)
        return err;
    dir = opendir(r->folder);
    if (dir == NULL)
        return revisions_fail_call(r, "open", "");
    err = for_each_name(&g, dir, check_name);
    if (err == SP_OK)
        err = for_each_name(&g, dir, give_file);
    if (err == SP_OK)
        err = give(&g, dirfd(dir), "");
    (void)closedir(dir);
    return err;
}
