/* Text that grows. What fails is remembered (`nomem`) and everything after it does nothing, so
 * that only the end has to ask. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>

struct conf_buf {
    char *p; /* owned; NUL-terminated once anything was added */
    size_t len, cap;
    bool nomem;
};

/* Zeroed is empty. */
void conf_buf_fini(struct conf_buf *b);
void conf_buf_add(struct conf_buf *b, struct view v);
void conf_buf_put(struct conf_buf *b, const char *fmt, ...) SP_PRINTF(2, 3);
void conf_buf_spaces(struct conf_buf *b, size_t n);
/* Forgets what is behind the first `len` bytes. */
void conf_buf_cut(struct conf_buf *b, size_t len);

static inline struct view conf_buf_view(const struct conf_buf *b)
{
    return (struct view){b->p, b->len};
}
