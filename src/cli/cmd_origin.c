/* sallyport origin: the demo backend. */
#include "command.h"

#include <sallyport/app/origin.h>

enum { OPTION_NAME = 256, OPTION_THREADS, OPTION_IDLE_MS };

/* "127.0.0.1", "::1" or "[::1]", with the port. */
static bool listen_on(const char *address, uint32_t port, struct endpoint *out)
{
    bool bare_v6 = address[0] != '[' && view_of(address).len > 0 &&
                   memchr(address, ':', view_of(address).len) != NULL;
    char text[ENDPOINT_TEXT_MAX];
    int n = snprintf(text, sizeof(text), bare_v6 ? "[%s]:%u" : "%s:%u", address, port);

    return n > 0 && (size_t)n < sizeof(text) && endpoint_parse(view_of(text), out) == SP_OK &&
           out->sa.sa_family != AF_UNIX;
}

struct origin_arguments {
    struct origin_options options;
    const char *address;
    uint32_t port;
};

/* False: the value is not fit. */
static bool take_option(struct origin_arguments *a, int letter)
{
    switch (letter) {
    case 'p': return option_number(optarg, 0, 65535, &a->port);
    case 'a': a->address = optarg; return true;
    case OPTION_NAME: a->options.name = optarg; return true;
    case OPTION_THREADS: return option_number(optarg, 1, 64, &a->options.threads);
    case OPTION_IDLE_MS: return option_number(optarg, 1, 86400000, &a->options.idle_ms);
    default: return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {{"port", required_argument, NULL, 'p'},
                                          {"address", required_argument, NULL, 'a'},
                                          {"name", required_argument, NULL, OPTION_NAME},
                                          {"threads", required_argument, NULL, OPTION_THREADS},
                                          {"idle-ms", required_argument, NULL, OPTION_IDLE_MS},
                                          OPTION_ROW_HELP,
                                          {0}};
    struct origin_arguments a = {.options = {.name = "origin", .threads = 1, .idle_ms = 75000},
                                 .address = "127.0.0.1",
                                 .port = UINT32_MAX};
    int letter;

    while ((letter = option_next(&command_origin, argc, argv, "p:a:", longs)) != OPTION_END) {
        if (letter == OPTION_HELP || letter == OPTION_MISUSED)
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        if (!take_option(&a, letter))
            return command_misused(&command_origin, "\"%s\" is out of range", optarg);
    }
    if (optind < argc)
        return command_misused(&command_origin, "\"%s\" is one argument too many", argv[optind]);
    if (a.port == UINT32_MAX)
        return command_misused(&command_origin, "which port? (0: any free one)");
    if (!listen_on(a.address, a.port, &a.options.listen))
        return command_misused(&command_origin, "\"%s\" is not an address", a.address);
    return origin_run(&a.options);
}

const struct command command_origin = {
    .name = "origin",
    .summary = "A small demo backend that shows what arrived, and misbehaves on request.",
    .usage = "origin --port N [--address A] [--name NAME] [--threads N] [--idle-ms N]",
    .options = "  -p, --port N        to listen on; 0: any free one, which is printed\n"
               "  -a, --address A     to listen on (127.0.0.1)\n"
               "      --name NAME     told in X-Origin and on the pages (origin)\n"
               "      --threads N     that serve (1)\n"
               "      --idle-ms N     a connection may idle between two requests (75000)\n"
               "\n"
               "GET / shows the request and lists the pages for trials.\n",
    .run = run,
};
