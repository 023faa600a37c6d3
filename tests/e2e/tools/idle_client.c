/* Holds many TLS connections open, then uses each once:
 *
 *     idle_client ADDRESS PORT SERVER_NAME COUNT
 *
 * "open COUNT" when all handshakes are done, then waits for a line on standard input, then sends
 * one request on each connection and prints "answered COUNT" for the whole answers with status 200.
 * Blocking and one after the other: what is measured is the other side. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct target {
    struct sockaddr_in address;
    char *name;
};

static bool target_parse(char **argv, struct target *out)
{
    char *end;
    unsigned long port = strtoul(argv[2], &end, 10);

    out->name = argv[3];
    out->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *end == '\0' && port <= UINT16_MAX &&
           inet_pton(AF_INET, argv[1], &out->address.sin_addr) == 1;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int tcp_connect(const struct target *t)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct timeval patience = {.tv_sec = 60};

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&t->address, sizeof(t->address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static SSL *tls_connect(SSL_CTX *ctx, const struct target *t)
{
    SSL *ssl = SSL_new(ctx);
    int fd = tcp_connect(t);

    if (ssl == NULL || fd < 0)
        goto fail;
    if (SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, t->name) == 1 &&
        SSL_connect(ssl) == 1)
        return ssl;

fail:
    SSL_free(ssl);
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

/* Reads until the head and the two bytes of body that the test's route answers with are there. */
static bool use_once(SSL *ssl, const char *name)
{
    char request[256], answer[4096];
    int n = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name);
    size_t len = 0, more;

    if (SSL_write(ssl, request, n) != n)
        return false;
    while (len < sizeof(answer) - 1 &&
           SSL_read_ex(ssl, answer + len, sizeof(answer) - 1 - len, &more) == 1) {
        len += more;
        answer[len] = '\0';
        if (strstr(answer, "\r\n\r\nok") != NULL)
            return strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
    }
    return false;
}

static bool go_given(void)
{
    char line[16];

    return fgets(line, sizeof(line), stdin) != NULL;
}

static size_t open_all(SSL **connections, size_t count, SSL_CTX *ctx, const struct target *t)
{
    size_t n = 0;

    while (n < count && (connections[n] = tls_connect(ctx, t)) != NULL)
        n++;
    if (n < count)
        perror("idle_client: connect");
    return n;
}

static SSL_CTX *client_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx != NULL)
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    return ctx;
}

int main(int argc, char **argv)
{
    struct target target;
    size_t count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0, answered = 0;
    SSL **connections = calloc(count + 1, sizeof(*connections));
    SSL_CTX *ctx = client_context();

    if (count == 0 || connections == NULL || ctx == NULL || !target_parse(argv, &target)) {
        (void)fprintf(stderr, "usage: idle_client ADDRESS PORT SERVER_NAME COUNT\n");
        return 2;
    }
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    raise_descriptor_limit();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("open %zu\n", open_all(connections, count, ctx, &target));
    if (!go_given())
        count = 0;
    for (size_t i = 0; i < count && connections[i] != NULL; i++)
        answered += use_once(connections[i], target.name);
    (void)printf("answered %zu\n", answered);
    free(connections); /* the connections themselves end with the process */
    return answered == count ? 0 : 1;
}
