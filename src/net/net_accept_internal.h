/* Among the net_accept*.c: the listener, its slots, its threads, and who is let in. */
#pragma once

#include "net_internal.h"

/* The connection of a fresh descriptor, past every throttle. NULL: it was closed. *pause_ms > 0:
 * the listener shall rest that long. */
struct net_vconnection *net_accept_make_vc(struct net_accept *na, int fd, const struct sockaddr *sa,
                                           int64_t *pause_ms);
/* False: the total is reached, do not even call accept(2). If somebody waits on the listening `fd`
 * then, idle connections are asked to make room. */
bool net_accept_may_accept(const struct net_accept *na, int fd);
/* Does any thread of the group take another connection now? */
bool net_accept_has_room(const struct net_accept *na);
/* Does this one, or, when it would pass it on, any other? */
bool net_accept_thread_has_room(const struct net_accept *na, struct ethread *t);
/* Does every thread that could have a newcomer refuse it? */
bool net_accept_all_refuse(const struct net_accept *na);
/* accept(2) will never work again: tells the user, the first time. */
void net_accept_broken(struct net_accept *na);
/* Counts and logs what accept(2) of `fd` said; a socket that does not listen is made to, if it can.
 */
enum accept_severity net_accept_note_error(struct net_accept *na, int fd, int error_number);

/* Whoever accepts on the shared descriptor holds it; the last one closes it, so that nobody can
 * connect any more, while the listener itself lives as long as its connections. */
static inline void net_accept_hold_fd(struct net_accept *na)
{
    atomic_fetch_add_explicit(&na->fd_users, 1, memory_order_relaxed);
}
void net_accept_release_fd(struct net_accept *na);

/* For a connection that starts on another thread than the one that accepted it. */
struct ethread *net_accept_next_thread(struct net_accept *na);

/* Not in any poll set yet: it is posted to its thread (`start`), and so is its end (`stop`). */
void net_accept_slot_init(struct net_accept_slot *slot, struct net_accept *na, struct ethread *t,
                          int fd, bool owns_fd);

/* The threads are made and wait for net_accept_begin_dedicated(). */
enum sp_err net_accept_open_dedicated(struct net_accept *na) SP_MUST_CHECK;
void net_accept_begin_dedicated(struct net_accept *na);
void net_accept_stop_dedicated(struct net_accept *na);
