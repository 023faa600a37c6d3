#include "conf_expand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCES "expected ${ENV:NAME} or ${FILE:path} (and $${ for a \"${\" that means itself)"

/* ---- Where text comes from. False: a problem was added, or memory ran out. ---- */

typedef bool (*source_fn)(struct conf_reader *r, const struct conf_path *at, struct view name,
                          struct view *out);

static bool is_variable(struct view name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';

        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return name.len > 0;
}

static bool from_environment(struct conf_reader *r, const struct conf_path *at, struct view name,
                             struct view *out)
{
    struct view copy;
    const char *value;

    if (!is_variable(name)) {
        conf_error(r, at, "expected the name of an environment variable in ${ENV:NAME}");
        return false;
    }
    copy = arena_copy(&r->scratch, name);
    if (copy.p == NULL) {
        r->nomem = true;
        return false;
    }
    value = getenv(copy.p); /* NOLINT(concurrency-mt-unsafe): nobody changes the environment */
    if (value == NULL) {
        conf_error(r, at, "the environment variable " VIEW_FMT " is not set", VIEW_ARG(name));
        return false;
    }
    *out = view_of(value);
    return true;
}

/* Whole, into the scratch arena. What is wrong: in words. NULL: fine. */
static const char *read_file(struct conf_reader *r, int fd, struct view *out)
{
    struct stat st;
    size_t cap, len = 0;
    char *bytes;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return "not a regular file";
    if (st.st_size > (off_t)CONF_EXPAND_FILE_MAX)
        return "the file is larger than 1 MiB";
    /* Files in /proc say 0. A byte more shows the end. */
    cap = st.st_size == 0 ? 4096 : (size_t)st.st_size + 1;
    bytes = arena_alloc(&r->scratch, cap);
    if (bytes == NULL) {
        r->nomem = true;
        return "out of memory";
    }
    for (ssize_t n = 1; n != 0 && len<cap; len += n> 0 ? (size_t)n : 0) {
        n = read(fd, bytes + len, cap - len);
        if (n < 0 && errno != EINTR)
            return "cannot be read";
    }
    if (len == cap)
        return "the file grew while it was read";
    *out = (struct view){bytes, len};
    return NULL;
}

/* Editors end the last line; a secret does not have it. */
static struct view without_newline(struct view v)
{
    if (v.len > 0 && v.p[v.len - 1] == '\n')
        v.len--;
    if (v.len > 0 && v.p[v.len - 1] == '\r')
        v.len--;
    return v;
}

static bool from_file(struct conf_reader *r, const struct conf_path *at, struct view name,
                      struct view *out)
{
    char reason[100];
    const char *wrong = NULL;
    struct view path;
    int fd;

    if (name.len == 0) {
        conf_error(r, at, "expected a path in ${FILE:path}");
        return false;
    }
    path = conf_resolve(r, name);
    if (path.p == NULL)
        return false;
    fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        wrong = strerror_r(errno, reason, sizeof(reason));
    } else {
        wrong = read_file(r, fd, out);
        (void)close(fd);
    }
    if (wrong == NULL && memchr(out->p, '\0', out->len) != NULL)
        wrong = "a NUL byte is not text";
    if (wrong != NULL)
        conf_error(r, at, "cannot fill in " VIEW_FMT ": %s", VIEW_ARG(path), wrong);
    else
        *out = without_newline(*out);
    return wrong == NULL;
}

static const struct {
    struct view prefix;
    source_fn get;
} sources[] = {
    {VIEW_INIT("${ENV:"), from_environment},
    {VIEW_INIT("${FILE:"), from_file},
};

/* ---- One string ---- */

/* The text up to the next "${" or "$${". */
static struct view plain_head(struct view v)
{
    for (size_t i = 0; i + 1 < v.len; i++) {
        struct view rest = view_from(v, i);

        if (view_starts_with(rest, VIEW("${")) || view_starts_with(rest, VIEW("$${")))
            return view_head(v, i);
    }
    return v;
}

/* Takes one "${...}" off the front. */
static bool take_source(struct conf_reader *r, const struct conf_path *at, struct view *rest,
                        struct view *out)
{
    const char *end = memchr(rest->p, '}', rest->len);

