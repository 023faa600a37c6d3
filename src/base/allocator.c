/* mimalloc is linked into the program, not into this library, and takes the place of malloc(3) as a
 * whole: asked for here weakly, it may be missing (sanitizers, tests, systems without it). */
#include <sallyport/base/allocator.h>

#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>

extern int mi_version(void) __attribute__((weak));
extern void mi_option_set(int option, long value) __attribute__((weak));

/* enum mi_option_e of mimalloc.h: 2.0 has a switch, since 2.1 it is a delay, of which -1 is never.
 */
enum { OPTION_PURGE_DELAY = 15, OPTION_ALLOW_DECOMMIT = 22, VERSION_2_1 = 210 };

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

void allocator_keep_memory(void)
{
    if (mi_version == NULL || mi_option_set == NULL)
        return;
    if (mi_version() < VERSION_2_1)
        mi_option_set(OPTION_ALLOW_DECOMMIT, 0);
    else
        mi_option_set(OPTION_PURGE_DELAY, -1);
}
