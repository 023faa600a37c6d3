/* Sockets and their options: the only file that calls socket(2), bind(2), listen(2), connect(2) and
 * setsockopt(2). What an option of accept_options does to a socket is found here. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A buffer that the system refuses is halved until it is taken; below this it is left alone. */
#define MIN_BUFFER_BYTES 4096

static bool set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static void set_buffer(int fd, int option, uint32_t bytes)
{
    while (bytes >= MIN_BUFFER_BYTES && !set_int(fd, SOL_SOCKET, option, (int)bytes))
        bytes /= 2;
}

static void warn_option(const char *name, const struct net_accept_options *options)
{
    LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " option=%s errno=%d", VIEW_ARG(options->label), name,
                errno);
}

static bool is_ip(const struct endpoint *e)
{
    return e->sa.sa_family == AF_INET || e->sa.sa_family == AF_INET6;
}

static bool set_tos(int fd, int family, uint32_t tos)
{
    if (family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, (int)tos))
        return false;
    return set_int(fd, IPPROTO_IP, IP_TOS, (int)tos) || family == AF_INET6;
}

/* What a listener hands down to the sockets that it accepts (tcp(7), socket(7)): before bind, and
 * what is off need not be said; or later, and then it has to be (`anew`). */
static void tune_tcp(int fd, const struct net_accept_options *options, bool anew)
{
    const struct accept_options *a = &options->accept;

    if ((a->tcp_nodelay || anew) && !set_int(fd, IPPROTO_TCP, TCP_NODELAY, a->tcp_nodelay))
        warn_option("tcp_nodelay", options);
    if ((a->tcp_keepalive_s != 0 || anew) &&
        !(set_int(fd, SOL_SOCKET, SO_KEEPALIVE, a->tcp_keepalive_s != 0) &&
          (a->tcp_keepalive_s == 0 ||
           set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)a->tcp_keepalive_s))))
        warn_option("tcp_keepalive", options);
    if ((a->notsent_lowat_bytes != 0 || anew) &&
        !set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)a->notsent_lowat_bytes))
        warn_option("notsent_lowat", options);
    if ((a->defer_accept_s != 0 || anew) &&
        !set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, (int)a->defer_accept_s))
        warn_option("defer_accept", options);
    if ((a->fast_open != 0 || anew) && !set_int(fd, IPPROTO_TCP, TCP_FASTOPEN, (int)a->fast_open))
        warn_option("fast_open", options);
    if (a->congestion.len != 0 && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, a->congestion.p,
                                             (socklen_t)a->congestion.len) != 0)
        warn_option("congestion", options);
}

static void tune_listener(int fd, const struct net_accept_options *options, bool anew)
{
    const struct accept_options *a = &options->accept;
    int family = options->endpoint.sa.sa_family;
    int mark = 0;
    socklen_t len = sizeof(mark);

    set_buffer(fd, SO_RCVBUF, a->recv_buffer_bytes);
    set_buffer(fd, SO_SNDBUF, a->send_buffer_bytes);
    if (!is_ip(&options->endpoint))
        return;
    tune_tcp(fd, options, anew);
    /* Only who may set a mark may take it off, so that is tried where there is one. */
    if (anew)
        (void)getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len);
    if ((a->mark != 0 || mark != 0) && !set_int(fd, SOL_SOCKET, SO_MARK, (int)a->mark))
        warn_option("mark", options);
    if ((a->tos != 0 || anew) && !set_tos(fd, family, a->tos))
        warn_option("tos", options);
}

/* Where binding would mean something else without it, so a refusal is an error. */
static bool require_options(int fd, const struct net_accept_options *options, bool reuse_port,
                            const char **what)
{
    const struct accept_options *a = &options->accept;
    int family = options->endpoint.sa.sa_family;

    *what = "SO_REUSEADDR";
    if (is_ip(&options->endpoint) && !set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        return false;
    *what = "SO_REUSEPORT";
    if (reuse_port && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        return false;
    *what = "IPV6_V6ONLY"; /* "[::]" is both families, whatever the system's default */
    if (family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                                       !IN6_IS_ADDR_UNSPECIFIED(&options->endpoint.in6.sin6_addr)))
        return false;
    *what = "IP_TRANSPARENT";
    if (a->transparent && !(family == AF_INET6 ? set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
                                               : set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1)))
        return false;
    return true;
}