    for (size_t i = 0; end != NULL && i < SP_COUNT_OF(sources); i++) {
        struct view name;

        if (!view_starts_with(*rest, sources[i].prefix))
            continue;
        name = view_from(view_head(*rest, (size_t)(end - rest->p)), sources[i].prefix.len);
        *rest = view_from(*rest, (size_t)(end - rest->p) + 1);
        return sources[i].get(r, at, name, out);
    }
    conf_error(r, at, SOURCES);
    return false;
}

static bool join(struct conf_reader *r, struct view *whole, struct view more)
{
    char *p;

    if (more.len == 0)
        return true;
    p = arena_alloc(&r->scratch, whole->len + more.len + 1);
    if (p == NULL) {
        r->nomem = true;
        return false;
    }
    if (whole->len > 0)
        memcpy(p, whole->p, whole->len);
    memcpy(p + whole->len, more.p, more.len);
    *whole = (struct view){p, whole->len + more.len};
    return true;
}

static bool fill_in(struct conf_reader *r, const struct conf_path *at, struct view text,
                    struct view *meant)
{
    *meant = VIEW("");
    while (text.len > 0) {
        struct view head = plain_head(text), filled;

        text = view_from(text, head.len);
        if (!join(r, meant, head))
            return false;
        if (text.len == 0)
            return true;
        if (view_starts_with(text, VIEW("$${"))) {
            filled = VIEW("${");
            text = view_from(text, 3);
        } else if (!take_source(r, at, &text, &filled)) {
            return false;
        }
        if (!join(r, meant, filled))
            return false;
    }
    return true;
}

/* ---- All of them ---- */

static bool has_source(const json_t *string)
{
    return memmem(json_string_value(string), json_string_length(string), "${", 2) != NULL;
}

/* Room for one more, doubled each time. */
static struct conf_expansion *new_expansion(struct conf_reader *r)
{
    size_t cap = r->n_expansions == 0 ? 8 : 2 * r->n_expansions;
    struct conf_expansion *v;

    if ((r->n_expansions & (r->n_expansions - 1)) == 0 &&
        (r->n_expansions == 0 || r->n_expansions >= 8)) {
        v = arena_alloc(&r->scratch, cap * sizeof(*v));
        if (v == NULL) {
            r->nomem = true;
            return NULL;
        }
        if (r->n_expansions > 0)
            memcpy(v, r->expansions, r->n_expansions * sizeof(*v));
        r->expansions = v;
    }
    return &r->expansions[r->n_expansions++];
}

static void walk(struct conf_reader *r, const struct conf_path *at, json_t *json)
{
    struct conf_path below = {.up = at};
    struct conf_expansion *x;
    json_t *child;

    if (json_is_string(json) && has_source(json)) {
        x = new_expansion(r);
        if (x == NULL)
            return;
        *x = (struct conf_expansion){.string = json};
        x->failed = !fill_in(r, at, conf_json_view(json), &x->meant);
    }
    json_array_foreach(json, below.index, child) walk(r, &below, child);
    json_object_foreach(json, below.key, child)
    {
        if (!conf_key_is_comment(below.key))
            walk(r, &below, child);
    }
}

static int compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct conf_expansion *)a)->string;
    uintptr_t y = (uintptr_t)((const struct conf_expansion *)b)->string;

    return (x > y) - (x < y);
}

void conf_expand(struct conf_reader *r, json_t *root)
{
    walk(r, NULL, root);
    if (r->n_expansions > 0)
        qsort(r->expansions, r->n_expansions, sizeof(*r->expansions), compare);
}

/* NULL: the string means what it says. */
static const struct conf_expansion *expansion_of(const struct conf_reader *r, const json_t *string)
{
    struct conf_expansion key = {.string = string};

    if (r->n_expansions == 0)
        return NULL;
    return bsearch(&key, r->expansions, r->n_expansions, sizeof(key), compare);
}

struct view conf_string(const struct conf_reader *r, const json_t *string)
{
    const struct conf_expansion *x = expansion_of(r, string);

    return x != NULL && !x->failed ? x->meant : conf_json_view(string);
}

bool conf_string_failed(const struct conf_reader *r, const json_t *value)
{
    const struct conf_expansion *x = expansion_of(r, value);

    return x != NULL && x->failed;
}
