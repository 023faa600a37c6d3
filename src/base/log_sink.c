/* A bounded queue of lines with many producers and one consumer, and the thread that drains it.
 *
 * Why no mutex: data threads and the housekeeping of the program run at different priorities. One
 * of low priority, preempted with a mutex in its hands, would hold a data thread for as long as it
 * is not scheduled. So producers never wait for anyone, for the writer least of all:
 *
 *  1. reserve: one compare-and-swap moves `head` on by the size of the record. If that would reach
 *     what the writer has not yet taken (`tail`), the line is dropped and counted.
 *  2. copy the line in.
 *  3. publish: the record's header, zero until then, is stored with release.
 *
 * The writer takes records in order until it meets a header that is zero. It clears each record
 * before it moves `tail`, for the next header may lie anywhere in it. A producer preempted between
 * 1 and 3 thus delays what is queued behind it, and holds nobody up.
 *
 *     tail                             head
 *      v                                v
 *      [header|line\n..][header|line\n..][0 0 0 0 0 ... cleared ... 0 0 0]
 *
 * Why the writer polls: a wake-up is a system call of the data thread, and one for each line would
 * cost more than the line. It looks every POLL_MS, which also batches writes, and is woken only
 * when a record crosses a quarter of the queue, so that a burst finds it awake long before the
 * queue is full. */
#include "log_internal.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/compiler.h>
#include <sallyport/base/log_sink.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_CAP_BYTES ((size_t)1 << 20)
#define MIN_CAP_BYTES     ((size_t)4096)
#define MAX_CAP_BYTES     ((size_t)1 << 30)
#define POLL_MS           50
#define CLOSE_LIMIT_MS    2000
/* One write(2). A longer line could not be written whole, so it is dropped. */
#define BATCH_BYTES       ((size_t)65536)
#define NOTICE_BYTES      ((size_t)160)

/* Where a record begins; the line and its newline follow. Records are multiples of it, so a header
 * never wraps around the end of the ring. */
typedef _Atomic uint64_t record_header;

struct log_sink {
    /* Producers. */
    _Atomic uint64_t head;        /* bytes ever reserved */
    _Atomic uint32_t unannounced; /* dropped and not yet told of */
    _Atomic uint64_t dropped;     /* in all */
    char pad_producers[64];       /* the writer's stores shall not take their cache line away */

    /* The writer stores, producers read. */
    _Atomic uint64_t tail; /* bytes ever taken */
    char pad_writer[64];

    /* Requests to the writer. */
    _Atomic bool reopen_wanted;
    _Atomic bool closing;

    /* Constant after log_sink_open(). */
    char *ring; /* owned: cap bytes, all zero but for records */
    size_t cap; /* a power of two */
    char *path; /* owned; NULL: one of the standard streams */
    char label[32];
    int wake_fd; /* owned: an eventfd */
    pthread_t writer;

    /* The writer's own. */
    int fd;                   /* owned if path is not NULL */
    bool mid_line;            /* the last write(2) that succeeded stopped inside a line */
    uint32_t batch_notices;   /* lines of the batch that are the sink's own */
    uint32_t batch_announced; /* dropped lines that these tell of */
    size_t batch_len;
    char batch[BATCH_BYTES];
};

/* ---- The ring: positions count bytes for ever, their low bits are the place ---- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static record_header *header_at(struct log_sink *s, uint64_t pos)
{
    return (record_header *)(void *)(s->ring + (pos & (s->cap - 1)));
}

/* Of a line with its newline. */
static size_t record_bytes(size_t len)
{
    const size_t unit = sizeof(record_header);

    return (unit + len + unit - 1) / unit * unit;
}

/* Published: the line's length (never 0) below, the lines dropped before it above. */
static uint64_t header_value(size_t len, uint32_t dropped_before)
{
    return (uint64_t)dropped_before << 32 | (uint32_t)len;
}

