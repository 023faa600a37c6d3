/* The load generator of the benchmarks, in one thread. Open loop: a unit of work has a time at
 * which it is due, whatever the server does; its latency counts from there, so that a server that
 * stalls cannot hide the requests that it kept from being sent (coordinated omission). */
#pragma once

#include "load_hist.h"

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

enum load_shape {
    LOAD_SHAPE_NOW,      /* each connection sends its ClientHello as soon as it stands */
    LOAD_SHAPE_TOGETHER, /* connections of one batch interval open first, then speak together */
};

struct load_options {
    struct sockaddr_storage target; /* origin: where to listen */
    socklen_t target_len;
    const char *sni, *path;
    double rate; /* per second; 0: closed loop of `connections` */
    double duration_s, warmup_s;
    unsigned connections; /* probe, idle, and the closed loop */
    int64_t deadline_us;  /* a handshake that took longer counts as late */
    enum load_shape shape;
    int64_t batch_us; /* LOAD_SHAPE_TOGETHER: how long connections gather */
    bool resume;      /* offer a session of an earlier connection */
    bool tls12;
    bool frugal;           /* load_frugal.c instead of OpenSSL: full TLS 1.3 handshakes only */
    unsigned max_open;     /* handshakes: more at once are not started */
    const char *samples;   /* file for each single result; NULL: none */
    const char *dir;       /* certs: where the files go */
    unsigned first, count; /* certs: which */
    SSL_CTX *ctx;
};

/* One TLS connection to the target. */
enum load_step {
    LOAD_FREE,
    LOAD_CONNECTING,
    LOAD_GATHERING,
    LOAD_HANDSHAKE,
    LOAD_REQUEST,
    LOAD_RESPONSE,
    LOAD_IDLE
};
enum load_result { LOAD_PENDING, LOAD_DONE, LOAD_FAILED };

struct load_conn;
/* What secures a connection: OpenSSL's client, or a cheap one. All return LOAD_DONE, LOAD_PENDING
 * (wait for the socket) or LOAD_FAILED. */
struct load_secure {
    bool (*open)(struct load_conn *c, const struct load_options *o, SSL_SESSION *session);
    enum load_result (*handshake)(struct load_conn *c);
    enum load_result (*write)(struct load_conn *c, const char *data, size_t len);
    /* DONE: *n > 0 bytes; `dst` has room for a whole record. */
    enum load_result (*read)(struct load_conn *c, char *dst, size_t cap, size_t *n);
    void (*close)(struct load_conn *c, bool clean);
};
extern const struct load_secure load_openssl, load_frugal;

struct load_conn {
    int fd;
    const struct load_secure *secure;
    union {
        SSL *ssl;
        struct load_frugal *frugal;
    };
    enum load_step step;
    int64_t due_us;       /* when this unit of work was to begin */
    int64_t connected_us; /* start of the TCP connect */
    int64_t secured_us;   /* end of the handshake */
    size_t head_len, body_left, body_got;
    bool head_done, gathered, resumed;
    char head[2048];
    struct load_conn *next; /* of a free list or a queue */
};

int64_t load_now_us(void);
/* epoll_wait(2) that sleeps to the microsecond: spinning instead would take the core from the
 * other generators. */
struct epoll_event;
int load_poll(int epoll_fd, struct epoll_event *ready, int cap, int64_t until_us);

/* Non-blocking connect; registered in the epoll set. False: no descriptor or refused at once. */
bool load_conn_open(struct load_conn *c, const struct load_options *o, int epoll_fd,
                    SSL_SESSION *session);
/* Goes as far as it can without waiting. DONE: the handshake (step becomes LOAD_IDLE) or the
 * response is complete. */
enum load_result load_conn_advance(struct load_conn *c, const struct load_options *o);
/* Queues the request on an idle connection. */
void load_conn_request(struct load_conn *c);
void load_conn_close(struct load_conn *c, bool clean);

/* Each result as a line, times in us of CLOCK_MONOTONIC, so that whoever started the generator can
 * relate them to what it did meanwhile. */
bool load_samples_open(FILE **file, const struct load_options *o);
bool load_samples_close(FILE *file); /* NULL is accepted */

int load_handshakes(const struct load_options *o);
int load_probe(const struct load_options *o);
int load_idle(const struct load_options *o);
int load_origin(const struct load_options *o);
int load_certs(const struct load_options *o);
