#include "config_file.h"
#include "revision_file.h"
#include "revisions_folder.h"

#include <sallyport/base/clock.h>
#include <sallyport/config/revisions.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS   2000 /* how long another process is waited for... */
#define LOCK_STEP 20   /* ...asking again after so long */

bool revisions_init(struct revisions *r, const char *folder, uint32_t keep)
{
    *r = (struct revisions){.folder = strdup(folder), .keep = keep < 2 ? 2 : keep};
    return r->folder != NULL;
}

void revisions_fini(struct revisions *r)
{
    free(r->folder);
    *r = (struct revisions){0};
}

/* ---- The folder ---- */

/* -1: r->why says it. */
static int open_folder(struct revisions *r)
{
    int fd = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        (void)revisions_fail_call(r, "open", "");
    return fd;
}

static bool wait_for_lock(int fd)
{
    for (int waited_ms = 0;; waited_ms += LOCK_STEP) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK || waited_ms >= LOCK_MS)
            return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP * 1000000L}, NULL);
    }
}

/* Who writes: the folder open, and locked against other writers. */
struct writer {
    int folder_fd, lock_fd;
};

static enum sp_err writer_open(struct revisions *r, struct writer *w)
{
    enum sp_err err = revisions_make_folder(r);

    if (err != SP_OK)
        return err;
    w->folder_fd = open_folder(r);
    if (w->folder_fd < 0)
        return SP_SYSCALL;
    w->lock_fd = openat(w->folder_fd, REVISIONS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (w->lock_fd < 0) {
        err = revisions_fail_call(r, "open", REVISIONS_LOCK);
        goto close_folder;
    }
    if (!wait_for_lock(w->lock_fd)) {
        err = revisions_fail(r, SP_LIMIT, "another process writes to %s", r->folder);
        goto close_lock;
    }
    return SP_OK;

close_lock:
    (void)close(w->lock_fd);
close_folder:
    (void)close(w->folder_fd);
    return err;
}

static void writer_close(struct writer *w)
{
    (void)close(w->lock_fd);
    (void)close(w->folder_fd);
}

/* ---- Writing whole files ---- */

static bool write_all(int fd, struct view v)
{
    while (v.len > 0) {
        ssize_t n = write(fd, v.p, v.len);

        if (n < 0 && errno != EINTR)
            return false;
        v = view_from(v, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* Under its name there is the old content or the new one, whatever happens. */
static enum sp_err write_whole(struct revisions *r, const struct writer *w, const char *name,
                               const struct conf_buf *b)
{
    enum sp_err err = SP_OK;
    int fd;

    if (b->nomem)
        return revisions_fail_nomem(r);
    fd = openat(w->folder_fd, REVISIONS_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return revisions_fail_call(r, "make", REVISIONS_NEW);
    if (!write_all(fd, conf_buf_view(b)) || fsync(fd) != 0)
        err = revisions_fail_call(r, "write", name);
    if (close(fd) != 0 && err == SP_OK)
        err = revisions_fail_call(r, "write", name);
    if (err == SP_OK && (renameat(w->folder_fd, REVISIONS_NEW, w->folder_fd, name) != 0 ||
                         fsync(w->folder_fd) != 0))
        err = revisions_fail_call(r, "write", name);
    if (err != SP_OK)
        (void)unlinkat(w->folder_fd, REVISIONS_NEW, 0);
    return err;
}

/* ---- Which one holds ---- */

static enum sp_err read_text(struct revisions *r, const char *name, struct config_file *file)
{
    struct view path;
    struct arena arena;
    enum sp_err err = SP_OK;

    arena_init(&arena);
    path = arena_printf(&arena, "%s/%s", r->folder, name);
    errno = 0;
    if (path.p == NULL)
        err = revisions_fail_nomem(r);
    else if (!config_file_read(path.p, file))
        err = revisions_fail(r, errno == ENOENT ? SP_NOT_FOUND : SP_SYSCALL, "%.120s: %.100s",
                             path.p, file->error);
    arena_fini(&arena);
    return err;
}

enum sp_err revisions_state(struct revisions *r, struct revision_state *out)
{
    struct config_file file = {0};
    enum sp_err err = read_text(r, REVISIONS_CURRENT, &file);

    if (err == SP_NOT_FOUND) {
        *out = (struct revision_state){0};
        return SP_OK;
    }
    if (err != SP_OK)
        return err;
    err = revision_state_read(file.text, out);
    config_file_free(&file);
    if (err == SP_NOMEM)
        return revisions_fail_nomem(r);
    if (err != SP_OK)
        return revisions_fail(r, err, "%.150s/" REVISIONS_CURRENT " is damaged", r->folder);
    return SP_OK;
}

static enum sp_err write_state(struct revisions *r, const struct writer *w,
                               const struct revision_state *state)
{
    struct conf_buf b = {0};
    enum sp_err err;

    revision_state_write(&b, state);
    err = write_whole(r, w, REVISIONS_CURRENT, &b);
    conf_buf_fini(&b);
    return err;
}

/* ---- Reading ---- */

static enum sp_err say_unreadable(struct revisions *r, uint64_t number, enum sp_err err)
{
    if (err == SP_NOMEM)
        return revisions_fail_nomem(r);
    if (err == SP_NOT_FOUND)
        return revisions_fail(r, err, "there is no revision %" PRIu64, number);
    if (err == SP_INVALID)
        return revisions_fail(r, err, "revision %" PRIu64 " is damaged", number);
    return err;
}

enum sp_err revisions_read(struct revisions *r, uint64_t number, struct revision_info *info,
                           struct config_document **document)
{
    struct config_file file = {0};
    char name[REVISION_NAME_MAX];
    enum sp_err err;

    revision_name(number, name);
    err = read_text(r, name, &file);
    if (err != SP_OK)
        return say_unreadable(r, number, err);
    err = revision_read_info(file.text, info);
    if (err == SP_OK && info->number != number)
        err = SP_INVALID;
    if (err == SP_OK && document != NULL)
        err = revision_read_document(file.text, info, document);
    config_file_free(&file);
    return err == SP_OK ? SP_OK : say_unreadable(r, number, err);
}

/* Only its head. False: it is damaged, or out of memory. */
static bool read_info(int folder_fd, const char *name, struct revision_info *info)
{
    char head[REVISION_HEAD_MAX];
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, head, sizeof(head));
    (void)close(fd);
    return n > 0 && revision_read_info((struct view){head, (size_t)n}, info) == SP_OK &&
           info->number == revision_number(name);
}

/* Calls `each` with the name of every revision up to the current one. */
static enum sp_err walk(struct revisions *r, uint64_t current,
                        enum sp_err (*each)(void *arg, int folder_fd, const char *name), void *arg)
{
    enum sp_err err = SP_OK;
    DIR *dir = opendir(r->folder);
    struct dirent *entry;

    if (dir == NULL)
        return errno == ENOENT ? SP_OK : revisions_fail_call(r, "open", "");
    while (err == SP_OK && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        uint64_t number = revision_number(entry->d_name);

        if (number != 0 && number <= current)
            err = each(arg, dirfd(dir), entry->d_name);
    }
    (void)closedir(dir);
    return err;
}

struct listing {
    struct revision_info *v;
    size_t n, cap;
};

static enum sp_err list_one(void *arg, int folder_fd, const char *name)
{
    struct listing *l = arg;

    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
        struct revision_info *v = realloc(l->v, cap * sizeof(*v));

        if (v == NULL)
            return SP_NOMEM;
        l->v = v;
        l->cap = cap;
    }
    l->n += read_info(folder_fd, name, &l->v[l->n]);
    return SP_OK;
}

static int newest_first(const void *a, const void *b)
{
    const struct revision_info *x = a, *y = b;

    return (x->number < y->number) - (x->number > y->number);
}

enum sp_err revisions_list(struct revisions *r, struct revision_info **out, size_t *n)
{
    struct revision_state state;
    struct listing l = {0};
    enum sp_err err = revisions_state(r, &state);

    if (err == SP_OK)
        err = walk(r, state.current, list_one, &l);
    if (err != SP_OK) {
        free(l.v);
        return err == SP_NOMEM ? revisions_fail_nomem(r) : err;
    }
    if (l.n > 0)
        qsort(l.v, l.n, sizeof(*l.v), newest_first);
    *out = l.v;
    *n = l.n;
    return SP_OK;
}

/* ---- Writing ---- */

struct pruning {
    uint64_t below, except;
};

static enum sp_err prune_one(void *arg, int folder_fd, const char *name)
{
    const struct pruning *p = arg;
    uint64_t number = revision_number(name);

    if (number < p->below && number != p->except)
        (void)unlinkat(folder_fd, name, 0);
    return SP_OK;
}

/* Old ones that cannot be removed are no harm. */
static void prune(struct revisions *r, const struct revision_state *state)
{
    struct pruning p = {.except = state->back_to};

    if (state->current <= r->keep)
        return;
    p.below = state->current - r->keep + 1;
    (void)walk(r, state->current, prune_one, &p);
}

static enum sp_err write_revision(struct revisions *r, const struct writer *w,
                                  const struct revision_new *new, uint64_t number)
{
    struct revision_info info = {.number = number,
                                 .base = new->expected,
                                 .time_ms = clock_wall_ms(),
                                 .uid = new->author.uid,
                                 .pid = new->author.pid,
                                 .hash = config_document_hash(new->document),
                                 .file_hash = new->file_hash};
    struct conf_buf b = {0};
    char name[REVISION_NAME_MAX];
    enum sp_err err;

    revision_comment(new->author.comment, info.comment);
    revision_write(&b, &info, new->document);
    revision_name(number, name);
    err = write_whole(r, w, name, &b);
    conf_buf_fini(&b);
    return err;
}

/* First the revision, under a number that does not count yet; then that it does. */
static enum sp_err add(struct revisions *r, const struct writer *w, const struct revision_new *new,
                       uint64_t *number)
{
    struct revision_state state;
    enum sp_err err = revisions_state(r, &state);

    if (err != SP_OK)
        return err;
    if (state.current != new->expected)
        return revisions_fail(r, SP_LIMIT, "revision %" PRIu64 " is the current one, not %" PRIu64,
                              state.current, new->expected);
    err = write_revision(r, w, new, state.current + 1);
    if (err != SP_OK)
        return err;
    state = (struct revision_state){.current = state.current + 1,
                                    .back_to = new->back_to,
                                    .confirm_by_ms = new->back_to == 0 ? 0 : new->confirm_by_ms};
    err = write_state(r, w, &state);
    if (err != SP_OK)
        return err;
    *number = state.current;
    prune(r, &state);
    return SP_OK;
}

enum sp_err revisions_add(struct revisions *r, const struct revision_new *new, uint64_t *number)
{
    struct writer w;
    enum sp_err err = writer_open(r, &w);

    if (err != SP_OK)
        return err;
    err = add(r, &w, new, number);
    writer_close(&w);
    return err;
}

static enum sp_err confirm(struct revisions *r, const struct writer *w, uint64_t number)
{
    struct revision_state state;
    enum sp_err err = revisions_state(r, &state);

    if (err != SP_OK)
        return err;
    if (state.current != number)
        return revisions_fail(r, SP_LIMIT, "revision %" PRIu64 " is the current one, not %" PRIu64,
                              state.current, number);
    if (state.back_to == 0)
        return revisions_fail(r, SP_NOT_FOUND, "nothing waits for a confirmation");
    state.back_to = 0;
    state.confirm_by_ms = 0;
    return write_state(r, w, &state);
}

enum sp_err revisions_confirm(struct revisions *r, uint64_t number)
{
    struct writer w;
    enum sp_err err = writer_open(r, &w);

    if (err != SP_OK)
        return err;
    err = confirm(r, &w, number);
    writer_close(&w);
    return err;
}

/* ---- At a start ---- */

static enum sp_err go_back(struct revisions *r, const struct revision_state *state,
                           uint64_t *number)
{
    struct config_document *document = NULL;
    struct revision_info info;
    char comment[120];
    enum sp_err err = revisions_read(r, state->back_to, &info, &document);

    if (err != SP_OK)
        return err;
    (void)snprintf(comment, sizeof(comment),
                   "back to revision %" PRIu64 ": %" PRIu64 " had not been confirmed at a start",
                   state->back_to, state->current);
    err = revisions_add(
        r,
        &(struct revision_new){
            .document = document,
            .author = {.uid = geteuid(), .pid = getpid(), .comment = view_of(comment)},
            .file_hash = info.file_hash,
            .expected = state->current},
        number);
    config_document_unref(document);
    return err;
}

enum sp_err revisions_settle(struct revisions *r, struct revision_state *state, bool *went_back)
{
    struct revision_state found;
    uint64_t number = 0;
    enum sp_err err = revisions_state(r, &found);

    if (err == SP_OK && found.back_to != 0)
        err = go_back(r, &found, &number);
    if (err != SP_OK)
        return err;
    *went_back = number != 0;
    *state = number == 0 ? found : (struct revision_state){.current = number};
    return SP_OK;
}
