/* Connections over arrays, driven by the real net handler on the test's own thread: what the peer
 * says is a string, what it gets is another, time stands still until the test moves it.
 *
 *     fake_net_open();
 *     vc = fake_vc_accept(&peer, port);       the user of vc takes it from here
 *     fake_peer_says(&peer, "GET / ...");
 *     fake_net_turn();
 *     assert_string_equal(peer.got, "HTTP/1.1 200 OK ...");
 *     fake_net_close();                       ends what is left, as a stopping thread does */
#pragma once

#include <sallyport/net/net_accept.h>
#include <sallyport/net/net_core.h>

enum fake_end { FAKE_OPEN, FAKE_EOF, FAKE_RESET };

/* The other end of a connection. Outlives it; {0}, then fake_vc_accept() or fake_vc_connect(). */
struct fake_peer {
    struct net_vconnection *vc; /* NULL once it is closed */
    char *says;                 /* owned: not yet read */
    size_t n_says, cap_says;
    size_t piece;      /* no read gets more; 0: all that is there */
    enum fake_end end; /* comes behind what it says */
    char *got;         /* owned, with a NUL behind; what was sent to it */
    size_t n_got, cap_got;
    size_t takes;     /* bytes that the socket still takes; SIZE_MAX by default */
    bool write_error; /* every send fails */
    bool got_end;     /* shutdown(WRITE) reached it */
    bool closed;
    enum vc_close how; /* ...like this */
    const char *alpn;
    unsigned n_recv;
};

void fake_net_open(void);
/* Every connection is ended, its user told; then everything is freed. */
void fake_net_close(void);
struct net_handler *fake_net_handler(void);
struct net_core *fake_net_core(void);

/* Turns of the loop until nothing is left to do now. */
void fake_net_turn(void);
/* Moves the clock and turns. */
void fake_net_pass_ms(int64_t ms);
int64_t fake_net_now_ms(void);
/* The same in steps: what re-arms itself gets its chance. */
void fake_net_pass_slowly_ms(int64_t ms, int64_t step_ms);

/* `user`: of the listener. The peer's fields that the test has set stay. */
struct net_vconnection *fake_vc_accept(struct fake_peer *peer, void *user);
struct net_vconnection *fake_vc_connect(struct fake_peer *peer);

void fake_peer_says(struct fake_peer *peer, const char *text);
void fake_peer_says_bytes(struct fake_peer *peer, const void *bytes, size_t n);
void fake_peer_ends(struct fake_peer *peer, enum fake_end end);
/* The socket takes n bytes more. */
void fake_peer_takes(struct fake_peer *peer, size_t n);
/* Forgets what it got. */
void fake_peer_forget(struct fake_peer *peer);
void fake_peer_fini(struct fake_peer *peer);
