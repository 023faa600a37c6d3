/* The authorities of the system, as far as it takes to say whether a chain is complete: their names
 * and the ids of their keys. Read when they are first asked for and again when their file has
 * changed, once for the process. Blocks on files; any thread that may. */
#pragma once

#include <sallyport/base/view.h>

#include <openssl/x509.h>

/* The file that has all authorities; empty: there is none. Static, or of the environment. */
struct view cert_roots_file(void);
enum cert_roots_answer { CERT_ROOTS_YES, CERT_ROOTS_NO, CERT_ROOTS_MISSING };
/* Has one of them issued it? MISSING: there are none to ask. */
enum cert_roots_answer cert_roots_have_issued(X509 *cert);