static void ring_put(struct log_sink *s, uint64_t pos, const char *src, size_t n)
{
    size_t at = (size_t)(pos & (s->cap - 1)), first = min_size(n, s->cap - at);

    if (first > 0)
        memcpy(s->ring + at, src, first);
    if (n > first)
        memcpy(s->ring, src + first, n - first);
}

static void ring_get(const struct log_sink *s, uint64_t pos, char *dst, size_t n)
{
    size_t at = (size_t)(pos & (s->cap - 1)), first = min_size(n, s->cap - at);

    memcpy(dst, s->ring + at, first);
    memcpy(dst + first, s->ring, n - first);
}

static void ring_zero(struct log_sink *s, uint64_t pos, size_t n)
{
    size_t at = (size_t)(pos & (s->cap - 1)), first = min_size(n, s->cap - at);

    memset(s->ring + at, 0, first);
    memset(s->ring, 0, n - first);
}

/* ---- Producers ---- */

/* False: full. The acquire pairs with the writer's release of `tail`: what it cleared is seen
 * cleared, and nothing is written here before it was taken. */
static bool reserve(struct log_sink *s, size_t n, uint64_t *pos)
{
    uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);

    do {
        uint64_t tail = atomic_load_explicit(&s->tail, memory_order_acquire);

        /* `head` may be older than `tail`: then the exchange fails and brings the new one. */
        if (head + n > tail + s->cap)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&s->head, &head, head + n, memory_order_relaxed,
                                                    memory_order_relaxed));
    *pos = head;
    return true;
}

static void wake_writer(struct log_sink *s)
{
    const uint64_t one = 1;
    ssize_t written = write(s->wake_fd, &one, sizeof(one));

    (void)written; /* it can only fail when it is awake already, 2^64 times over */
}

static void count_dropped(struct log_sink *s, uint32_t n)
{
    atomic_fetch_add_explicit(&s->unannounced, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->dropped, n, memory_order_relaxed);
}

