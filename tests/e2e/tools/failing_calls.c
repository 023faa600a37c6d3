/* Stands in front of the C library (LD_PRELOAD) and makes calls fail, in the whole process with its
 * libraries, as they do when a system runs out of something.
 *
 *     FAILING_CALLS_CONTROL=FILE   a file with the words below; looked at 100 times a second
 *
 *     malloc EVERY     each EVERYth malloc, calloc, realloc and memory-aligned call fails (ENOMEM)
 *     accept EVERY     each EVERYth accept4 fails with EMFILE
 *     socket EVERY     each EVERYth socket fails with EMFILE
 *     send EVERY       each EVERYth sendmsg, send and write to a socket fails with ENOBUFS
 *     recv EVERY       each EVERYth recv, recvmsg and readv of a socket fails with ENOMEM
 *     epoll EVERY      each EVERYth epoll_ctl fails with ENOMEM (EPOLL_CTL_DEL never does)
 *
 * EVERY 0: none. FILE.count says what holds and what came of it, a line "word EVERY FAILURES" each.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define KINDS(X) X(malloc) X(accept) X(socket) X(send) X(recv) X(epoll)
enum kind {
#define X(name) KIND_##name,
    KINDS(X)
#undef X
        KIND_COUNT
};
static const char *const kind_names[] = {
#define X(name) #name,
    KINDS(X)
#undef X
};

static _Atomic unsigned every[KIND_COUNT];
static _Atomic unsigned calls[KIND_COUNT];
static _Atomic unsigned failures[KIND_COUNT];
static _Thread_local bool watching; /* the watcher's own calls never fail */

static bool fails(enum kind kind, int error_number)
{
    unsigned n = atomic_load_explicit(&every[kind], memory_order_relaxed);

    if (n == 0 || watching || (atomic_fetch_add(&calls[kind], 1) + 1) % n != 0)
        return false;
    atomic_fetch_add(&failures[kind], 1);
    errno = error_number;
    return true;
}

/* The next definition of `name`; a function pointer does not fit in a void * by the letter of C, so
 * it is copied (dlsym(3), Notes). */
#define NEXT(name)                                         \
    static __typeof__(&name) next_##name;                  \
    do {                                                   \
        if (next_##name == NULL) {                         \
            void *found_ = dlsym(RTLD_NEXT, #name);        \
            memcpy(&next_##name, &found_, sizeof(found_)); \
        }                                                  \
    } while (0)

/* dlsym itself allocates before `next` is known: glibc's own names do the work. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return fails(KIND_malloc, ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails(KIND_malloc, ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails(KIND_malloc, ENOMEM) ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(KIND_malloc, ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *p = fails(KIND_malloc, ENOMEM) ? NULL : __libc_memalign(alignment, size);

    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}

/* __SOCKADDR_ARG: what glibc declares it with. */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict len, int flags)
{
    NEXT(accept4);
    return fails(KIND_accept, EMFILE) ? -1 : next_accept4(fd, address, len, flags);
}

int socket(int domain, int type, int protocol)
{
    NEXT(socket);
    return fails(KIND_socket, EMFILE) ? -1 : next_socket(domain, type, protocol);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg);
    return fails(KIND_send, ENOBUFS) ? -1 : next_sendmsg(fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    NEXT(send);
    return fails(KIND_send, ENOBUFS) ? -1 : next_send(fd, data, len, flags);
}

ssize_t recv(int fd, void *data, size_t cap, int flags)
{
    NEXT(recv);
    return fails(KIND_recv, ENOMEM) ? -1 : next_recv(fd, data, cap, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    NEXT(recvmsg);
    return fails(KIND_recv, ENOMEM) ? -1 : next_recvmsg(fd, message, flags);
}

ssize_t readv(int fd, const struct iovec *iov, int n_iov)
{
    NEXT(readv);
    return fails(KIND_recv, ENOMEM) ? -1 : next_readv(fd, iov, n_iov);
}

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    NEXT(epoll_ctl);
    if (op != EPOLL_CTL_DEL && fails(KIND_epoll, ENOMEM))
        return -1;
    return next_epoll_ctl(epoll_fd, op, fd, event);
}

static void read_control(const char *path)
{
    char word[16];
    unsigned n;
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return;
    while (fscanf(f, "%15s %u", word, &n) == 2)
        for (int kind = 0; kind < KIND_COUNT; kind++)
            if (strcmp(word, kind_names[kind]) == 0)
                atomic_store(&every[kind], n);
    (void)fclose(f);
}

static void write_counts(const char *path)
{
    char name[4096], fresh[4096 + 4];
    FILE *f;

    (void)snprintf(name, sizeof(name), "%s.count", path);
    (void)snprintf(fresh, sizeof(fresh), "%s.new", name);
    f = fopen(fresh, "we");
    if (f == NULL)
        return;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        (void)fprintf(f, "%s %u %u\n", kind_names[kind], atomic_load(&every[kind]),
                      atomic_load(&failures[kind]));
    (void)fclose(f);
    (void)rename(fresh, name);
}

static void *watch(void *path)
{
    watching = true;
    for (;;) {
        read_control(path);
        write_counts(path);
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return NULL;
}

__attribute__((constructor)) static void start(void)
{
    char *path = getenv("FAILING_CALLS_CONTROL");
    pthread_t thread;
    sigset_t all, before;

    if (path == NULL)
        return;
    /* The program's signals are the program's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_create(&thread, NULL, watch, path);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
