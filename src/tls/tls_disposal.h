/* Who frees an SSL object. OpenSSL keeps locks for the whole process (of its tables of ex_data, for
 * one), and frees take them: a data thread that frees would now and then wait for a handshake
 * thread that holds one and was preempted, for as long as its low weight makes it wait for the
 * core. So a data thread leaves its SSL objects to a handshake thread while one is awake, and frees
 * them itself while all of them sleep, when nobody can hold a lock. It also spares the data. */
#pragma once

#include "ssl_net_vconnection.h"

/* The last of a connection, of which everything but its SSL is gone: frees both, or has a handshake
 * thread do so. On the connection's thread. */
void tls_dispose(struct ssl_net_vconnection *vc);
