/* For tests of the resolver. */
#pragma once

#include <sallyport/net/net_dns.h>

/* "127.0.0.1:5353" instead of /etc/resolv.conf, on the calling ethread. */
enum sp_err net_dns_set_servers(struct net_core *core, const char *servers) SP_MUST_CHECK;
