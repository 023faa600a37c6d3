/* What one non-blocking step of a transport came to. */
#pragma once

#include <sallyport/base/err.h>

#include <stdbool.h>
#include <stddef.h>

/* WANT_* names the readiness to wait for, which under TLS may be the opposite of the call.
 * WANT_TURN, of a handshake only: everything is there, and the next step costs cryptography. */
enum io_status { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_WANT_TURN, IO_EOF, IO_ERROR };

struct io_result {
    enum io_status status;
    enum sp_err err; /* with IO_ERROR; SP_OK otherwise */
    size_t n;        /* bytes moved; 0 unless IO_OK */
    bool drained;    /* recv or advance: nothing more is there now; do not ask again before the next
                        readiness event */
};

#define IO_RESULT_WANT(want) ((struct io_result){.status = (want)})
#define IO_RESULT_ERROR(e)   ((struct io_result){.status = IO_ERROR, .err = (e)})
#define IO_RESULT_EOF        ((struct io_result){.status = IO_EOF})
