/* sallyport-load MODE [options]: see usage(). */
#include "load.h"
#include "tls13_client.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct {
    const char *name;
    int (*run)(const struct load_options *o);
    bool needs_target;
} modes[] = {{"handshakes", load_handshakes, true},
             {"probe", load_probe, true},
             {"idle", load_idle, true},
             {"origin", load_origin, true},
             {"certs", load_certs, false}};

static int usage(void)
{
    (void)fputs("sallyport-load handshakes|probe|idle --target ADDRESS:PORT [OPTIONS]\n"
                "sallyport-load origin --target ADDRESS:PORT      where to listen\n"
                "sallyport-load certs --dir DIR --count N [--first I]\n"
                "  --sni NAME          localhost\n"
                "  --path PATH         /\n"
                "  --rate N            units a second; handshakes: 0 is a closed loop\n"
                "  --connections N     probe, idle, closed loop: 32\n"
                "  --duration S        5\n"
                "  --warmup S          1\n"
                "  --deadline MS       a handshake later than this is not in time: 2000\n"
                "  --together MS       connections gather this long, then speak together\n"
                "  --max-open N        handshakes at once: 18000\n"
                "  --resume            offer the session of an earlier connection\n"
                "  --tls12             TLS 1.2 only\n"
                "  --frugal            a client that costs a fifth: full TLS 1.3 handshakes, "
                "X25519 and AES-128-GCM,\n"
                "                      nothing verified\n"
                "  --samples FILE      a line for each result: due, latency (us)\n",
                stderr);
    return 2;
}

static bool parse_target(const char *text, struct load_options *o)
{
    const char *colon = strrchr(text, ':');
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&o->target;
    char host[64];

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    o->target_len = sizeof(*in);
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

/* X25519 is what is exchanged; P-256 has to be there for TLS 1.2 to take such a certificate
 * (RFC 8422 5.1). */
static bool make_ctx(struct load_options *o)
{
    char groups[] = "X25519:P-256"; /* the macro casts const away */
    int version = o->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;

    o->ctx = SSL_CTX_new(TLS_client_method());
    if (o->ctx == NULL)
        return false;
    SSL_CTX_set_verify(o->ctx, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_mode(o->ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(o->ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(o->ctx, version) == 1 &&
           SSL_CTX_set_max_proto_version(o->ctx, version) == 1 &&
           SSL_CTX_set1_groups_list(o->ctx, groups) == 1;
}

static bool take_option(int c, struct load_options *o)
{
    switch (c) {
    case 't': return parse_target(optarg, o);
    case 's': o->sni = optarg; break;
    case 'p': o->path = optarg; break;
    case 'r': o->rate = strtod(optarg, NULL); break;
    case 'd': o->duration_s = strtod(optarg, NULL); break;
    case 'w': o->warmup_s = strtod(optarg, NULL); break;
    case 'c': o->connections = (unsigned)strtoul(optarg, NULL, 10); break;
    case 'D': o->deadline_us = (int64_t)(strtod(optarg, NULL) * 1000); break;
    case 'g':
        o->shape = LOAD_SHAPE_TOGETHER;
        o->batch_us = (int64_t)(strtod(optarg, NULL) * 1000);
        break;
    case 'm': o->max_open = (unsigned)strtoul(optarg, NULL, 10); break;
    case 'R': o->resume = true; break;
    case '2': o->tls12 = true; break;
    case 'F': o->frugal = true; break;
    case 'S': o->samples = optarg; break;
    case 'o': o->dir = optarg; break;
    case 'f': o->first = (unsigned)strtoul(optarg, NULL, 10); break;
    case 'n': o->count = (unsigned)strtoul(optarg, NULL, 10); break;
    default: return false;
    }
    return true;
}

static bool parse_options(int argc, char **argv, struct load_options *o)
{
    static const struct option options[] = {{"target", required_argument, NULL, 't'},
                                            {"sni", required_argument, NULL, 's'},
                                            {"path", required_argument, NULL, 'p'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"duration", required_argument, NULL, 'd'},
                                            {"warmup", required_argument, NULL, 'w'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"deadline", required_argument, NULL, 'D'},
                                            {"together", required_argument, NULL, 'g'},
                                            {"max-open", required_argument, NULL, 'm'},
                                            {"resume", no_argument, NULL, 'R'},
                                            {"tls12", no_argument, NULL, '2'},
                                            {"frugal", no_argument, NULL, 'F'},
                                            {"samples", required_argument, NULL, 'S'},
                                            {"dir", required_argument, NULL, 'o'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"count", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    int c;

    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_option(c, o))
            return false;
    return optind == argc && o->connections > 0 && o->duration_s > 0 &&
           (!o->frugal || !(o->resume || o->tls12));
}

/* As many descriptors as allowed, and sleeps that end when they should (prctl(2): 50 us late by
 * default). */
static void prepare_process(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

int main(int argc, char **argv)
{
    struct load_options o = {.sni = "localhost",
                             .path = "/",
                             .duration_s = 5,
                             .warmup_s = 1,
                             .connections = 32,
                             .deadline_us = 2000000,
                             .max_open = 18000};

    if (argc < 2 || !parse_options(argc - 1, argv + 1, &o) || !make_ctx(&o))
        return usage();
    if (o.frugal && !tls13_client_prepare(o.sni))
        return 1;
    prepare_process();
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0 && (o.target_len > 0 || !modes[i].needs_target))
            return modes[i].run(&o);
    return usage();
}
