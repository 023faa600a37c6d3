/* The plain transport. */
#pragma once

#include <sallyport/net/net_core.h>

/* NULL: out of memory, `fd` stays the caller's. */
struct net_vconnection *tcp_net_vc_new(struct net_core *core, int fd) SP_MUST_CHECK;
