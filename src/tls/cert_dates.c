#include "cert_checks.h"
#include "cert_words.h"

#include <openssl/err.h>

#include <stdio.h>

#define TIME_MAX 40

/* "the certificate" or "certificate 2 (CN=...)". */
static void call(const struct cert_pair *pair, int i, char *dst, size_t cap)
{
    char name[CERT_WORDS_MAX];

    if (i == 0) {
        (void)snprintf(dst, cap, "the certificate");
        return;
    }
    cert_words_subject(sk_X509_value(pair->chain, i - 1), name, sizeof(name));
    (void)snprintf(dst, cap, "certificate %d (%s)", i + 1, name);
}

/* An error where it would take the place of one that serves. */
static bool report_invalid(const char *called, const char *what, const ASN1_TIME *time, bool refuse,
                           struct view file, struct cert_load *load)
{
    char text[TIME_MAX];

    cert_words_time(time, text, sizeof(text));
    if (refuse) {
        cert_load_error(load, file, "%s %s %s (\"allow_expired\" would take it all the same)",
                        called, what, text);
    } else {
        cert_load_warn(load, file, "%s %s %s", called, what, text);
    }
    return !refuse;
}

static void warn_of_end(const char *called, const ASN1_TIME *end, uint32_t warn_before_days,
                        struct view file, struct cert_load *load)
{
    char text[TIME_MAX];
    int days = 0, seconds = 0;

    if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1 || days < 0 ||
        (uint32_t)days >= warn_before_days)
        return;
    cert_words_time(end, text, sizeof(text));
    if (days > 0) {
        cert_load_warn(load, file, "%s expires in %d day%s, at %s", called, days,
                       days == 1 ? "" : "s", text);
    } else {
        cert_load_warn(load, file, "%s expires today, at %s", called, text);
    }
}

static bool check_one(const struct cert_pair *pair, int i, struct view file, struct cert_load *load)
{
    const X509 *cert = i == 0 ? pair->leaf : sk_X509_value(pair->chain, i - 1);
    bool refuse = load->refuse_expired && !(load->conf != NULL && load->conf->allow_expired);
    uint32_t warn_before_days = load->conf == NULL ? 0 : load->conf->warn_before_days;
    char called[CERT_WORDS_MAX + 32];

    call(pair, i, called, sizeof(called));
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        return report_invalid(called, "has expired: it was valid until", X509_get0_notAfter(cert),
                              refuse, file, load);
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        return report_invalid(called, "is not valid yet: it will be from",
                              X509_get0_notBefore(cert), refuse, file, load);
    warn_of_end(called, X509_get0_notAfter(cert), warn_before_days, file, load);
    return true;
}

bool cert_check_dates(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    int n = 1 + (pair->chain == NULL ? 0 : sk_X509_num(pair->chain));
    bool ok = true;

    for (int i = 0; i < n; i++)
        ok = check_one(pair, i, file, load) && ok;
    ERR_clear_error();
    return ok;
}
