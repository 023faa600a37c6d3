/* The origin of the benchmarks, HTTP/1.1 with keep-alive and no more:
 *
 *     /           60 bytes
 *     /bytes/N    N zero bytes, by sendfile(2) from memory
 *     /stats      what was served so far, as JSON; is not counted itself
 *
 * A request's body (Content-Length) is thrown away unread, and answered when it is complete, which
 * no common server does. And it counts, so that CPU per request needs no generator's word and
 * excludes warming up. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define BACKLOG    4096
#define FILE_BYTES ((off_t)128 << 20)
#define HEAD_BYTES 8192

struct origin_conn {
    int fd;
    size_t in_len;      /* of in */
    uint64_t body_left; /* of the request that is being thrown away */
    char out[512];      /* what waits for the socket, a head as a rule */
    size_t out_len, out_at;
    off_t file_at, file_end; /* then this part of the file */
    bool counts;             /* the answer in `out` */
    char in[HEAD_BYTES];
};

static const char small_answer[] =
    "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n"
    "a small answer, of just sixty bytes, so that calls dominate\n";
static struct {
    uint64_t requests, bytes_in, bytes_out;
} stats;
static int file_fd;

static void put_head(struct origin_conn *c, long long n_bytes, const char *body)
{
    c->out_len =
        (size_t)snprintf(c->out, sizeof(c->out),
                         "HTTP/1.1 200 OK\r\nServer: origin\r\n"
                         "Content-Type: application/octet-stream\r\nContent-Length: %lld\r\n\r\n%s",
                         n_bytes, body);
}

static void put_stats(struct origin_conn *c)
{
    char body[128];
    int len =
        snprintf(body, sizeof(body), "{\"requests\": %lu, \"bytes_in\": %lu, \"bytes_out\": %lu}",
                 stats.requests, stats.bytes_in, stats.bytes_out);

    c->counts = false;
    put_head(c, len, body);
}

/* "/bytes/N HTTP/1.1"; -1: another path. */
static long long wanted_bytes(const char *path)
{
    static const char prefix[] = "/bytes/";
    long long n;
    char *end;

    if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
        return -1;
    n = strtoll(path + sizeof(prefix) - 1, &end, 10);
    return *end == ' ' && n <= FILE_BYTES ? n : -1;
}

static void respond(struct origin_conn *c, const char *path)
{
    long long n_bytes = wanted_bytes(path);

    c->out_at = 0;
    c->file_at = c->file_end = 0;
    c->counts = true;
    if (path[1] == ' ') {
        memcpy(c->out, small_answer, sizeof(small_answer) - 1);
        c->out_len = sizeof(small_answer) - 1;
    } else if (n_bytes >= 0) {
        c->file_end = n_bytes;
        put_head(c, n_bytes, "");
    } else {
        put_stats(c);
    }
}

/* Prepares the answer if the head is complete. False: the connection is over. The request line is
 * trusted: this origin's clients are proxies. */
static bool take_head(struct origin_conn *c)
{
    char *end, *field, *path;
    size_t head_len, body_here;

    c->in[c->in_len] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return c->in_len + 1 < sizeof(c->in);
    end[2] = '\0';
    head_len = (size_t)(end - c->in) + 4;
    field = strcasestr(c->in, "\r\ncontent-length:");
    c->body_left = field == NULL ? 0 : strtoull(field + 17, NULL, 10);
    path = strchr(c->in, ' ');
    if (path == NULL || strcasestr(c->in, "\r\ntransfer-encoding:") != NULL)
        return false;
    respond(c, path + 1);
    body_here = c->in_len - head_len < c->body_left ? c->in_len - head_len : c->body_left;
    c->body_left -= body_here;
    stats.bytes_in += body_here;
    c->in_len -= head_len + body_here;
    memmove(c->in, c->in + head_len + body_here, c->in_len);
    return true;
}

/* recv(2) with MSG_TRUNC discards in the kernel (tcp(7)). */
static ssize_t receive(struct origin_conn *c)
{
    ssize_t n;

    if (c->body_left == 0)
        return recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len, 0);
    // cppcheck-suppress nullPointer
    n = recv(c->fd, NULL, c->body_left < 1 << 20 ? c->body_left : 1 << 20, MSG_TRUNC);
    if (n > 0) {
        c->body_left -= (uint64_t)n;
        stats.bytes_in += (uint64_t)n;
    }
    return n;
}

/* 1: all is sent; 0: the socket is full; -1: the end. */
static int transmit(struct origin_conn *c)
{
    int more = c->file_at < c->file_end ? MSG_MORE : 0;
    ssize_t n;

    while (c->out_at < c->out_len) {
        n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | more);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->out_at += (size_t)n;
    }
    while (c->file_at < c->file_end) {
        n = sendfile(c->fd, file_fd, &c->file_at, (size_t)(c->file_end - c->file_at));
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 0 : -1;
        stats.bytes_out += (uint64_t)n;
    }
    stats.requests += c->counts;
    c->out_len = 0;
    return 1;
}

/* Edge-triggered: goes on until the socket has, or takes, no more. False: the end. */
static bool serve(struct origin_conn *c)
{
    for (;;) {
        if (c->out_len > 0 && c->body_left == 0) {
            int sent = transmit(c);

            if (sent <= 0)
                return sent == 0;
        } else {
            ssize_t n = receive(c);

            if (n <= 0)
                return n < 0 && errno == EAGAIN;
            if (c->out_len > 0)
                continue; /* it was body */
            c->in_len += (size_t)n;
        }
        if (c->in_len > 0 && !take_head(c))
            return false;
    }
}

static void accept_all(int listen_fd, int epoll_fd)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int fd, one = 1;

    // cppcheck-suppress nullPointer
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct origin_conn *c = calloc(1, sizeof(*c));

        ev.data.ptr = c;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (c == NULL || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
            free(c);
            (void)close(fd);
            continue;
        }
        c->fd = fd;
    }
}

static int listen_on(const struct load_options *o)
{
    int fd = socket(o->target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&o->target, o->target_len) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    perror("listen");
    (void)close(fd);
    return -1;
}

static void run(int listen_fd, int epoll_fd)
{
    struct epoll_event ready[256];

    for (;;) {
        int n = epoll_wait(epoll_fd, ready, 256, -1);

        for (int i = 0; i < n; i++) {
            struct origin_conn *c = ready[i].data.ptr;

            if (c == NULL) {
                accept_all(listen_fd, epoll_fd);
            } else if (!serve(c)) {
                (void)close(c->fd);
                free(c);
            }
        }
    }
}

/* Until it is killed. */
int load_origin(const struct load_options *o)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    int listen_fd = listen_on(o), epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    (void)signal(SIGPIPE, SIG_IGN); /* sendfile(2) has no MSG_NOSIGNAL */
    file_fd = memfd_create("origin", MFD_CLOEXEC);
    if (listen_fd < 0 || epoll_fd < 0 || file_fd < 0 || fallocate(file_fd, 0, 0, FILE_BYTES) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev) != 0)
        return 1;
    run(listen_fd, epoll_fd);
    return 0;
}
