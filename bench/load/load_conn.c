/* One TLS client connection as a small state machine. */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

bool load_conn_open(struct load_conn *c, const struct load_options *o, int epoll_fd,
                    SSL_SESSION *session)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c};
    int one = 1;

    c->connected_us = load_now_us();
    c->fd = socket(o->target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, (const struct sockaddr *)&o->target, o->target_len) != 0 &&
        errno != EINPROGRESS)
        goto close_fd;
    c->secure = o->frugal ? &load_frugal : &load_openssl;
    if (!c->secure->open(c, o, session))
        goto close_fd;
    c->step = LOAD_CONNECTING;
    c->resumed = c->head_done = c->gathered = false;
    c->head_len = 0;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) == 0)
        return true;

    c->secure->close(c, false);
close_fd:
    (void)close(c->fd);
    c->fd = -1;
    return false;
}

void load_conn_request(struct load_conn *c)
{
    c->step = LOAD_REQUEST;
    c->head_len = 0;
    c->head_done = false;
    c->body_left = 0;
    c->body_got = 0;
}

static enum load_result do_handshake(struct load_conn *c)
{
    enum load_result result = c->secure->handshake(c);

    if (result != LOAD_DONE)
        return result;
    c->secured_us = load_now_us();
    c->step = LOAD_IDLE;
    return LOAD_DONE;
}

static enum load_result do_request(struct load_conn *c, const struct load_options *o)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", o->path, o->sni);
    enum load_result result = c->secure->write(c, text, (size_t)len);

    if (result != LOAD_DONE)
        return result;
    c->step = LOAD_RESPONSE;
    return LOAD_PENDING;
}

/* Content-Length is all that the benchmark's origin sends. */
static bool parse_head(struct load_conn *c)
{
    char *end, *field;

    c->head[c->head_len] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL)
        return false;
    c->head_done = true;
    c->body_got = c->head_len - (size_t)(end + 4 - c->head);
    field = strcasestr(c->head, "\r\ncontent-length:");
    c->body_left = field == NULL ? 0 : strtoul(field + 17, NULL, 10);
    return true;
}

static enum load_result response_step(struct load_conn *c, size_t n)
{
    if (c->head_done) {
        c->body_got += n;
    } else {
        c->head_len += n;
        if (!parse_head(c))
            return c->head_len + 1 >= sizeof(c->head) ? LOAD_FAILED : LOAD_PENDING;
        if (strncmp(c->head, "HTTP/1.1 200", 12) != 0)
            return LOAD_FAILED;
    }
    if (c->body_got < c->body_left)
        return LOAD_PENDING;
    c->step = LOAD_IDLE;
    return LOAD_DONE;
}

static enum load_result do_response(struct load_conn *c)
{
    static char scrap[65536];

    for (;;) {
        char *dst = c->head_done ? scrap : c->head + c->head_len;
        size_t cap = c->head_done ? sizeof(scrap) : sizeof(c->head) - 1 - c->head_len;
        size_t n = 0;
        enum load_result result = c->secure->read(c, dst, cap, &n);

        if (result != LOAD_DONE)
            return result;
        result = response_step(c, n);
        if (result != LOAD_PENDING)
            return result;
    }
}

enum load_result load_conn_advance(struct load_conn *c, const struct load_options *o)
{
    enum load_result result = LOAD_PENDING;
    int error_number = 0;
    socklen_t len = sizeof(error_number);

    switch (c->step) {
    case LOAD_CONNECTING:
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error_number, &len) != 0 || error_number != 0)
            return LOAD_FAILED;
        c->step = o->shape == LOAD_SHAPE_TOGETHER ? LOAD_GATHERING : LOAD_HANDSHAKE;
        return c->step == LOAD_HANDSHAKE ? do_handshake(c) : LOAD_PENDING;
    case LOAD_HANDSHAKE: return do_handshake(c);
    case LOAD_REQUEST:
        result = do_request(c, o);
        return result == LOAD_PENDING && c->step == LOAD_RESPONSE ? do_response(c) : result;
    case LOAD_RESPONSE: return do_response(c);
    case LOAD_IDLE: { /* a ticket, or the end */
        char scrap[16384];
        size_t n = 0;

        result = c->secure->read(c, scrap, sizeof(scrap), &n);
        return result == LOAD_DONE ? LOAD_FAILED : result;
    }
    case LOAD_FREE:
    case LOAD_GATHERING: break;
    }
    return result;
}

void load_conn_close(struct load_conn *c, bool clean)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (c->step == LOAD_FREE)
        return;
    c->secure->close(c, clean);
    if (!clean) /* no TIME_WAIT: thousands a second would use up the ports */
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(c->fd);
    c->fd = -1;
    c->step = LOAD_FREE;
}
