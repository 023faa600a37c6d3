/* The first bytes of a connection that may be HTTP/1.1 or HTTP/2. */
#include "http2_prior.h"

#include <nghttp2/nghttp2.h>

#include <stdlib.h>

struct http2_prior {
    struct continuation cont;
    struct net_vconnection *vc; /* owned */
    struct iobuf in;
    http2_prior_decided decided;
};

enum verdict { MORE, HTTP1, HTTP2 };

static enum verdict look(struct view bytes)
{
    const struct view preface = {NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN};

    if (!view_starts_with(preface, view_head(bytes, preface.len)))
        return HTTP1;
    return bytes.len < preface.len ? MORE : HTTP2;
}

static void prior_free(struct http2_prior *p)
{
    iobuf_clear(&p->in);
    free(p);
}

static void give_up(struct http2_prior *p)
{
    net_vc_do_io_close(p->vc, VC_CLOSE_CLEAN);
    prior_free(p);
}

static void decide(struct http2_prior *p, bool is_http2)
{
    net_vc_set_active_timeout(p->vc, 0);
    p->decided(p->vc, is_http2, &p->in);
    prior_free(p);
}

static void bytes_came(struct http2_prior *p)
{
    size_t n = p->in.len < NGHTTP2_CLIENT_MAGIC_LEN ? p->in.len : NGHTTP2_CLIENT_MAGIC_LEN;
    struct view bytes;

    if (iobuf_pullup(&p->in, n, &bytes) != SP_OK) {
        give_up(p);
        return;
    }
    switch (look(bytes)) {
    case MORE: vio_reenable(&p->vc->read.vio); break;
    case HTTP1: decide(p, false); break;
    case HTTP2: decide(p, true); break;
    }
}

static int prior_event(struct continuation *cont, int event, void *data)
{
    struct http2_prior *p = container_of(cont, struct http2_prior, cont);

    (void)data;
    if (event == VC_EVENT_READ_READY)
        bytes_came(p);
    else /* it ended, failed or said nothing */
        give_up(p);
    return EVENT_DONE;
}

enum sp_err http2_prior_start(struct net_vconnection *vc, int64_t timeout_ms,
                              http2_prior_decided decided)
{
    struct http2_prior *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return SP_NOMEM;
    p->vc = vc;
    p->decided = decided;
    iobuf_init(&p->in);
    continuation_init(&p->cont, "http2_prior", prior_event);
    net_vc_set_inactivity_timeout(vc, 0);
    net_vc_set_active_timeout(vc, timeout_ms);
    (void)net_vc_do_io_read(vc, &p->cont, INT64_MAX, &p->in, IOBUF_SMALL_BYTES);
    return SP_OK;
}
