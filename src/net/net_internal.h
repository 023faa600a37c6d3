/* Shared by the files of this folder only. */
#pragma once

#include <sallyport/net/net_accept.h>
#include <sallyport/net/net_core.h>
#include <sallyport/net/net_processor.h>

enum vc_alive { VC_GONE, VC_ALIVE };
/* Runs the continuation. On VC_GONE the caller returns: `vc` waits for the reaper. */
SP_MUST_CHECK static inline enum vc_alive
net_vc_signal(struct net_vconnection *vc, struct continuation *c, int event, void *data)
{
    (void)continuation_call(c, event, data);
    return vc->closed ? VC_GONE : VC_ALIVE;
}

/* Who is told what concerns the connection as a whole; NULL: nobody yet. */
static inline struct continuation *net_vc_user(const struct net_vconnection *vc)
{
    if (vc->read.vio.cont != NULL)
        return vc->read.vio.cont;
    return vc->write.vio.cont != NULL ? vc->write.vio.cont : vc->cont;
}

/* One step of a direction of an open connection (net_io.c). Each may close it. */
void net_vc_read_step(struct net_vconnection *vc);
void net_vc_write_step(struct net_vconnection *vc);
/* The socket takes no more at the moment: wait for EPOLLOUT. */
void net_vc_wait_writable(struct net_vconnection *vc);
/* May a read step get anything? */
static inline bool net_vc_can_read(const struct net_vconnection *vc)
{
    return vc->read.triggered || vc->socket_failed || vc->ops->pending(vc);
}

/* Where a thread's storage holds its struct net_handler *: the first allocation of all, so that the
 * turn finds it without knowing the core. */
#define NET_HANDLER_OFFSET ((size_t)0)
void net_handler_close_all(struct net_handler *nh);

/* The thread ends: whoever waits for a name is told so. Then, without a word, what is left. Both
 * accept NULL. */
void net_dns_end(struct net_dns *dns);
void net_dns_free(struct net_dns *dns);

/* Readiness of a connection (net_handler.c): the ready function of its event_io. */
void net_vc_ready(struct event_io *eio, uint32_t events);
/* Step 5 of a turn (net_admission.c). */
void net_admission_init(struct net_handler *nh);
void net_handshakes_run(struct net_handler *nh);
/* Does one wait that may have its turn now? */
bool net_handshakes_wait(const struct net_handler *nh);
/* The next step of one costs cryptography: it waits, or is refused. */
void net_handshake_wants_turn(struct net_vconnection *vc);
/* So many newcomers of this thread are refused on account of handshake_shed.h: counts them. */
void net_admission_shed(struct net_handler *nh, uint32_t n);
/* For those who look at this thread from another; at the end of a turn. */
void net_handshakes_publish(struct net_handler *nh);
/* One step of the handshake (net_handshake.c), and what comes when it is done: another thread, or
 * the user. */
void net_vc_handshake_step(struct net_vconnection *vc);
void net_vc_deliver(struct net_vconnection *vc);
/* Those whose handshake this turn has finished, to their data threads. */
void net_handshakes_hand_over(struct net_handler *nh);
/* A connecting socket became ready: queues only. The step tells the user (net_connect.c). */
void net_connect_ready(struct net_vconnection *vc);
void net_connect_step(struct net_vconnection *vc);
/* An outgoing connection is usable, its handshake included; or will not be, and is closed. Either
 * way its user is told. */
void net_connect_usable(struct net_vconnection *vc);
void net_connect_failed(struct net_vconnection *vc, enum sp_err err, int error_number);
/* It counts no longer in the limits of handshakes. Harmless when it does not. */
void net_vc_handshake_over(struct net_vconnection *vc);
/* A handshake, of either side, came to nothing. */
void net_vc_handshake_failed(struct net_vconnection *vc, enum sp_err err, enum vc_close how);

/* The timers of a connection (inactivity_cop.c). */
void inactivity_cop_init(struct net_vconnection *vc);
void inactivity_cop_arm(struct net_vconnection *vc);    /* joined a thread */
void inactivity_cop_disarm(struct net_vconnection *vc); /* leaves it */
static inline void inactivity_cop_stamp(struct net_vconnection *vc)
{
    vc->last_activity_ms = ethread_now_ms(vc->thread);
}

/* The keep-alive and active queues (net_queue.c). */
void net_handler_init_queues(struct net_handler *nh);
/* Out of the keep-alive or active queue. */
void net_vc_leave_queue(struct net_vconnection *vc);

/* Accepts what waits, at most as many as the listener's bound (net_accept_slot.c). */
void net_accept_slot_run(struct net_accept_slot *slot);

/* net_socket.c. On failure *what names the call, errno is set, and -1 is returned. */
int net_socket_listen(const struct net_accept_options *options, bool reuse_port,
                      struct endpoint *bound, const char **what);
/* A descriptor of our own of an open listening socket, which has to be bound to `bound`. */
int net_socket_inherit(int fd, const struct endpoint *bound, const char **what);
/* Such a socket gets the options, those that are off included; what the system refuses is logged.
 * What the system decides by itself (buffer sizes, congestion control) stays where it was set. */
void net_socket_retune(int fd, const struct net_accept_options *options);
/* What every accepted socket gets. Best effort: what the system refuses is logged once. */
void net_socket_tune_accepted(int fd, const struct net_accept_options *options);
/* Can those who wait in its queue be refused together? The socket does not listen for a moment
 * then, so not where anybody could take the port meanwhile (ip_unprivileged_port_start in ip(7)),
 * or where the system or somebody else chose it. Reads a file: not on a net thread. */
bool net_socket_can_refuse(const struct net_accept_options *options);
/* A reset for each connection that waits to be accepted, without a descriptor for any. Whoever
 * connects in the same moment is refused as well, and accept(2) of who shares the socket may fail
 * with EINVAL. How many; -1: errno, and it may take net_socket_listen_again() to go on. */
int net_socket_refuse_waiting(int fd, const struct net_accept_options *options);
/* After that EINVAL. False: it is no such socket. */
bool net_socket_listen_again(int fd, const struct net_accept_options *options);
/* RST instead of FIN. */
void net_socket_reset_on_close(int fd);
int net_socket_connect(const struct net_connect_options *options, const char **what);