static struct endpoint address_to_bind(const struct net_accept_options *options)
{
    struct endpoint e = options->endpoint;

    if (options->accept.localhost_only && e.sa.sa_family == AF_INET)
        e.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (options->accept.localhost_only && e.sa.sa_family == AF_INET6)
        e.in6.sin6_addr = in6addr_loopback;
    return e;
}

/* A socket file that nobody listens on any more is in the way of bind(2). One that is in use, or
 * that is no socket, stays. */
static void remove_stale_unix(const struct endpoint *e)
{
    struct stat st;
    int fd;

    if (lstat(e->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* its queue may be full */
    if (fd < 0)
        return;
    if (connect(fd, &e->sa, e->len) != 0 && errno == ECONNREFUSED)
        (void)unlink(e->un.sun_path);
    (void)close(fd);
}

#define LOOKUP_BYTES 4096

static bool lookup_group(const char *name, gid_t *gid)
{
    struct group entry, *found = NULL;
    char buffer[LOOKUP_BYTES];

    if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
        return false;
    *gid = found->gr_gid;
    return true;
}

static bool lookup_user(const char *name, uid_t *uid)
{
    struct passwd entry, *found = NULL;
    char buffer[LOOKUP_BYTES];

    if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
        return false;
    *uid = found->pw_uid;
    return true;
}

/* "user", "user:group" or ":group". Reads files: not on a net thread. */
static bool lookup_owner(struct view text, uid_t *uid, gid_t *gid)
{
    char name[128];
    char *group;

    *uid = (uid_t)-1;
    *gid = (gid_t)-1;
    if (text.len >= sizeof(name))
        return false;
    memcpy(name, text.p, text.len);
    name[text.len] = '\0';
    group = strchr(name, ':');
    if (group != NULL)
        *group++ = '\0';
    return (group == NULL || lookup_group(group, gid)) &&
           (name[0] == '\0' || lookup_user(name, uid));
}

static bool set_unix_access(const struct net_accept_options *options, const char **what)
{
    const char *path = options->endpoint.un.sun_path;
    uid_t uid;
    gid_t gid;

    *what = "chmod";
    if (chmod(path, (mode_t)options->accept.unix_mode) != 0)
        return false;
    if (options->accept.unix_owner.len == 0)
        return true;
    *what = "owner of the socket file";
    errno = EINVAL;
    return lookup_owner(options->accept.unix_owner, &uid, &gid) && chown(path, uid, gid) == 0;
}

static bool bind_and_listen(int fd, const struct net_accept_options *options, bool reuse_port,
                            const char **what)
{
    struct endpoint e = address_to_bind(options);
    bool is_unix = e.sa.sa_family == AF_UNIX;

    if (!require_options(fd, options, reuse_port, what))
        return false;
    tune_listener(fd, options, false);
    if (is_unix)
        remove_stale_unix(&e);
    *what = "bind";
    if (bind(fd, &e.sa, e.len) != 0)
        return false;
    if (is_unix && !set_unix_access(options, what))
        return false;
    *what = "listen";
    return listen(fd, (int)options->accept.backlog) == 0;
}

static void read_bound(int fd, struct endpoint *bound)
{
    memset(bound, 0, sizeof(*bound));
    bound->len = sizeof(bound->storage);
    if (getsockname(fd, &bound->sa, &bound->len) != 0)
        bound->len = 0;
}

/* A descriptor that was bound for us: socket activation, or a binary upgrade. */
static int take_over(const struct net_accept_options *options, struct endpoint *bound,
                     const char **what)
{
    int fd = options->accept.fd;
    int listening = 0;
    socklen_t len = sizeof(listening);

    *what = "the descriptor given is not a listening socket";
    errno = EINVAL;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || listening == 0)
        return -1;
    *what = "fcntl";
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* ours to close; the original stays as it is */
    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        (void)close(fd);
        return -1;
    }
    tune_listener(fd, options, false);
    read_bound(fd, bound);
    return fd;
}

int net_socket_listen(const struct net_accept_options *options, bool reuse_port,
                      struct endpoint *bound, const char **what)
{
    int fd, saved;

