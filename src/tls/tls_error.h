/* OpenSSL's answers in this program's words. The error queue belongs to the thread, so it is read
 * where a call failed and is empty afterwards. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/net/io_result.h>

struct tls_thread;

struct tls_failure {
    enum sp_err err;
    const char *reason; /* OpenSSL's own, static; NULL: it gave none */
};

/* Takes the queue of the calling thread. SP_TLS_INTERNAL when it is empty. */
struct tls_failure tls_error_take(void);
/* The row for one error code of OpenSSL (ERR_get_error). */
enum sp_err tls_err_of_code(unsigned long code);

/* What the SSL call that has just failed in t's step means; `*reason` as above, set with IO_ERROR
 * only. A bare FIN is SP_TLS_TRUNCATED. The connection is broken after an error. */
struct io_result tls_result(struct tls_thread *t, const char **reason);
