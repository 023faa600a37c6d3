#include <sallyport/tls/ocsp_cache.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDING      ".der"
#define NEW_ENDING  ".new"
#define FOLDER_MODE 0700
#define FILE_MODE   0600
/* fingerprint in hex, ending, NUL */
#define NAME_MAX_   (OCSP_FINGERPRINT_TEXT + 8)

/* ---- Names ---- */

static void put_name(char name[NAME_MAX_], const uint8_t *fingerprint, const char *ending)
{
    size_t at = 0;

    for (size_t i = 0; i < OCSP_FINGERPRINT_BYTES; i++)
        at += (size_t)snprintf(name + at, NAME_MAX_ - at, "%02x", fingerprint[i]);
    (void)snprintf(name + at, NAME_MAX_ - at, "%s", ending);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: the name is none that this file gives. */
static bool parse_name(const char *name, uint8_t *fingerprint)
{
    const char *ending = name + OCSP_FINGERPRINT_TEXT - 1;

    for (size_t i = 0; i < OCSP_FINGERPRINT_BYTES; i++) {
        int high = digit_of(name[2 * i]), low = high < 0 ? -1 : digit_of(name[2 * i + 1]);

        if (low < 0)
            return false;
        fingerprint[i] = (uint8_t)(high << 4 | low);
    }
    return strcmp(ending, ENDING) == 0 || strcmp(ending, NEW_ENDING) == 0;
}

/* `name` empty: of the folder itself. */
static bool put_path(char path[PATH_MAX], struct view folder, const char *name)
{
    size_t len = strlen(name), at = folder.len;

    errno = ENAMETOOLONG;
    if (folder.len == 0 || folder.len + 1 + len >= PATH_MAX)
        return false;
    memcpy(path, folder.p, folder.len);
    if (len > 0)
        path[at++] = '/';
    memcpy(path + at, name, len + 1);
    return true;
}

/* ---- The folder ---- */

static bool make_one(const char *path)
{
    return mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST;
}

enum sp_err ocsp_cache_make(struct view folder)
{
    char path[PATH_MAX];

    if (!put_path(path, folder, ""))
        return SP_SYSCALL;
    for (char *p = path + 1; *p != '\0'; p++) {
        bool made;

        if (*p != '/')
            continue;
        *p = '\0';
        made = make_one(path);
        *p = '/';
        if (!made)
            return SP_SYSCALL;
    }
    return make_one(path) ? SP_OK : SP_SYSCALL;
}

static DIR *open_folder(struct view folder)
{
    char path[PATH_MAX];

    return put_path(path, folder, "") ? opendir(path) : NULL;
}

typedef void (*entry_fn)(void *arg, int dir_fd, const char *name, const uint8_t *fingerprint);

/* Calls `fn` for each file that has a name of this cache. */
static bool for_each_file(struct view folder, entry_fn fn, void *arg)
{
    DIR *dir = open_folder(folder);
    struct dirent *entry;

    if (dir == NULL)
        return false;
    // cppcheck-suppress readdirCalled
    while ((entry = readdir(dir)) != NULL) { // NOLINT(concurrency-mt-unsafe): a DIR of its own
        uint8_t fingerprint[OCSP_FINGERPRINT_BYTES];

        if (strlen(entry->d_name) >= OCSP_FINGERPRINT_TEXT &&
            parse_name(entry->d_name, fingerprint))
            fn(arg, dirfd(dir), entry->d_name, fingerprint);
    }
    (void)closedir(dir);
    return true;
}

struct owner {
    uid_t uid;
    gid_t gid;
    bool failed;
};

static void give_file(void *arg, int dir_fd, const char *name, const uint8_t *fingerprint)
{
    struct owner *owner = arg;

    (void)fingerprint;
    if (fchownat(dir_fd, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
        owner->failed = true;
}

enum sp_err ocsp_cache_give(struct view folder, uid_t uid, gid_t gid)
{
    struct owner owner = {.uid = uid, .gid = gid};
    char path[PATH_MAX];

    if (!put_path(path, folder, "") || chown(path, uid, gid) != 0 ||
        !for_each_file(folder, give_file, &owner) || owner.failed)
        return SP_SYSCALL;
    return SP_OK;
}

struct sweep {
    int64_t before_ms;
    ocsp_cache_used_fn is_used;
    void *arg;
    unsigned n;
};

static void sweep_file(void *arg, int dir_fd, const char *name, const uint8_t *fingerprint)
{
    struct sweep *sweep = arg;
    struct stat st;

    if (sweep->is_used(sweep->arg, fingerprint) ||
        fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        (int64_t)st.st_mtim.tv_sec * 1000 >= sweep->before_ms)
        return;
    if (unlinkat(dir_fd, name, 0) == 0)
        sweep->n++;
}

unsigned ocsp_cache_sweep(struct view folder, int64_t before_ms, ocsp_cache_used_fn is_used,
                          void *arg)
{
    struct sweep sweep = {.before_ms = before_ms, .is_used = is_used, .arg = arg};

    (void)for_each_file(folder, sweep_file, &sweep);
    return sweep.n;
}

/* ---- Files ---- */

/* As much as there is, or `cap`; -1: an error. */
static ssize_t read_all(int fd, char *dst, size_t cap)
{
    size_t at = 0;

    while (at < cap) {
        ssize_t n = read(fd, dst + at, cap - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

/* One byte more than may be tells that it is too large. */
static enum sp_err read_fd(int fd, size_t max_bytes, struct view *out)
{
    char *data = malloc(max_bytes + 1);
    ssize_t n = data == NULL ? 0 : read_all(fd, data, max_bytes + 1);
    char *fitting;

    if (data == NULL)
        return SP_NOMEM;
    if (n < 0 || (size_t)n > max_bytes) {
        free(data);
        return n < 0 ? SP_SYSCALL : SP_LIMIT;
    }
    fitting = realloc(data, n == 0 ? 1 : (size_t)n);
    *out = (struct view){fitting == NULL ? data : fitting, (size_t)n};
    // cppcheck-suppress memleak
    return SP_OK;
}

static enum sp_err read_path(const char *path, size_t max_bytes, struct view *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO holds nobody up */
    int error_number;
    enum sp_err err;

    if (fd < 0)
        return errno == ENOENT ? SP_NOT_FOUND : SP_SYSCALL;
    err = read_fd(fd, max_bytes, out);
    error_number = errno;
    (void)close(fd);
    errno = error_number;
    return err;
}

enum sp_err ocsp_cache_read(struct view folder, const uint8_t *fingerprint, size_t max_bytes,
                            struct view *out)
{
    char name[NAME_MAX_], path[PATH_MAX];

    put_name(name, fingerprint, ENDING);
    return put_path(path, folder, name) ? read_path(path, max_bytes, out) : SP_SYSCALL;
}

enum sp_err ocsp_file_read(struct view path, size_t max_bytes, struct view *out)
{
    char text[PATH_MAX];

    return put_path(text, path, "") ? read_path(text, max_bytes, out) : SP_SYSCALL;
}

static bool write_all(int fd, struct view v)
{
    while (v.len > 0) {
        ssize_t n = write(fd, v.p, v.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        v = view_from(v, (size_t)n);
    }
    return true;
}

/* Not forced to the disk: what a crash leaves of it is verified like everything else. */
static bool write_new(const char *path, struct view der)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    bool ok;
    int error_number;

    if (fd < 0)
        return false;
    ok = write_all(fd, der);
    error_number = errno;
    ok = close(fd) == 0 && ok;
    if (!ok && error_number != 0)
        errno = error_number;
    return ok;
}

enum sp_err ocsp_cache_write(struct view folder, const uint8_t *fingerprint, struct view der)
{
    char name[NAME_MAX_], path[PATH_MAX], new_path[PATH_MAX];
    int error_number;

    put_name(name, fingerprint, ENDING);
    if (!put_path(path, folder, name) || ocsp_cache_make(folder) != SP_OK)
        return SP_SYSCALL;
    put_name(name, fingerprint, NEW_ENDING);
    if (!put_path(new_path, folder, name))
        return SP_SYSCALL;
    if (write_new(new_path, der) && rename(new_path, path) == 0)
        return SP_OK;
    error_number = errno;
    (void)unlink(new_path);
    errno = error_number;
    return SP_SYSCALL;
}