    if (options->accept.fd >= 0)
        return take_over(options, bound, what);
    *what = "socket";
    fd = socket(options->endpoint.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!bind_and_listen(fd, options, reuse_port, what)) {
        saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    read_bound(fd, bound);
    return fd;
}

static bool is_bound_to(int fd, const struct endpoint *bound)
{
    struct endpoint found;

    read_bound(fd, &found);
    return found.len == bound->len && memcmp(&found.storage, &bound->storage, found.len) == 0;
}

/* Looked at once it is ours: the other listener may have broken down and its number be another's
 * by now. */
int net_socket_inherit(int fd, const struct endpoint *bound, const char **what)
{
    int listening = 0;
    socklen_t len = sizeof(listening);

    *what = "the listener that is open";
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -1;
    /* It may refuse those who wait at this moment, and not listen for as long. */
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
        is_bound_to(fd, bound) && (listening != 0 || listen(fd, SOMAXCONN) == 0))
        return fd;
    (void)close(fd);
    errno = EBADF;
    return -1;
}

void net_socket_retune(int fd, const struct net_accept_options *options)
{
    const char *what = "";

    tune_listener(fd, options, true);
    if (listen(fd, (int)options->accept.backlog) != 0)
        warn_option("backlog", options);
    if (options->endpoint.sa.sa_family == AF_UNIX && !set_unix_access(options, &what))
        warn_option(what, options);
}

/* Below this a port is the administrator's. 0: cannot be told. */
static unsigned first_free_port(void)
{
    FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    char text[16] = "";

    if (f == NULL)
        return 0;
    if (fgets(text, sizeof(text), f) == NULL)
        text[0] = '\0';
    (void)fclose(f);
    return (unsigned)strtoul(text, NULL, 10);
}

bool net_socket_can_refuse(const struct net_accept_options *options)
{
    return is_ip(&options->endpoint) && endpoint_port(&options->endpoint) != 0 &&
           options->accept.fd < 0 && endpoint_port(&options->endpoint) < first_free_port();
}

bool net_socket_listen_again(int fd, const struct net_accept_options *options)
{
    return listen(fd, (int)options->accept.backlog) == 0;
}

/* Linux ends a listening socket that is shut down for reading, keeps its address and options, and
 * lets it listen again. */
int net_socket_refuse_waiting(int fd, const struct net_accept_options *options)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return -1;
    if (info.tcpi_unacked == 0) /* of a listener: the length of its queue */
        return 0;
    if (shutdown(fd, SHUT_RD) != 0 || !net_socket_listen_again(fd, options))
        return -1;
    return (int)info.tcpi_unacked;
}

void net_socket_tune_accepted(int fd, const struct net_accept_options *options)
{
    const struct accept_options *a = &options->accept;
    struct linger linger = {.l_onoff = 1, .l_linger = a->linger_s};

    /* Everything else is inherited from the listener. */
    if (a->linger_s >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) != 0)
        warn_option("linger", options);
}

/* Without a port the system shall choose one when it knows the remote end: a port that is reserved
 * here is reserved for all of them (ip(7), IP_BIND_ADDRESS_NO_PORT). */
static bool bind_source(int fd, const struct endpoint *source)
{
    if (is_ip(source) && endpoint_port(source) == 0)
        (void)set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, &source->sa, source->len) == 0;
}

/* socket(7), SO_LINGER */
void net_socket_reset_on_close(int fd)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

int net_socket_connect(const struct net_connect_options *options, const char **what)
{
    const struct endpoint *remote = &options->remote;
    int fd, saved;

    *what = "socket";
    fd = socket(remote->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    *what = "setsockopt";
    if (is_ip(remote) && options->tcp_nodelay && !set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1))
        goto close_fd;
    if (options->mark != 0 && !set_int(fd, SOL_SOCKET, SO_MARK, (int)options->mark))
        goto close_fd;
    *what = "bind of the source address";
    if (options->source.len != 0 && !bind_source(fd, &options->source))
        goto close_fd;
    *what = "connect";
    if (connect(fd, &remote->sa, remote->len) != 0 && errno != EINPROGRESS)
        goto close_fd;
    return fd;

close_fd:
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}
