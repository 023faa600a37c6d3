/* OpenSSL's HTTP client does the talking; what it lacks is added around it: an end in time whatever
 * the other side does, a bound for everything that is received, and a way out when the program
 * stops. */
#include <sallyport/base/clock.h>
#include <sallyport/tls/ocsp_exchange.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/http.h>
#include <openssl/httperr.h>
#include <openssl/ocsp.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Requests that are so short, all in all, are sent with GET, which caches between here and the
 * responder understand (RFC 5019 5). */
#define GET_MAX  255
/* Of a response, besides what it is about. */
#define HEAD_MAX ((size_t)16 * 1024)

/* ---- URL ---- */

#define HTTP "http://"

/* Without the brackets of an address. */
static bool take_host(const char *host, char dst[OCSP_HOST_MAX])
{
    size_t len = strlen(host);
    bool bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';

    if (bracketed) {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= OCSP_HOST_MAX)
        return false;
    memcpy(dst, host, len);
    dst[len] = '\0';
    return true;
}

struct url_parts {
    char *host, *path, *query;
    int port, ssl;
};

static bool take_parts(const struct url_parts *parts, struct ocsp_url *out)
{
    bool has_query = parts->query != NULL && parts->query[0] != '\0';
    int n = snprintf(out->path, sizeof(out->path), "%s%s%s", parts->path, has_query ? "?" : "",
                     has_query ? parts->query : "");

    out->port = (uint16_t)parts->port;
    return parts->ssl == 0 && parts->port > 0 && parts->port <= UINT16_MAX && n > 0 &&
           (size_t)n < sizeof(out->path) && take_host(parts->host, out->host);
}

static bool is_printable(struct view url)
{
    for (size_t i = 0; i < url.len; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~')
            return false;
    return true;
}

bool ocsp_url_parse(struct view url, struct ocsp_url *out)
{
    char text[OCSP_HOST_MAX + OCSP_PATH_MAX];
    struct url_parts parts = {0};
    bool ok;

    if (url.len < strlen(HTTP) || url.len >= sizeof(text) ||
        strncasecmp(url.p, HTTP, strlen(HTTP)) != 0 || !is_printable(url))
        return false;
    memcpy(text, url.p, url.len);
    memcpy(text, HTTP, strlen(HTTP)); /* in lower case */
    text[url.len] = '\0';
    ok = OSSL_HTTP_parse_url(text, &parts.ssl, NULL, &parts.host, NULL, &parts.port, &parts.path,
                             &parts.query, NULL) == 1 &&
         take_parts(&parts, out);
    OPENSSL_free(parts.host);
    OPENSSL_free(parts.path);
    OPENSSL_free(parts.query);
    ERR_clear_error();
    return ok;
}

/* ---- Waiting ---- */

enum ocsp_outcome ocsp_wait(int fd, short events, int64_t deadline_ms, int cancel_fd)
{
    struct pollfd fds[2] = {{.fd = cancel_fd, .events = POLLIN}, {.fd = fd, .events = events}};
    int64_t left_ms;

    do {
        left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0)
            return STAPLE_TIMEOUT;
        (void)poll(fds, 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (fds[0].revents != 0)
            return STAPLE_STOPPED;
    } while (fds[1].revents == 0);
    return STAPLE_GOOD;
}

/* ---- The exchange ---- */

/* What may still be received, and until when: OpenSSL reads on while there is something. */
struct watch {
    const struct ocsp_exchange *x;
    size_t left;
    bool too_late, too_much;
};

/* Called by the BIO before it reads and after: 0 or less instead of reading ends the exchange. */
// NOLINTBEGIN(readability-function-size, readability-non-const-parameter): OpenSSL's shape
static long watch_read(BIO *bio, int operation, const char *data, size_t len, int argi, long argl,
                       int result, size_t *processed)
// NOLINTEND(readability-function-size, readability-non-const-parameter)
{
    struct watch *w = (void *)BIO_get_callback_arg(bio);

    (void)data;
    (void)len;
    (void)argi;
    (void)argl;
    if (operation == BIO_CB_READ) {
        w->too_late = clock_mono_ms() >= w->x->deadline_ms;
        w->too_much = w->left == 0;
        return !w->too_late && !w->too_much;
    }
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0 && processed != NULL)
        w->left -= *processed < w->left ? *processed : w->left;
    return result;
}

/* The path of a GET: the request in base64, whose "+", "/" and "=" are escaped. False: it is too
 * long for one. */
static bool put_get_path(const struct ocsp_exchange *x, char *dst, size_t cap)
{
    unsigned char base64[GET_MAX * 2];
    size_t at = strlen(x->url->path);
    int n;

    if (x->request.len > GET_MAX || at + 1 >= cap || strchr(x->url->path, '?') != NULL)
        return false;
    memcpy(dst, x->url->path, at);
    if (at == 0 || dst[at - 1] != '/')
        dst[at++] = '/';
    n = EVP_EncodeBlock(base64, (const unsigned char *)x->request.p, (int)x->request.len);
    for (int i = 0; i < n; i++) {
        bool plain = base64[i] != '+' && base64[i] != '/' && base64[i] != '=';

        if (at + 4 > cap)
            return false;
        at += (size_t)snprintf(dst + at, cap - at, plain ? "%c" : "%%%02X", base64[i]);
    }
    return strlen(HTTP) + strlen(x->url->host) + strlen(":65535") + at <= GET_MAX;
}

