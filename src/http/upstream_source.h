/* Where a transaction gets its stream to a backend: the pool of its thread, or a test. */
#pragma once

#include <sallyport/http/upstream_pool.h>

struct upstream_source;
struct upstream_source_ops {
    /* As upstream_pool_get() and upstream_wish_cancel(). */
    struct http_stream *(*get)(struct upstream_source *source, struct upstream_wish *w);
    void (*cancel)(struct upstream_source *source, struct upstream_wish *w);
};
struct upstream_source {
    const struct upstream_source_ops *ops;
};

/* The pool as a source; lives as long as the pool. */
struct upstream_source *upstream_pool_source(struct upstream_pool *pool);
