/* Which session a new connection gets. */
#include "http1_session_internal.h"
#include "http2_prior.h"
#include "http2_session_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/http/http1_session.h>
#include <sallyport/http/http2_session.h>
#include <sallyport/net/net_accept.h>
#include <sallyport/net/net_handler.h>

#include <inttypes.h>

/* A protocol: its ALPN name (RFC 7301), and how its sessions start and are told to drain. */
struct session_protocol {
    struct view alpn;
    enum sp_err (*start)(struct net_vconnection *vc, struct iobuf *first);
    bool (*drain)(struct net_vconnection *vc); /* false: not a session of this protocol */
};

enum { HTTP1, HTTP2 };

static const struct session_protocol protocols[] = {
    [HTTP1] = {VIEW_INIT("http/1.1"), http1_session_start, http1_session_drain},
    [HTTP2] = {VIEW_INIT("h2"), http2_session_start, http2_session_drain},
};

/* What was negotiated, or HTTP/1.1 where nothing was. */
static const struct session_protocol *protocol_of(const struct net_vconnection *vc)
{
    struct tls_info info = {0};

    if (!net_vc_tls_info(vc, &info) || info.alpn.len == 0)
        return &protocols[HTTP1];
    for (size_t i = 0; i < SP_COUNT_OF(protocols); i++)
        if (view_eq(protocols[i].alpn, info.alpn))
            return &protocols[i];
    return NULL;
}

static void refuse(struct net_vconnection *vc, enum sp_err err)
{
    LOG_LIMITED(HTTP, WARN, "vc=%" PRIu64 " no session: err=%s", vc->id, sp_err_label(err));
    net_vc_do_io_close(vc, VC_CLOSE_CLEAN);
}

static void decided(struct net_vconnection *vc, bool is_http2, struct iobuf *first)
{
    enum sp_err err = protocols[is_http2 ? HTTP2 : HTTP1].start(vc, first);

    if (err != SP_OK)
        refuse(vc, err);
}

static void start(struct net_vconnection *vc)
{
    const struct http_port *port = vc->accept->options.user;
    const struct session_protocol *protocol = protocol_of(vc);
    enum sp_err err = SP_TLS_ALPN;

    if (port->conf->h2c)
        err = http2_prior_start(vc, port->conf->limits.head_timeout_ms, decided);
    else if (protocol != NULL)
        err = protocol->start(vc, NULL);
    if (err != SP_OK)
        refuse(vc, err);
}

static int session_accept(struct continuation *c, int event, void *data)
{
    (void)c;
    if (event == NET_EVENT_ACCEPT) {
        start(data);
    } else if (event == NET_EVENT_ACCEPT_FAILED) {
        struct net_accept *na = data;

        LOG_ERROR(HTTP, "port=" VIEW_FMT " the listener failed and is closed",
                  VIEW_ARG(na->options.label));
    }
    return EVENT_DONE;
}

struct continuation *http_session_accept(void)
{
    static struct continuation accept = {.handler = session_accept, .tag = "http_session_accept"};

    return &accept;
}

static void drain(struct net_vconnection *vc)
{
    for (size_t i = 0; i < SP_COUNT_OF(protocols); i++)
        if (protocols[i].drain(vc))
            return;
}

void http_sessions_drain(struct net_handler *nh)
{
    struct list *n, *next;

    /* An idle session calls nobody, so only the connection itself can leave the list. */
    list_for_each_safe (n, next, &nh->open)
        drain(container_of(n, struct net_vconnection, open_link));
}
