/* mimalloc is linked into the program, not into this library, and takes the place of malloc(3) as a
 * whole: asked for here weakly, it may be missing (sanitizers, tests, systems without it). */
#include <sallyport/base/allocator.h>

#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>

extern int mi_version(void) __attribute__((weak));

static char version[16];

/* 209 is 2.0.9. */
static void format_version(void)
{
    int n = mi_version();

    (void)snprintf(version, sizeof(version), "%d.%d.%d", n / 100, n / 10 % 10, n % 10);
}

const char *allocator_name(void)
{
    return mi_version != NULL ? "mimalloc" : "glibc";
}

const char *allocator_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (mi_version == NULL)
        return gnu_get_libc_version();
    (void)pthread_once(&once, format_version);
    return version;
}
