/* Bump allocator: many small objects with one end of life (the fields of one message, the strings
 * of one configuration). Nothing is freed alone. One thread at a time. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* owned, newest first */
    char *next;                 /* free bytes of the newest chunk: [next, end) */
    char *end;
    size_t used_bytes; /* handed out so far */
};

void arena_init(struct arena *a);
/* Frees everything; the arena is as after arena_init(). */
void arena_fini(struct arena *a);

/* Zeroed, aligned for any object; NULL when out of memory. size > 0. */
void *arena_alloc(struct arena *a, size_t size) SP_MUST_CHECK;
/* A copy with a NUL behind it that len does not count; .p is NULL when out of memory. */
struct view arena_copy(struct arena *a, struct view v) SP_MUST_CHECK;
/* printf into the arena; .p is NULL when out of memory. */
struct view arena_printf(struct arena *a, const char *fmt, ...) SP_PRINTF(2, 3) SP_MUST_CHECK;
