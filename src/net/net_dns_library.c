/* Which resolver library runs underneath. */
#include <sallyport/net/net_dns_library.h>

#include <ares.h>

#include <stddef.h>

const char *net_dns_library_version(void)
{
    return ares_version(NULL);
}
