/* Connections secured by tls13_client.h: for floods that one core has to bring about. */
#include "load.h"
#include "tls13_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What a handshake's flight or a small response needs; a larger record is read in a larger one. */
enum { IN_FIRST = 4096, REQUEST_MAX = 1024, FINISHED_MAX = 64 };

struct load_frugal {
    struct tls13_client tls;
    uint8_t *in;
    size_t in_len, in_cap;
    uint8_t finished[FINISHED_MAX]; /* leaves with the first request */
    size_t finished_len;
    bool hello_sent;
};

static bool frugal_open(struct load_conn *c, const struct load_options *o, SSL_SESSION *session)
{
    struct load_frugal *f = calloc(1, sizeof(*f));

    (void)o;
    (void)session;
    if (f == NULL)
        return false;
    tls13_client_init(&f->tls);
    c->frugal = f;
    return true;
}

static void frugal_close(struct load_conn *c, bool clean)
{
    uint8_t bye[2 + TLS13_OVERHEAD] = {0};

    if (clean)
        (void)send(c->fd, bye, tls13_client_bye(&c->frugal->tls, bye), MSG_NOSIGNAL);
    free(c->frugal->in);
    free(c->frugal);
}

static enum load_result send_all(int fd, const uint8_t *data, size_t len)
{
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

    if (n == (ssize_t)len)
        return LOAD_DONE;
    return n < 0 && (errno == EAGAIN || errno == ENOTCONN) ? LOAD_PENDING : LOAD_FAILED;
}

static bool make_room(struct load_frugal *f)
{
    size_t cap = f->in_cap == 0 ? IN_FIRST : TLS13_IN_MAX;
    uint8_t *in;

    if (f->in_len < f->in_cap)
        return true;
    if (f->in_cap == TLS13_IN_MAX)
        return false;
    in = realloc(f->in, cap);
    if (in == NULL)
        return false;
    f->in = in;
    f->in_cap = cap;
    return true;
}

static enum load_result fill(struct load_conn *c)
{
    struct load_frugal *f = c->frugal;
    ssize_t n;

    if (!make_room(f))
        return LOAD_FAILED;
    n = recv(c->fd, f->in + f->in_len, f->in_cap - f->in_len, 0);
    if (n > 0) {
        f->in_len += (size_t)n;
        return LOAD_DONE;
    }
    return n < 0 && errno == EAGAIN ? LOAD_PENDING : LOAD_FAILED;
}

/* The next event that is not nothing. `dst` takes a record's data; where none can come it is NULL,
 * with a `cap` of 0. */
static enum load_result next_event(struct load_conn *c, enum tls13_event *event, char *dst,
                                   size_t cap, size_t *n)
{
    struct load_frugal *f = c->frugal;
    enum load_result result;

    for (;;) {
        size_t used, len = 0;
        uint8_t *data = NULL;

        *event = tls13_client_take(&f->tls, f->in, f->in_len, &used, &data, &len);
        if (*event == TLS13_FAILED || len > cap)
            return LOAD_FAILED;
        if (dst != NULL && data != NULL && *event == TLS13_DATA)
            memcpy(dst, data, len);
        *n = len;
        if (used > 0)
            memmove(f->in, f->in + used, f->in_len -= used);
        if (*event == TLS13_SECURED || (*event == TLS13_DATA && len > 0))
            return LOAD_DONE;
        if (*event == TLS13_MORE && (result = fill(c)) != LOAD_DONE)
            return result;
    }
}

static enum load_result frugal_handshake(struct load_conn *c)
{
    struct load_frugal *f = c->frugal;
    enum tls13_event event;
    enum load_result result;
    size_t len, n;

    if (!f->hello_sent) {
        const uint8_t *hello = tls13_client_hello(&len);

        result = send_all(c->fd, hello, len);
        f->hello_sent = result == LOAD_DONE;
        if (result != LOAD_DONE)
            return result;
    }
    result = next_event(c, &event, NULL, 0, &n);
    if (result != LOAD_DONE)
        return result;
    f->finished_len = tls13_client_finish(&f->tls, f->finished);
    return f->finished_len > 0 ? LOAD_DONE : LOAD_FAILED;
}

static enum load_result frugal_write(struct load_conn *c, const char *data, size_t len)
{
    struct load_frugal *f = c->frugal;
    uint8_t out[FINISHED_MAX + REQUEST_MAX + TLS13_OVERHEAD];
    size_t n = f->finished_len;

    if (len > REQUEST_MAX)
        return LOAD_FAILED;
    memcpy(out, f->finished, n);
    f->finished_len = 0;
    n += tls13_client_seal(&f->tls, data, len, out + n);
    return send_all(c->fd, out, n) == LOAD_DONE ? LOAD_DONE : LOAD_FAILED;
}

static enum load_result frugal_read(struct load_conn *c, char *dst, size_t cap, size_t *n)
{
    enum tls13_event event;

    return next_event(c, &event, dst, cap, n);
}

const struct load_secure load_frugal = {
    .open = frugal_open,
    .handshake = frugal_handshake,
    .write = frugal_write,
    .read = frugal_read,
    .close = frugal_close,
};
