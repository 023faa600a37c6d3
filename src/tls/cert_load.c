#include "cert_load.h"

#include <sallyport/base/err.h>

#include <openssl/err.h>

#include <stdarg.h>
#include <stdio.h>

#define PROBLEM_TEXT_MAX 512

SP_PRINTF(4, 0)
static void report(const struct cert_load *load, struct view file, bool warning, const char *fmt,
                   va_list args)
{
    char text[PROBLEM_TEXT_MAX];
    struct cert_problem problem = {
        .bundle = load->bundle, .port = load->port, .file = file, .warning = warning};

    (void)vsnprintf(text, sizeof(text), fmt, args);
    problem.text = view_of(text);
    load->reporter->report(load->reporter->arg, &problem);
}

void cert_load_error(struct cert_load *load, struct view file, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report(load, file, false, fmt, args);
    va_end(args);
    load->n_errors++;
}

void cert_load_warn(struct cert_load *load, struct view file, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report(load, file, true, fmt, args);
    va_end(args);
}

void cert_load_nomem(struct cert_load *load, struct view file)
{
    cert_load_error(load, file, "%s", sp_err_text(SP_NOMEM));
    load->nomem = true;
}

const char *cert_load_why(struct cert_load *load)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);

    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        load->nomem = true;
    ERR_clear_error();
    return reason == NULL ? "no reason given" : reason;
}
