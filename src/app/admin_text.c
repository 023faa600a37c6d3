/* Not open_memstream(3): that allocates out of reach of our tests, and cannot be begun anew. */
#include "admin_text.h"

#include <stdint.h>
#include <stdlib.h>

#define FIRST_BYTES 1024

static bool make_room(struct admin_text *t, size_t more)
{
    size_t cap = t->cap == 0 ? FIRST_BYTES : t->cap;
    char *grown;

    if (more > SIZE_MAX / 4 - t->len)
        return false;
    while (cap < t->len + more)
        cap *= 2;
    if (cap == t->cap)
        return true;
    grown = realloc(t->p, cap);
    if (grown == NULL)
        return false;
    t->p = grown;
    t->cap = cap;
    return true;
}

enum sp_err admin_text_append(struct admin_text *t, struct view more)
{
    if (more.len == 0)
        return SP_OK;
    if (!make_room(t, more.len))
        return SP_NOMEM;
    memcpy(t->p + t->len, more.p, more.len);
    t->len += more.len;
    return SP_OK;
}

/* The cookie's write function (fopencookie(3)): 0 is an error. */
static ssize_t write_text(void *cookie, const char *bytes, size_t n)
{
    struct admin_text *t = cookie;

    if (t->failed || admin_text_append(t, (struct view){bytes, n}) != SP_OK) {
        t->failed = true;
        return 0;
    }
    return (ssize_t)n;
}

enum sp_err admin_text_open(struct admin_text *t)
{
    const cookie_io_functions_t functions = {.write = write_text};

    t->out = fopencookie(t, "w", functions);
    return t->out == NULL ? SP_NOMEM : SP_OK;
}

void admin_text_close(struct admin_text *t)
{
    if (t->out != NULL)
        (void)fclose(t->out);
    free(t->p);
    *t = (struct admin_text){0};
}

void admin_text_reset(struct admin_text *t)
{
    if (t->out != NULL)
        (void)fflush(t->out);
    t->len = 0;
    t->failed = false;
}

enum sp_err admin_text_get(struct admin_text *t, struct view *text)
{
    if (t->out != NULL && fflush(t->out) != 0)
        t->failed = true;
    *text = (struct view){t->p, t->len};
    return t->failed ? SP_NOMEM : SP_OK;
}
