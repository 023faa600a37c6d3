/* What only a server's handshake has: its first steps (see the states in tls_handshake.h), and what
 * is told of its end. */
#pragma once

#include "tls_handshake.h"

struct tls_thread;

struct io_result tls_server_wait_hello(struct tls_handshake *hs, struct tls_thread *t);
struct io_result tls_server_turn(struct tls_handshake *hs, struct tls_thread *t);
struct io_result tls_server_linger(struct tls_handshake *hs, struct tls_thread *t);

/* tls_server_outcome.c: the numbers of one that is done, by what it came to; and how one that
 * failed is counted, said and kept (tls_role.failed). */
void tls_server_count(const struct ssl_net_vconnection *vc);
void tls_server_failed(const struct ssl_net_vconnection *vc, enum sp_err err);
