/* sallyport connections: every connection of a running program. */
#include "admin_client.h"
#include "shown.h"
#include "table.h"

#include <jansson.h>

#define TIMEOUT_MS 10000

enum { OPTION_PORT = 256, OPTION_ADDRESS, OPTION_STATE, OPTION_LIMIT };

/* The query, parameter by parameter. */
struct question {
    struct admin_options options;
    char path[1024];
    size_t len;
};

static bool add(struct question *q, const char *name, const char *value)
{
    char escaped[512];
    int n;

    if (!admin_client_escape(view_of(value), escaped, sizeof(escaped)))
        return false;
    n = snprintf(q->path + q->len, sizeof(q->path) - q->len, "%c%s=%s",
                 strchr(q->path, '?') == NULL ? '?' : '&', name, escaped);
    if (n < 0 || (size_t)n >= sizeof(q->path) - q->len)
        return false;
    q->len += (size_t)n;
    return true;
}

static const char *text(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));

    return s == NULL ? "-" : s;
}

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(object, name));

    return v < 0 ? 0 : (uint64_t)v;
}

static void add_row(struct table *t, const json_t *c)
{
    const json_t *tls = json_object_get(c, "tls");
    bool client = strcmp(text(c, "side"), "client") == 0;
    struct shown age, idle, in, out;

    table_cell(t, "%llu", (unsigned long long)number(c, "id"));
    table_cell(t, "%s", text(c, "thread"));
    table_cell(t, "%s", text(c, "state"));
    table_cell(t, "%s", client ? text(c, "port") : "(to a server)");
    table_cell(t, "%s",
               text(c, client && json_object_get(c, "client") != NULL ? "client" : "remote"));
    table_cell(t, "%s", show_duration(&age, number(c, "age_ms")));
    table_cell(t, "%s", show_duration(&idle, number(c, "idle_ms")));
    table_cell(t, "%s", show_bytes(&in, number(c, "bytes_in")));
    table_cell(t, "%s", show_bytes(&out, number(c, "bytes_out")));
    table_cell(t, "%s", tls == NULL ? "-" : text(tls, "version"));
    table_cell(t, "%s", tls == NULL ? "-" : text(tls, "alpn"));
    table_cell(t, "%s", tls == NULL ? "-" : text(tls, "sni"));
}

static int show(const struct admin_reply *reply)
{
    json_t *answer = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    const json_t *list = json_object_get(answer, "connections"), *c;
    struct table t;
    size_t i;

    if (answer == NULL) {
        (void)fputs("sallyport connections: the answer is no JSON\n", stderr);
        return EXIT_REFUSED;
    }
    table_init(&t, ">ID|THREAD|STATE|PORT|PEER|>AGE|>STILL|>IN|>OUT|TLS|ALPN|NAME");
    json_array_foreach(list, i, c) add_row(&t, c);
    table_print(&t, stdout);
    if (!json_is_true(json_object_get(answer, "complete")))
        (void)fprintf(stderr, "%zu of %llu connections are shown; see --limit\n",
                      json_array_size(list), (unsigned long long)number(answer, "matched"));
    json_decref(answer);
    return EXIT_DONE;
}

static int ask(const struct question *q)
{
    const struct admin_call call = {.command = &command_connections,
                                    .options = &q->options,
                                    .path = q->path,
                                    .timeout_ms = TIMEOUT_MS};
    struct admin_reply reply;
    int status = EXIT_REFUSED;

    if (admin_client_ask_ok(&call, &reply)) {
        status = EXIT_DONE;
        if (q->options.json)
            (void)fwrite(reply.body.p, 1, reply.body.len, stdout);
        else
            status = show(&reply);
    }
    admin_reply_fini(&reply);
    return status;
}

static bool take(struct question *q, int letter)
{
    switch (letter) {
    case OPTION_PORT: return add(q, "port", optarg);
    case OPTION_ADDRESS: return add(q, "address", optarg);
    case OPTION_STATE: return add(q, "state", optarg);
    case OPTION_LIMIT: return add(q, "limit", optarg);
    default: return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {ADMIN_OPTION_ROWS,
                                          {"port", required_argument, NULL, OPTION_PORT},
                                          {"address", required_argument, NULL, OPTION_ADDRESS},
                                          {"state", required_argument, NULL, OPTION_STATE},
                                          {"limit", required_argument, NULL, OPTION_LIMIT},
                                          OPTION_ROW_HELP,
                                          {0}};
    struct question q = {.path = "/connections", .len = strlen("/connections")};
    int letter;

    while ((letter = option_next(&command_connections, argc, argv, ADMIN_OPTION_LETTERS, longs)) !=
           OPTION_END) {
        if (admin_option(&q.options, letter))
            continue;
        if (letter == OPTION_HELP || letter == OPTION_MISUSED)
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        if (!take(&q, letter))
            return command_misused(&command_connections, "\"%s\" is too long", optarg);
    }
    if (optind < argc)
        return command_misused(&command_connections, "\"%s\" is one argument too many",
                               argv[optind]);
    return ask(&q);
}

const struct command command_connections = {
    .name = "connections",
    .summary = "Every connection of a running program.",
    .usage = "connections [--socket PATH | -c FILE] [--json] [--port NAME] [--address A]\n"
             "                             [--state S] [--limit N]",
    .options = ADMIN_OPTION_HELP
    "      --port NAME     only clients of this port, named as in the configuration\n"
    "      --address A     only those whose client or other end has this address\n"
    "      --state S       only those that are connecting, handshake, active or idle\n"
    "      --limit N       how many at the most (1000)\n",
    .run = run,
};
