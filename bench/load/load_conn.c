/* One TLS client connection as a small state machine. */
#include "load.h"

#include <openssl/err.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The macro casts const away. */
static void set_host_name(SSL *ssl, const char *name)
{
    char copy[256];

    (void)snprintf(copy, sizeof(copy), "%s", name);
    (void)SSL_set_tlsext_host_name(ssl, copy);
}

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
    c->ssl = SSL_new(o->ctx);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
        goto free_ssl;
    set_host_name(c->ssl, o->sni);
    if (session != NULL)
        (void)SSL_set_session(c->ssl, session);
    SSL_set_connect_state(c->ssl);
    c->step = LOAD_CONNECTING;
    c->resumed = c->head_done = c->gathered = false;
    c->head_len = 0;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) == 0)
        return true;

free_ssl:
    SSL_free(c->ssl);
    c->ssl = NULL;
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

static enum load_result ssl_result(struct load_conn *c, int rc)
{
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return LOAD_PENDING;
    default: ERR_clear_error(); return LOAD_FAILED;
    }
}

static enum load_result do_handshake(struct load_conn *c)
{
    int rc = SSL_do_handshake(c->ssl);

    if (rc != 1)
        return ssl_result(c, rc);
    c->secured_us = load_now_us();
    c->resumed = SSL_session_reused(c->ssl) == 1;
    c->step = LOAD_IDLE;
    return LOAD_DONE;
}

static enum load_result do_request(struct load_conn *c, const struct load_options *o)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", o->path, o->sni);
    int rc = SSL_write(c->ssl, text, len);

    if (rc != len)
        return ssl_result(c, rc);
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
        int rc = SSL_read(c->ssl, dst, (int)cap);
        enum load_result result;

        if (rc <= 0)
            return ssl_result(c, rc);
        result = response_step(c, (size_t)rc);
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
        char byte;
        int rc = SSL_read(c->ssl, &byte, 1);

        return rc > 0 ? LOAD_FAILED : ssl_result(c, rc);
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
    if (clean)
        (void)SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    ERR_clear_error();
    if (!clean) /* no TIME_WAIT: thousands a second would use up the ports */
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(c->fd);
    c->ssl = NULL;
    c->fd = -1;
    c->step = LOAD_FREE;
}
