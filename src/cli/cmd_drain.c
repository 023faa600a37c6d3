/* sallyport drain: takes ports out of service. */
#include "admin_client.h"

#include <jansson.h>

#define TIMEOUT_MS 10000

static int show(const struct admin_reply *reply)
{
    json_t *answer = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    const json_t *port;
    size_t i;

    json_array_foreach(json_object_get(answer, "draining"), i, port)(void)
        printf("port %s takes no more connections; %lld are open\n",
               json_string_value(json_object_get(port, "port")),
               (long long)json_integer_value(json_object_get(port, "connections")));
    json_decref(answer);
    return EXIT_DONE;
}

static int ask(const struct admin_options *options, const char *path)
{
    const struct admin_call call = {.command = &command_drain,
                                    .options = options,
                                    .method = "POST",
                                    .path = path,
                                    .timeout_ms = TIMEOUT_MS};
    struct admin_reply reply;
    int status = EXIT_REFUSED;

    if (admin_client_ask_ok(&call, &reply)) {
        status = EXIT_DONE;
        if (options->json)
            (void)fwrite(reply.body.p, 1, reply.body.len, stdout);
        else
            status = show(&reply);
    }
    admin_reply_fini(&reply);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {ADMIN_OPTION_ROWS, OPTION_ROW_HELP, {0}};
    struct admin_options options = {0};
    char name[512], path[600] = "/drain";
    int letter;

    while ((letter = option_next(&command_drain, argc, argv, ADMIN_OPTION_LETTERS, longs)) !=
           OPTION_END)
        if (!admin_option(&options, letter))
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
    if (optind + 1 < argc)
        return command_misused(&command_drain, "one port at a time, or none for all");
    if (optind < argc) {
        if (!admin_client_escape(view_of(argv[optind]), name, sizeof(name)))
            return command_misused(&command_drain, "\"%s\" is no port", argv[optind]);
        (void)snprintf(path, sizeof(path), "/drain/%s", name);
    }
    return ask(&options, path);
}

const struct command command_drain = {
    .name = "drain",
    .summary = "Take a port out of service, or all: idle connections close, requests finish.",
    .usage = "drain [PORT] [--socket PATH | -c FILE] [--json]",
    .options = "  PORT                named as in the configuration; without: every port\n"
               "\n" ADMIN_OPTION_HELP "\n"
               "The program goes on; \"status\" tells how many connections are left.\n",
    .run = run,
};
