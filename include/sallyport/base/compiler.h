/* Attributes and the two macros that the whole program leans on. */
#pragma once

#include <stddef.h>

#define SP_MUST_CHECK         __attribute__((warn_unused_result))
#define SP_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define SP_LIKELY(x)          __builtin_expect(!!(x), 1)
#define SP_UNLIKELY(x)        __builtin_expect(!!(x), 0)

/* The `type` that embeds *ptr as its field `member`. A wrong member is a warning. */
#define container_of(ptr, type, member)                      \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member) + \
                      0 * sizeof((ptr) == &((type){0}).member)))

#define SP_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A cheap invariant, kept in release builds: a broken one is a bug of this program, never
 * something that a peer or the system can cause. Prints the expression and aborts. */
#define SP_ASSERT(expr) (SP_LIKELY(expr) ? (void)0 : sp_assert_failed(#expr, __FILE__, __LINE__))

_Noreturn void sp_assert_failed(const char *expr, const char *file, int line);
