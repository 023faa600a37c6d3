/* The words of the error list, which errno belongs to which row, and the end of a broken invariant.
 * Everything here works on constant data, so it is safe on any thread and in any state. */
#include <sallyport/base/err.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *label, *text;
} rows[] = {
#define X(id, label, text) {label, text},
    SP_ERR_TABLE(X)
#undef X
};

static const char unknown_label[] = "unknown";
static const char unknown_text[] = "an error that has no name";

/* A value from outside the list is a bug of the caller, but a log line is the last place to die
 * of it. */
static int is_known(enum sp_err err)
{
    return (unsigned)err < SP_ERR_COUNT;
}

const char *sp_err_label(enum sp_err err)
{
    return is_known(err) ? rows[err].label : unknown_label;
}

const char *sp_err_text(enum sp_err err)
{
    return is_known(err) ? rows[err].text : unknown_text;
}

enum sp_err sp_err_of_errno(int error_number)
{
    switch (error_number) {
    case 0: return SP_OK;
    case ENOMEM:
    case ENOBUFS: return SP_NOMEM;
    case EMFILE:
    case ENFILE: return SP_NOFILE;
    case ECONNREFUSED:
    case ENOENT: return SP_CONN_REFUSED; /* a unix backend that is not there */
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case EADDRNOTAVAIL: return SP_CONN_UNREACHABLE;
    case ETIMEDOUT: return SP_CONN_TIMEOUT;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE: return SP_PEER_RESET;
    default: return SP_SYSCALL;
    }
}

_Noreturn void sp_assert_failed(const char *expr, const char *file, int line)
{
    /* Not through the log: its queue and its writer may be part of what is broken. */
    (void)fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, expr);
    abort();
}
