/* Descriptors in and out of a poll set. */
#include <sallyport/net/event_io.h>

enum sp_err event_io_start(struct event_io *eio, struct poll_descriptor *pd, int fd,
                           enum event_io_kind kind, event_io_ready_fn ready, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = eio};

    if (epoll_ctl(pd->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        return SP_SYSCALL;
    eio->kind = kind;
    eio->fd = fd;
    eio->pd = pd;
    eio->ready = ready;
    return SP_OK;
}

enum sp_err event_io_modify(struct event_io *eio, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = eio};

    return epoll_ctl(eio->pd->epoll_fd, EPOLL_CTL_MOD, eio->fd, &ev) == 0 ? SP_OK : SP_SYSCALL;
}

void event_io_stop(struct event_io *eio)
{
    if (eio->fd < 0)
        return;
    (void)epoll_ctl(eio->pd->epoll_fd, EPOLL_CTL_DEL, eio->fd, NULL);
    eio->fd = -1;
}
