/* One client connection to a port whose service records. */
#pragma once

#include "fake_vc.h"
#include "stream_recorder.h"

static struct {
    struct port_conf conf;
    struct http_port port;
    struct recording_service service;
    struct fake_peer client;
} fix;

static inline void fixture_accept(struct fake_peer *client)
{
    struct net_vconnection *vc = fake_vc_accept(client, &fix.port);

    (void)continuation_call(http_session_accept(), NET_EVENT_ACCEPT, vc);
}

/* The port and what serves it, and no connection yet. */
static inline void fixture_open(void)
{
    memset(&fix, 0, sizeof(fix));
    fix.conf.limits = (struct http_limits_conf){
        .max_head_bytes = 2048,
        .max_target_bytes = 512,
        .max_fields = 20,
        .max_trailer_bytes = 512,
        .head_timeout_ms = 10000,
        .keep_alive_timeout_ms = 60000,
        .body_timeout_ms = 30000,
        .send_timeout_ms = 20000,
        .tunnel_timeout_ms = 3600000,
        .buffer_bytes = 16384,
    };
    fix.service.super.ops = &recording_service_ops;
    fix.port.conf = &fix.conf;
    fix.port.service = &fix.service.super;
    fix.port.tls = true;
    fake_net_open();
}

static inline int fixture_setup(void **state)
{
    (void)state;
    fixture_open();
    fixture_accept(&fix.client);
    fake_net_turn();
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct iobuf_usage usage;

    (void)state;
    fix.service.on_event = NULL;
    for (size_t i = 0; i < SP_COUNT_OF(fix.service.r); i++)
        fix.service.r[i].on_event = NULL;
    fake_net_close();
    for (size_t i = 0; i < SP_COUNT_OF(fix.service.r); i++)
        if (fix.service.r[i].s != NULL)
            recorder_release(&fix.service.r[i]);
    fake_peer_fini(&fix.client);
    usage = iobuf_usage();
    assert_int_equal(usage.small_blocks + usage.large_blocks, 0);
    return 0;
}

#define session_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

/* The client says it, and everything that follows from that happens. */
static inline void says(const char *text)
{
    fake_peer_says(&fix.client, text);
    fake_net_turn();
}

static inline const char *got(void)
{
    return fix.client.got;
}

/* What the nth request's user was told. */
static inline const char *told(unsigned nth)
{
    return fix.service.r[nth].log;
}

static inline struct recorder *request(unsigned nth)
{
    return &fix.service.r[nth];
}

static inline bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}
