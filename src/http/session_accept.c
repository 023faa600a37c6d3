/* Which session a new connection gets. */
#include "http1_session_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/http/http1_session.h>
#include <sallyport/net/net_accept.h>
#include <sallyport/net/net_handler.h>

#include <inttypes.h>

/* A protocol: its ALPN name (RFC 7301), and how its sessions start and are told to drain. */
struct session_protocol {
    struct view alpn;
    enum sp_err (*start)(struct net_vconnection *vc);
    bool (*drain)(struct net_vconnection *vc); /* false: not a session of this protocol */
};

/* The first one is spoken where nothing was negotiated. */
static const struct session_protocol protocols[] = {
    {{"http/1.1", 8}, http1_session_start, http1_session_drain},
};

static const struct session_protocol *protocol_of(const struct net_vconnection *vc)
{
    struct tls_info info = {0};

    if (!net_vc_tls_info(vc, &info) || info.alpn.len == 0)
        return &protocols[0];
    for (size_t i = 0; i < SP_COUNT_OF(protocols); i++)
        if (view_eq(protocols[i].alpn, info.alpn))
            return &protocols[i];
    return NULL;
}

static void start(struct net_vconnection *vc)
{
    const struct session_protocol *protocol = protocol_of(vc);
    enum sp_err err = protocol == NULL ? SP_TLS_ALPN : protocol->start(vc);

    if (err == SP_OK)
        return;
    LOG_LIMITED(HTTP, WARN, "vc=%" PRIu64 " no session: err=%s", vc->id, sp_err_label(err));
    net_vc_do_io_close(vc, VC_CLOSE_CLEAN);
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
