/* The steps that only a server's handshake has: see the states in tls_handshake.h. */
#pragma once

#include "tls_handshake.h"

struct tls_thread;

struct io_result tls_server_wait_hello(struct tls_handshake *hs, struct tls_thread *t);
struct io_result tls_server_turn(struct tls_handshake *hs, struct tls_thread *t);
struct io_result tls_server_linger(struct tls_handshake *hs, struct tls_thread *t);
