/* An accepted connection over loopback TCP, its user and its peer. */
#pragma once

#include "net_fixture.h"
#include "unit_test.h"

#include <string.h>
#include <unistd.h>

#define PAUSE_BYTES 65536

static struct net_fixture f;
static struct net_user user;
static int peer;

static inline int setup(void **state)
{
    (void)state;
    net_fixture_open(&f, NULL);
    net_user_init(&user);
    peer = net_fixture_connection(&f, &user);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    net_user_fini(&user);
    if (peer >= 0)
        (void)close(peer);
    net_fixture_close(&f);
    return iobuf_usage().small_blocks + iobuf_usage().large_blocks == 0 ? 0 : -1;
}

static inline void peer_says(const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), 0), strlen(text));
}

static inline void peer_leaves(void)
{
    (void)close(peer);
    peer = -1;
}

static inline void peer_resets(int fd)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    (void)close(fd);
    if (fd == peer)
        peer = -1;
}

static inline void assert_in(const char *text)
{
    struct view v = {0};

    assert_int_equal(user.in.len, strlen(text));
    assert_int_equal(iobuf_pullup(&user.in, user.in.len, &v), SP_OK);
    assert_memory_equal(v.p, text, v.len);
}
