/* Bump allocator over a list of chunks. The newest chunk has the free room; an object too big to
 * share a chunk gets one of its own, linked behind the newest, so that the room there stays usable.
 *
 * In sanitizer builds each object has a chunk of its own: an overrun or a use after arena_fini()
 * is then seen. */
#include <sallyport/base/arena.h>

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* With malloc's own header a chunk is a page. An object is big from a quarter of that on: so at
 * most a quarter of a chunk is left unused when the next one starts. */
#ifdef SALLYPORT_SANITIZED
enum { CHUNK_BYTES = 0 };
#else
enum { CHUNK_BYTES = 4096 - 32 };
#endif
#define BIG_BYTES ((size_t)CHUNK_BYTES / 4)

struct arena_chunk {
    struct arena_chunk *next; /* older */
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        free(chunk);
    }
    arena_init(a);
}

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk;

    if (size > SIZE_MAX - sizeof(*chunk))
        return NULL;
    chunk = malloc(sizeof(*chunk) + size);
    if (chunk != NULL)
        chunk->next = NULL;
    return chunk;
}

/* A chunk for one object. Behind the newest, whose room stays in use. */
static char *alloc_big(struct arena *a, size_t size)
{
    struct arena_chunk *chunk = chunk_new(size);

    if (chunk == NULL)
        return NULL;
    if (a->chunks == NULL) {
        a->chunks = chunk;
    } else {
        chunk->next = a->chunks->next;
        a->chunks->next = chunk;
    }
    return chunk->data;
}

/* Makes a fresh chunk the newest. */
static bool grow(struct arena *a)
{
    struct arena_chunk *chunk = chunk_new(CHUNK_BYTES);

    if (chunk == NULL)
        return false;
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->next = chunk->data;
    a->end = chunk->data + CHUNK_BYTES;
    return true;
}

/* Bytes from `p` to the next multiple of `align`, a power of two. */
static size_t padding(const char *p, size_t align)
{
    return (size_t)(-(uintptr_t)p & (align - 1));
}

/* Not zeroed. NULL when out of memory. */
static char *bump(struct arena *a, size_t size, size_t align)
{
    size_t room = (size_t)(a->end - a->next), pad = padding(a->next, align);
    char *p;

    if (size > BIG_BYTES) {
        p = alloc_big(a, size);
        if (p != NULL)
            a->used_bytes += size;
        return p;
    }
    if (pad > room || size > room - pad) {
        if (!grow(a))
            return NULL;
        pad = 0; /* a chunk starts aligned for anything */
    }
    p = a->next + pad;
    a->next = p + size;
    a->used_bytes += size;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    char *p;

    SP_ASSERT(size > 0);
    p = bump(a, size, alignof(max_align_t));
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

struct view arena_copy(struct arena *a, struct view v)
{
    char *p = bump(a, v.len + 1, 1);

    if (p == NULL)
        return (struct view){NULL, 0};
    if (v.len > 0)
        memcpy(p, v.p, v.len);
    p[v.len] = '\0';
    return (struct view){p, v.len};
}

struct view arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    char *p;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        return (struct view){NULL, 0};
    p = bump(a, (size_t)len + 1, 1);
    if (p == NULL)
        return (struct view){NULL, 0};
    va_start(args, fmt);
    (void)vsnprintf(p, (size_t)len + 1, fmt, args);
    va_end(args);
    return (struct view){p, (size_t)len};
}
