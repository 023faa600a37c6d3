/* sallyport-load handshakes|probe|idle --target ADDRESS:PORT [options]: see usage(). */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int usage(void)
{
    (void)fputs("sallyport-load handshakes|probe|idle --target ADDRESS:PORT\n"
                "  --sni NAME          localhost\n"
                "  --path PATH         /\n"
                "  --rate N            units a second; handshakes: 0 is a closed loop\n"
                "  --connections N     probe, idle, closed loop: 32\n"
                "  --duration S        5\n"
                "  --warmup S          1\n"
                "  --deadline MS       a handshake later than this does not count: 2000\n"
                "  --together MS       connections gather this long, then speak together\n"
                "  --max-open N        handshakes at once: 20000\n"
                "  --resume            offer the session of an earlier connection\n"
                "  --tls12             TLS 1.2 only\n",
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

static bool make_ctx(struct load_options *o)
{
    int version = o->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;

    o->ctx = SSL_CTX_new(TLS_client_method());
    if (o->ctx == NULL)
        return false;
    SSL_CTX_set_verify(o->ctx, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_mode(o->ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(o->ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(o->ctx, version) == 1 &&
           SSL_CTX_set_max_proto_version(o->ctx, version) == 1 &&
           SSL_CTX_set1_groups_list(o->ctx, "X25519") == 1;
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
                                            {NULL, 0, NULL, 0}};
    bool has_target = false;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 't': has_target = parse_target(optarg, o); break;
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
        default: return false;
        }
    }
    return has_target && optind == argc && o->connections > 0 && o->duration_s > 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct load_options *o);
    } modes[] = {{"handshakes", load_handshakes}, {"probe", load_probe}, {"idle", load_idle}};
    struct load_options o = {.sni = "localhost",
                             .path = "/",
                             .duration_s = 5,
                             .warmup_s = 1,
                             .connections = 32,
                             .deadline_us = 2000000,
                             .max_open = 20000};
    struct rlimit limit;

    if (argc < 2 || !parse_options(argc - 1, argv + 1, &o) || !make_ctx(&o))
        return usage();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run(&o);
    return usage();
}
