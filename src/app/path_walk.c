#include "path_walk.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */

struct walk {
    const struct path_walker *walker;
    char folder[PATH_MAX];   /* absolute, without links */
    char rest[2 * PATH_MAX]; /* still to go, from the folder */
    char name[NAME_MAX + 1];
    int n_links;
};

/* ---- Text ---- */

/* "first/then"; false: it does not fit. */
static bool join(char *dst, size_t cap, struct view first, struct view then)
{
    if (first.len + then.len + 2 > cap)
        return false;
    memmove(dst + first.len + 1, then.p, then.len); /* `then` may be in dst itself */
    memcpy(dst, first.p, first.len);
    dst[first.len] = '/';
    dst[first.len + 1 + then.len] = '\0';
    return true;
}

static bool put_rest(struct walk *w, struct view first)
{
    return join(w->rest, sizeof(w->rest), first, view_of(w->rest));
}

/* The next name; false: it is too long for one. Empty: that was the last. */
static bool take_name(struct walk *w)
{
    const char *begin = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(begin, "/");

    if (len > NAME_MAX)
        return false;
    memcpy(w->name, begin, len);
    w->name[len] = '\0';
    memmove(w->rest, begin + len, strlen(begin + len) + 1);
    return true;
}

/* "/folder/name". */
static bool whole_path(const struct walk *w, char dst[PATH_MAX])
{
    struct view folder = w->folder[1] == '\0' ? VIEW("") : view_of(w->folder);

    return join(dst, PATH_MAX, folder, view_of(w->name));
}

static void leave_folder(struct walk *w)
{
    char *slash = strrchr(w->folder, '/');

    slash[slash == w->folder] = '\0';
}

static bool is_last(const struct walk *w)
{
    return w->rest[strspn(w->rest, "/")] == '\0';
}

/* ---- Steps ---- */

enum step { STEP_ON, STEP_END, STEP_LOOP, STEP_TOO_LONG };

static enum step enter_folder(struct walk *w)
{
    char whole[PATH_MAX];

    if (!whole_path(w, whole))
        return STEP_TOO_LONG;
    memcpy(w->folder, whole, strlen(whole) + 1);
    return STEP_ON;
}

static enum step follow(struct walk *w, const char *whole)
{
    char target[PATH_MAX];
    ssize_t n = readlink(whole, target, sizeof(target));

    if (n <= 0) /* gone since */
        return STEP_END;
    if (++w->n_links > LINKS_MAX)
        return STEP_LOOP;
    if (n == sizeof(target) || !put_rest(w, (struct view){target, (size_t)n}))
        return STEP_TOO_LONG;
    if (target[0] == '/')
        w->folder[1] = '\0';
    return STEP_ON;
}

static enum path_kind kind_of(const struct walk *w, const char *whole)
{
    struct stat st;

    if (lstat(whole, &st) != 0)
        return PATH_MISSING;
    if (S_ISLNK(st.st_mode))
        return PATH_LINK;
    if (S_ISDIR(st.st_mode))
        return PATH_FOLDER;
    return is_last(w) ? PATH_FILE : PATH_MISSING;
}

static enum step look(struct walk *w)
{
    const struct path_walker *walker = w->walker;
    char whole[PATH_MAX];
    enum path_kind kind;

    if (!whole_path(w, whole))
        return STEP_TOO_LONG;
    if (walker->enter != NULL && walker->enter(walker->arg, w->folder, w->name))
        return enter_folder(w);
    kind = kind_of(w, whole);
    walker->found(walker->arg, w->folder, w->name, kind);
    if (kind == PATH_LINK)
        return follow(w, whole);
    return kind == PATH_FOLDER ? enter_folder(w) : STEP_END;
}

static enum step step(struct walk *w)
{
    if (!take_name(w))
        return STEP_TOO_LONG;
    if (w->name[0] == '\0')
        return STEP_END;
    if (strcmp(w->name, ".") == 0)
        return STEP_ON;
    if (strcmp(w->name, "..") == 0) {
        leave_folder(w);
        return STEP_ON;
    }
    return look(w);
}

static bool begin(struct walk *w, struct view path)
{
    bool absolute = path.len > 0 && path.p[0] == '/';

    if (!absolute && getcwd(w->folder, sizeof(w->folder)) == NULL)
        return false;
    if (absolute)
        w->folder[0] = '/';
    return put_rest(w, path);
}

enum path_end path_walk(struct view path, const struct path_walker *walker)
{
    struct walk w = {.walker = walker};
    enum step s = begin(&w, path) ? STEP_ON : STEP_TOO_LONG;

    while (s == STEP_ON)
        s = step(&w);
    return s == STEP_LOOP ? PATH_ENDS_IN_LOOP : s == STEP_TOO_LONG ? PATH_TOO_LONG : PATH_ENDS;
}