static uint32_t take_unannounced(struct log_sink *s)
{
    if (atomic_load_explicit(&s->unannounced, memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange_explicit(&s->unannounced, 0, memory_order_relaxed);
}

void log_sink_write(struct log_sink *s, struct view line)
{
    size_t len, n;
    uint64_t pos, quarter;

    if (s == NULL)
        return;
    len = line.len + 1;
    n = record_bytes(len);
    if (len > BATCH_BYTES - NOTICE_BYTES || !reserve(s, n, &pos)) {
        count_dropped(s, 1);
        return;
    }
    ring_put(s, pos + sizeof(record_header), line.p, line.len);
    ring_put(s, pos + sizeof(record_header) + line.len, "\n", 1);
    atomic_store_explicit(header_at(s, pos), header_value(len, take_unannounced(s)),
                          memory_order_release);
    quarter = s->cap / 4;
    if (pos / quarter != (pos + n) / quarter)
        wake_writer(s);
}

uint64_t log_sink_dropped(const struct log_sink *s)
{
    return s == NULL ? 0 : atomic_load_explicit(&s->dropped, memory_order_relaxed);
}

void log_sink_reopen(struct log_sink *s)
{
    if (s == NULL)
        return;
    atomic_store_explicit(&s->reopen_wanted, true, memory_order_release);
    wake_writer(s);
}

/* ---- The writer ---- */

/* A line of the sink's own, into the batch, which has room for it. */
static SP_PRINTF(3, 4) void add_notice(struct log_sink *s, const char *level, const char *fmt, ...)
{
    char time[LOG_TIME_BYTES], text[64];
    va_list args;
    int n;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    n = snprintf(s->batch + s->batch_len, NOTICE_BYTES, "%s %s %s %s\n",
                 log_format_time(time, clock_wall_ms()), level, s->label, text);
    if (n > 0)
        s->batch_len += min_size((size_t)n, NOTICE_BYTES - 1);
    s->batch_notices++;
}

static void add_dropped_notice(struct log_sink *s, uint32_t n)
{
    add_notice(s, "warn", "dropped_lines=%u", n);
    s->batch_announced += n;
}

/* Moves the next record into the batch. False: there is none, or no room for it. */
static bool take_record(struct log_sink *s)
{
    uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);
    uint64_t header = atomic_load_explicit(header_at(s, tail), memory_order_acquire);
    size_t len = (uint32_t)header;
    uint32_t dropped_before = (uint32_t)(header >> 32);

    if (len == 0 || len + NOTICE_BYTES > BATCH_BYTES - s->batch_len)
        return false;
    if (dropped_before > 0)
        add_dropped_notice(s, dropped_before);
    ring_get(s, tail + sizeof(record_header), s->batch + s->batch_len, len);
    s->batch_len += len;
    ring_zero(s, tail, record_bytes(len));
    atomic_store_explicit(&s->tail, tail + record_bytes(len), memory_order_release);
    return true;
}

/* One write(2), patient with a full pipe. Returns 0 on an error that waiting does not cure. */
static size_t write_some(int fd, const char *p, size_t n)
{
    for (;;) {
        ssize_t written = write(fd, p, n);

        if (written >= 0)
            return (size_t)written;
        if (errno == EAGAIN) { /* someone made the stream non-blocking */
            struct pollfd writable = {.fd = fd, .events = POLLOUT};

            (void)poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            return 0;
        }
    }
}

static uint32_t count_lines(const char *p, size_t n)
{
    uint32_t lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

/* The batch from `done` on was not written. */
static void count_lost(struct log_sink *s, size_t done)
{
    uint32_t lines = count_lines(s->batch + done, s->batch_len - done);

    if (done == 0) { /* the sink's own notices are still to be given, and are no lines of anyone */
        lines -= s->batch_notices;
        atomic_fetch_add_explicit(&s->unannounced, s->batch_announced, memory_order_relaxed);
    }
    count_dropped(s, lines);
}

/* Writes the batch. What does not go out, for want of room on the disk say, counts as dropped, and
 * a line that was broken off gets its newline before the next. */
static void flush_batch(struct log_sink *s)
{
    size_t done = 0;

    if (s->mid_line && s->batch_len > 0)
        s->mid_line = write_some(s->fd, "\n", 1) == 0;
    while (done < s->batch_len) {
        size_t n = write_some(s->fd, s->batch + done, s->batch_len - done);

        if (n == 0) {
            count_lost(s, done);
            break;
        }
        done += n;
        s->mid_line = s->batch[done - 1] != '\n';
    }
    s->batch_len = 0;
    s->batch_notices = s->batch_announced = 0;
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static void reopen(struct log_sink *s)
{
    int fd;

    if (s->path == NULL)
        return;
    fd = open_file(s->path);
    if (fd < 0) {
        int error_number = errno;

        flush_batch(s);
        add_notice(s, "error", "reopen=failed errno=%d", error_number);
        return;
    }
    (void)close(s->fd);
    s->fd = fd;
    s->mid_line = false;
}

/* Takes what is queued, up to a batch, and writes it. False: nothing was there. */
static bool drain_once(struct log_sink *s)
{
    while (take_record(s))
        ;
    /* Looked at after taking: a line queued after log_sink_reopen() goes to the new file. */
    if (atomic_exchange_explicit(&s->reopen_wanted, false, memory_order_acquire))
        reopen(s);
    if (s->batch_len == 0)
        return false;
    flush_batch(s);
    return true;
}

static void wait_for_lines(struct log_sink *s)
{
    struct pollfd woken = {.fd = s->wake_fd, .events = POLLIN};
    uint64_t count;

    if (poll(&woken, 1, POLL_MS) == 1) {
        ssize_t n = read(s->wake_fd, &count, sizeof(count));
        (void)n; /* resets it; how often it was woken does not matter */
    }
}

static void *writer_main(void *arg)
{
    struct log_sink *s = arg;
    uint32_t unannounced;

    for (;;) {
        /* Read before draining: what was queued before the close is then still written. */
        bool closing = atomic_load_explicit(&s->closing, memory_order_acquire);

        if (drain_once(s))
            continue;
        if (closing)
            break;
        wait_for_lines(s);
    }
    unannounced = take_unannounced(s);
    if (unannounced > 0) {
        add_dropped_notice(s, unannounced);
        flush_batch(s);
    }
    return NULL;
}

/* ---- Life ---- */

static size_t ring_cap(size_t wanted)
{
    size_t cap = MIN_CAP_BYTES;

    if (wanted == 0)
        return DEFAULT_CAP_BYTES;
    while (cap < wanted && cap < MAX_CAP_BYTES)
        cap *= 2;
    return cap;
}

/* With every signal blocked: they are for the main thread, and a closed pipe shall be an error of
 * write(2) here, not the end of the program. Returns an errno. */
static int start_writer(struct log_sink *s)
{
    sigset_t all, before;
    int error_number;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error_number = pthread_create(&s->writer, NULL, writer_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error_number == 0) {
        char name[16]; /* the kernel's limit */

        (void)snprintf(name, sizeof(name), "log:%.11s", s->label);
        (void)pthread_setname_np(s->writer, name);
    }
    return error_number;
}

/* Sets fd and path. Standard error and output stay the program's. */
static enum sp_err open_target(struct log_sink *s, const char *path)
{
    if (path == NULL || strcmp(path, "-") == 0) {
        s->fd = path == NULL ? STDERR_FILENO : STDOUT_FILENO;
        return SP_OK;
    }
    s->path = strdup(path);
    if (s->path == NULL)
        return SP_NOMEM;
    s->fd = open_file(path);
    return s->fd < 0 ? SP_SYSCALL : SP_OK;
}

/* Everything but the thread. Each part may be missing. */
static void sink_free(struct log_sink *s)
{
    int error_number = errno;

    if (s->path != NULL && s->fd >= 0)
        (void)close(s->fd);
    if (s->wake_fd >= 0)
        (void)close(s->wake_fd);
    free(s->path);
    free(s->ring);
    free(s);
    errno = error_number; /* log_sink_open() promises it */
}

static enum sp_err sink_start(struct log_sink *s, const struct log_sink_options *options)
{
    enum sp_err err;
    int error_number;

    (void)snprintf(s->label, sizeof(s->label), "%s",
                   options->label != NULL ? options->label : "log");
    s->cap = ring_cap(options->cap_bytes);
    s->ring = calloc(1, s->cap);
    if (s->ring == NULL)
        return SP_NOMEM;
    err = open_target(s, options->path);
    if (err != SP_OK)
        return err;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return SP_SYSCALL;
    error_number = start_writer(s);
    if (error_number != 0) {
        errno = error_number;
        return SP_SYSCALL;
    }
    return SP_OK;
}

enum sp_err log_sink_open(const struct log_sink_options *options, struct log_sink **out)
{
    struct log_sink *s = calloc(1, sizeof(*s));
    enum sp_err err;

    if (s == NULL)
        return SP_NOMEM;
    s->fd = s->wake_fd = -1;
    err = sink_start(s, options);
    if (err != SP_OK) {
        sink_free(s);
        return err;
    }
    *out = s;
    return SP_OK;
}

void log_sink_close(struct log_sink *s)
{
    struct timespec deadline;

    if (s == NULL)
        return;
    atomic_store_explicit(&s->closing, true, memory_order_release);
    wake_writer(s);
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += CLOSE_LIMIT_MS / 1000;
    if (pthread_timedjoin_np(s->writer, NULL, &deadline) == 0) {
        sink_free(s);
        return;
    }
    /* It hangs in write(2): a stopped terminal, a pipe that nobody reads. It may wake up any time,
     * so what it uses stays; the program is about to end anyway. */
    (void)pthread_detach(s->writer);
}
