/* Who is let in: what a fresh descriptor has to pass before it is a connection, which thread it
 * starts on, and what it means when accept(2) gives none. */
#include "net_accept_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

enum accept_severity accept_severity_of(int error_number)
{
    switch (error_number) {
    case EAGAIN:
    case EINTR: return ACCEPT_ERROR_IGNORE;
    case ECONNABORTED: /* the peer left while it waited */
    case ECONNRESET:
    case EPIPE:
    /* Errors of the network that Linux passes on through accept(2); "treat them like EAGAIN". */
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM: /* a firewall rule */
    case ETIMEDOUT: return ACCEPT_ERROR_TRANSIENT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return ACCEPT_ERROR_WARN;
    default: return ACCEPT_ERROR_FATAL;
    }
}

/* Is there room for a fresh descriptor? False: `fd` was closed, or the listener shall rest. */
static bool descriptor_ok(struct net_accept *na, int fd, int64_t *pause_ms)
{
    const struct net_throttle *throttle = na->np->core->throttle;
    enum fd_level level = net_throttle_fd_level(throttle, fd);

    if (level == FD_OK)
        return true;
    *pause_ms = net_throttle_pause_ms(throttle, fd);
    METRIC_INC(net_throttled_fd_emergency);
    LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " throttle=%s fd=%d pause_ms=%" PRId64,
                VIEW_ARG(na->options.label),
                level == FD_EMERGENCY ? "fd_emergency" : "fd_hyper_emergency", fd, *pause_ms);
    net_core_relieve(na->np->core);
    if (level == FD_EMERGENCY)
        return true;
    (void)close(fd);
    return false;
}

/* NULL: the descriptor was closed. */
static struct net_vconnection *make_vc(struct net_accept *na, int fd, const union ip_endpoint *peer)
{
    struct net_processor *np = na->np;
    struct net_vconnection *vc;

    net_socket_tune_accepted(fd, &na->options);
    vc = np->ops->allocate_vc(np, net_accept_ref(na), fd);
    if (vc == NULL) {
        LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " err=nomem", VIEW_ARG(na->options.label));
        net_accept_unref(na);
        (void)close(fd);
        return NULL;
    }
    atomic_fetch_add_explicit(&na->connections, 1, memory_order_relaxed);
    vc->remote = *peer;
    vc->client = *peer;
    return vc;
}

bool net_accept_all_refuse(const struct net_accept *na)
{
    struct net_core *core = na->np->core;
    const struct thread_group *group = &core->ep->groups[na->event_type];

    for (int i = 0; i < group->n; i++)
        if (!handshake_shed_refuses(&net_handler_of(core, group->threads[i])->shed))
            return false;
    return true;
}

static bool newcomer_is_shed(const struct net_accept *na)
{
    struct net_handler *nh;

    if (!na->np->ops->begins_with_handshake)
        return false;
    if (na->options.accept.mode != ACCEPT_PER_THREAD) {
        if (!net_accept_all_refuse(na))
            return false;
        METRIC_INC(tls_handshakes_shed);
        return true;
    }
    nh = net_handler_of(na->np->core, this_ethread());
    if (!handshake_shed_refuses(&nh->shed))
        return false;
    net_admission_shed(nh, 1);
    return true;
}

/* Is the client let in? It is counted from here on. False: nothing is; who asks for too many
 * handshakes shall have a reset when `fd` is closed. */
static bool admit(const struct net_accept *na, int fd, const union ip_endpoint *peer)
{
    struct net_core *core = na->np->core;

    if (newcomer_is_shed(na)) {
        net_socket_reset_on_close(fd);
        return false;
    }
    if (net_throttle_admit(core->throttle, peer) != SP_OK)
        return false;
    if (!na->np->ops->begins_with_handshake ||
        handshake_limits_admit(core->handshake_limits, peer) == SP_OK)
        return true;
    net_throttle_release(core->throttle, peer);
    net_socket_reset_on_close(fd);
    return false;
}

/* As if it had not been admitted. */
static void release(const struct net_accept *na, const union ip_endpoint *peer)
{
    net_throttle_release(na->np->core->throttle, peer);
    if (na->np->ops->begins_with_handshake)
        handshake_limits_release(na->np->core->handshake_limits, peer);
}

