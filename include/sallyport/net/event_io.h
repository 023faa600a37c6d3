/* A descriptor in a poll set, and who is told when it is ready. */
#pragma once

#include <sallyport/base/err.h>

#include <stdint.h>
#include <sys/epoll.h>

#define POLL_DESCRIPTOR_EVENTS 1024

/* One epoll instance and the batch that was fetched last. */
struct poll_descriptor {
    int epoll_fd;
    int n_ready;
    struct epoll_event ready[POLL_DESCRIPTOR_EVENTS];
};

enum event_io_kind {
    EVENT_IO_ACCEPT,       /* a listener */
    EVENT_IO_VC,           /* a connection, read and write, edge-triggered */
    EVENT_IO_DNS,          /* a resolver's socket */
    EVENT_IO_ASYNC_SIGNAL, /* the thread's eventfd */
};

struct event_io;
/* Only marks and queues; nothing of the owner's user runs in here. */
typedef void (*event_io_ready_fn)(struct event_io *eio, uint32_t epoll_events);

struct event_io {
    enum event_io_kind kind;
    int fd; /* borrowed; -1: not in a poll set */
    struct poll_descriptor *pd;
    event_io_ready_fn ready;
};

/* `events` as in epoll_ctl(2). The memory must stay until the end of the turn in which
 * event_io_stop() was called: the batch may still hold a pointer to it. */
enum sp_err event_io_start(struct event_io *eio, struct poll_descriptor *pd, int fd,
                           enum event_io_kind kind, event_io_ready_fn ready, uint32_t events)
    SP_MUST_CHECK;
enum sp_err event_io_modify(struct event_io *eio, uint32_t events) SP_MUST_CHECK;
/* Before close(2). Harmless when not started. */
void event_io_stop(struct event_io *eio);
/* The same for a descriptor that is closed next, which takes it out of the poll set (epoll(7), as
 * nobody has another one of the same file). */
static inline void event_io_closing(struct event_io *eio)
{
    eio->fd = -1;
}