static bool add_host(OSSL_HTTP_REQ_CTX *http, const struct ocsp_url *url)
{
    bool bracketed = strchr(url->host, ':') != NULL;
    char host[OCSP_HOST_MAX + 16], port[8] = "";

    if (url->port != 80)
        (void)snprintf(port, sizeof(port), ":%u", url->port);
    (void)snprintf(host, sizeof(host), "%s%s%s%s", bracketed ? "[" : "", url->host,
                   bracketed ? "]" : "", port);
    return OSSL_HTTP_REQ_CTX_add1_header(http, "Host", host) == 1;
}

static bool add_body(OSSL_HTTP_REQ_CTX *http, struct view der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &p, (long)der.len);
    bool ok = request != NULL &&
              OSSL_HTTP_REQ_CTX_set1_req(http, "application/ocsp-request",
                                         ASN1_ITEM_rptr(OCSP_REQUEST), (ASN1_VALUE *)request) == 1;

    OCSP_REQUEST_free(request);
    return ok;
}

static bool prepare(OSSL_HTTP_REQ_CTX *http, const struct ocsp_exchange *x)
{
    char get_path[GET_MAX + 8];
    bool get = !x->post && put_get_path(x, get_path, sizeof(get_path));

    OSSL_HTTP_REQ_CTX_set_max_response_length(http, x->response_max);
    return OSSL_HTTP_REQ_CTX_set_request_line(http, !get, NULL, NULL,
                                              get ? get_path : x->url->path) == 1 &&
           add_host(http, x->url) &&
           OSSL_HTTP_REQ_CTX_set_expected(http, "application/ocsp-response", 1, 0, 0) == 1 &&
           (get || add_body(http, x->request));
}

static enum ocsp_outcome why(const struct watch *w)
{
    int reason = ERR_GET_REASON(ERR_peek_last_error());

    ERR_clear_error();
    if (w->too_late)
        return STAPLE_TIMEOUT;
    if (reason == ERR_R_MALLOC_FAILURE)
        return STAPLE_NOMEM;
    return w->too_much || reason == HTTP_R_MAX_RESP_LEN_EXCEEDED ? STAPLE_TOO_LARGE : STAPLE_HTTP;
}

/* Until the response is there. */
static enum ocsp_outcome transfer(OSSL_HTTP_REQ_CTX *http, BIO *bio, const struct watch *w)
{
    const struct ocsp_exchange *x = w->x;
    int rc;

    while ((rc = OSSL_HTTP_REQ_CTX_nbio(http)) == -1) {
        short events = BIO_should_write(bio) ? POLLOUT : POLLIN;
        enum ocsp_outcome outcome = ocsp_wait(x->fd, events, x->deadline_ms, x->cancel_fd);

        if (outcome != STAPLE_GOOD)
            return outcome;
    }
    return rc == 1 ? STAPLE_GOOD : why(w);
}

/* What follows the response's own end is left out. */
static enum ocsp_outcome take_response(OSSL_HTTP_REQ_CTX *http, struct view *response)
{
    BIO *content = OSSL_HTTP_REQ_CTX_get0_mem_bio(http);
    size_t told = OSSL_HTTP_REQ_CTX_get_resp_len(http), len;
    char *data = NULL, *out;
    long n = content == NULL ? 0 : BIO_get_mem_data(content, &data);

    if (n <= 0)
        return STAPLE_HTTP;
    len = told > 0 && told < (size_t)n ? told : (size_t)n;
    out = malloc(len);
    if (out == NULL)
        return STAPLE_NOMEM;
    memcpy(out, data, len);
    *response = (struct view){out, len};
    // cppcheck-suppress memleak
    return STAPLE_GOOD;
}

enum ocsp_outcome ocsp_exchange_run(const struct ocsp_exchange *x, struct view *response)
{
    struct watch w = {.x = x, .left = x->response_max + HEAD_MAX};
    BIO *bio = BIO_new_socket(x->fd, BIO_NOCLOSE);
    OSSL_HTTP_REQ_CTX *http = bio == NULL ? NULL : OSSL_HTTP_REQ_CTX_new(bio, bio, 0);
    enum ocsp_outcome outcome = STAPLE_NOMEM;

    if (http != NULL && prepare(http, x)) {
        BIO_set_callback_ex(bio, watch_read);
        BIO_set_callback_arg(bio, (char *)&w);
        outcome = transfer(http, bio, &w);
        if (outcome == STAPLE_GOOD)
            outcome = take_response(http, response);
    }
    OSSL_HTTP_REQ_CTX_free(http);
    BIO_free(bio);
    ERR_clear_error();
    return outcome;
}