struct net_vconnection *net_accept_make_vc(struct net_accept *na, int fd, const struct sockaddr *sa,
                                           int64_t *pause_ms)
{
    bool backdoor = na->options.accept.backdoor;
    union ip_endpoint peer;
    struct net_vconnection *vc;

    METRIC_INC(net_accepted);
    ip_endpoint_of(sa, &peer);
    if (!backdoor && !descriptor_ok(na, fd, pause_ms))
        return NULL;
    if (!backdoor && !admit(na, fd, &peer)) {
        (void)close(fd);
        return NULL;
    }
    vc = make_vc(na, fd, &peer);
    if (vc != NULL) {
        vc->throttled = !backdoor;
        vc->handshake_limited = !backdoor && na->np->ops->begins_with_handshake;
    } else if (!backdoor) {
        release(na, &peer);
    }
    return vc;
}

static bool somebody_waits(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

bool net_accept_may_accept(const struct net_accept *na, int fd)
{
    struct net_core *core = na->np->core;

    if (na->options.accept.backdoor || net_throttle_accepting(core->throttle))
        return true;
    if (!somebody_waits(fd))
        return false;
    METRIC_INC(net_throttled_total);
    LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " throttle=total max=%u accepting rests",
                VIEW_ARG(na->options.label), net_throttle_state(core->throttle).max_connections);
    net_core_relieve(core); /* who idles makes room */
    return false;
}

enum accept_severity net_accept_note_error(struct net_accept *na, int fd, int error_number)
{
    enum accept_severity severity = accept_severity_of(error_number);

    /* Somebody else who has the socket was refusing those who wait. */
    if (error_number == EINVAL && net_socket_listen_again(fd, &na->options))
        return ACCEPT_ERROR_IGNORE;
    switch (severity) {
    case ACCEPT_ERROR_IGNORE: break;
    case ACCEPT_ERROR_TRANSIENT: METRIC_INC(net_accept_errors_transient); break;
    case ACCEPT_ERROR_WARN:
        METRIC_INC(net_accept_errors_warn);
        LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " accept errno=%d delayed",
                    VIEW_ARG(na->options.label), error_number);
        net_core_relieve(na->np->core); /* one that goes gives a new one its descriptor */
        break;
    case ACCEPT_ERROR_FATAL:
        METRIC_INC(net_accept_errors_fatal);
        LOG_ERROR(NET, "port=" VIEW_FMT " accept errno=%d listener closed",
                  VIEW_ARG(na->options.label), error_number);
        break;
    }
    return severity;
}

/* May there be one more handshake at all? */
static bool handshakes_have_room(const struct net_accept *na)
{
    return !na->np->ops->begins_with_handshake || na->options.accept.backdoor ||
           handshake_limits_has_room(na->np->core->handshake_limits);
}

bool net_accept_has_room(const struct net_accept *na)
{
    struct net_core *core = na->np->core;
    const struct thread_group *group = &core->ep->groups[na->event_type];

    if (!handshakes_have_room(na))
        return false;
    for (int i = 0; i < group->n; i++)
        if (!net_handler_is_full(net_handler_of(core, group->threads[i])))
            return true;
    return false;
}

static bool takes_handshakes(const struct net_handler *nh)
{
    return !net_handler_is_full(nh) && !handshake_shed_refuses(&nh->shed);
}

/* Only for a connection that is there: a thread that is drawn and not used would upset the round.
 */
struct ethread *net_accept_next_thread(struct net_accept *na)
{
    struct net_core *core = na->np->core;
    struct ethread *t = event_processor_assign(core->ep, na->event_type);

    for (int i = 1; i < core->ep->groups[na->event_type].n; i++) {
        if (takes_handshakes(net_handler_of(core, t)))
            break;
        t = event_processor_assign(core->ep, na->event_type);
    }
    return t;
}

bool net_accept_thread_has_room(const struct net_accept *na, struct ethread *t)
{
    if (na->options.accept.backdoor)
        return true; /* the way in when the rest is full */
    if (na->options.accept.mode != ACCEPT_PER_THREAD)
        return net_accept_has_room(na);
    return handshakes_have_room(na) && !net_handler_is_full(net_handler_of(na->np->core, t));
}
