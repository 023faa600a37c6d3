/* Which resolver library runs underneath: for `sallyport version`. */
#pragma once

/* As linked: "1.34.5". Static. */
const char *net_dns_library_version(void);
