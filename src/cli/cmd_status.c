/* sallyport status: what runs, and how it is. */
#include "admin_client.h"
#include "shown.h"
#include "table.h"

#include <jansson.h>

#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 10000

/* A member of an object, empty values where there is none: what is shown is shown as far as it
 * goes. */
static uint64_t number(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
}

static const char *text(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));

    return s == NULL ? "-" : s;
}

static bool flag(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

/* ---- The lines at the top ---- */

static void show_process(const json_t *s)
{
    const json_t *memory = json_object_get(s, "memory");
    const json_t *descriptors = json_object_get(s, "descriptors");
    struct shown up, resident, cpu;

    (void)printf("sallyport %s  pid %llu  up %s  %s  %s\n", text(s, "version"),
                 (unsigned long long)number(s, "pid"), show_duration(&up, number(s, "uptime_ms")),
                 text(s, "state"), text(s, "config"));
    (void)printf("%-12s %s resident, CPU %s, descriptors %llu of %llu\n", "process",
                 show_bytes(&resident, number(memory, "resident_bytes")),
                 show_duration(&cpu, number(s, "cpu_ms")),
                 (unsigned long long)number(descriptors, "open"),
                 (unsigned long long)number(descriptors, "max"));
}

static void show_connections(const json_t *s)
{
    const json_t *c = json_object_get(s, "connections");

    (void)printf("%-12s %llu of clients (at most %llu), %llu to servers; %llu active, %llu idle, "
                 "%llu in their handshake\n",
                 "connections", (unsigned long long)number(c, "clients"),
                 (unsigned long long)number(c, "max_clients"),
                 (unsigned long long)number(c, "servers"), (unsigned long long)number(c, "active"),
                 (unsigned long long)number(c, "idle"), (unsigned long long)number(c, "handshake"));
}

/* `before` is the answer before this one, `ms` ago; NULL: none, and the rate is that since the
 * start. */
static void show_requests(const json_t *s, const json_t *before)
{
    const json_t *r = json_object_get(s, "requests"), *old = json_object_get(before, "requests");
    uint64_t ms = number(s, "uptime_ms") - number(before, "uptime_ms");
    double rate =
        (double)(number(r, "total") - number(old, "total")) * 1000 / (double)(ms == 0 ? 1 : ms);
    struct shown in, out;

    (void)printf("%-12s %llu, %.1f a second %s; 2xx %llu, 3xx %llu, 4xx %llu, 5xx %llu\n",
                 "requests", (unsigned long long)number(r, "total"), rate,
                 before == NULL ? "since the start" : "now", (unsigned long long)number(r, "2xx"),
                 (unsigned long long)number(r, "3xx"), (unsigned long long)number(r, "4xx"),
                 (unsigned long long)number(r, "5xx"));
    (void)printf("%-12s %s received, %s sent\n", "traffic", show_bytes(&in, number(r, "bytes_in")),
                 show_bytes(&out, number(r, "bytes_out")));
}

static void show_waits(const json_t *list, const char *what)
{
    const json_t *bucket;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    (void)printf("%-12s %s", "", what);
    json_array_foreach(list, i, bucket)
    {
        unsigned long long to_ms = number(bucket, "to_ms"), n = number(bucket, "n");

        (void)fputs(i == 0 ? " " : ", ", stdout);
        if (to_ms > 0)
            (void)printf("%llu ms: %llu", to_ms, n);
        else
            (void)printf("more: %llu", n);
    }
    (void)putchar('\n');
}

static void show_handshakes(const json_t *s)
{
    const json_t *h = json_object_get(s, "handshakes"), *d = json_object_get(h, "dropped");

    (void)printf("%-12s %s; %llu full (%.0f us of CPU each), %llu resumed (%.0f us), %llu failed; "
                 "%llu waiting%s\n",
                 "handshakes", text(h, "state"), (unsigned long long)number(h, "full"),
                 json_number_value(json_object_get(h, "cpu_us_per_full")),
                 (unsigned long long)number(h, "resumed"),
                 json_number_value(json_object_get(h, "cpu_us_per_resumed")),
                 (unsigned long long)number(h, "failed"), (unsigned long long)number(h, "waiting"),
                 flag(h, "accept_paused") ? ", accepting rests" : "");
    (void)printf("%-12s dropped: %llu waited too long, %llu had left, %llu refused in a lasting "
                 "overload, %llu too many of an address, %llu too often; accepting rested %llu "
                 "times, %llu ms\n",
                 "", (unsigned long long)number(d, "late"), (unsigned long long)number(d, "gone"),
                 (unsigned long long)number(d, "shed"),
                 (unsigned long long)number(d, "at_once_of_address"),
                 (unsigned long long)number(d, "rate_of_address"),
                 (unsigned long long)number(h, "accept_pauses"),
                 (unsigned long long)number(h, "accept_pause_ms"));
    show_waits(json_object_get(h, "served_after"), "served within");
    show_waits(json_object_get(h, "dropped_after"), "dropped within");
}

static void show_certificates(const json_t *s)
{
    const json_t *c = json_object_get(s, "certificates");
    const json_t *nearest = json_object_get(c, "nearest_expiry");
    const json_t *last = json_object_get(c, "last_reload");

    if (nearest == NULL)
        return;
    (void)printf("%-12s %llu bundle%s, %llu expired; the next to expire is %s: %.10s",
                 "certificates", (unsigned long long)number(c, "bundles"),
                 number(c, "bundles") == 1 ? "" : "s", (unsigned long long)number(c, "expired"),
                 text(nearest, "bundle"), text(nearest, "time"));
    if (last != NULL)
        (void)printf("; last reload %.19sZ by %s: %s", text(last, "time"), text(last, "trigger"),
                     text(last, "result"));
    (void)putchar('\n');
}

/* ---- Tables ---- */

static void show_ports(const json_t *s)
{
    struct table t;
    const json_t *port;
    size_t i;

    table_init(&t, "PORT|TLS|STATE|>CONNECTIONS|ADDRESS");
    json_array_foreach(json_object_get(s, "ports"), i, port)
    {
        const json_t *addresses = json_object_get(port, "addresses");

        table_cell(&t, "%s", text(port, "name"));
        table_cell(&t, "%s", flag(port, "tls") ? "yes" : "no");
        table_cell(&t, "%s", text(port, "state"));
        table_cell(&t, "%llu", (unsigned long long)number(port, "connections"));
        table_cell(&t, "%s%s",
                   json_array_size(addresses) > 0 ? json_string_value(json_array_get(addresses, 0))
                                                  : "-",
                   json_array_size(addresses) > 1 ? " ..." : "");
    }
    (void)putchar('\n');
    table_print(&t, stdout);
}

static void add_server(struct table *t, const char *backend, const json_t *server)
{
    struct shown retry;

    table_cell(t, "%s", backend);
    table_cell(t, "%s", text(server, "name"));
    table_cell(t, "%s", text(server, "state"));
    table_cell(t, "%llu", (unsigned long long)number(server, "connections"));
    table_cell(t, "%llu", (unsigned long long)number(server, "failures"));
    table_cell(t, "%s",
               number(server, "failures") == 0
                   ? "-"
                   : show_duration(&retry, number(server, "retry_in_ms")));
}

static void show_backends(const json_t *s)
{
    const json_t *backend, *server;
    struct table t;
    size_t i, k;

    if (json_array_size(json_object_get(s, "backends")) == 0)
        return;
    table_init(&t, "BACKEND|SERVER|STATE|>CONNECTIONS|>FAILURES|>RETRY IN");
    json_array_foreach(json_object_get(s, "backends"), i, backend)
        json_array_foreach(json_object_get(backend, "servers"), k, server)
            add_server(&t, text(backend, "name"), server);
    (void)putchar('\n');
    table_print(&t, stdout);
}

static void show_threads(const json_t *s)
{
    const json_t *thread;
    struct table t;
    size_t i;

    table_init(&t,
               "THREAD|>CPU|>CONNECTIONS|>ACTIVE|>IDLE|>HANDSHAKES|>WAITING|>OLDEST|>NICE|STATE");
    json_array_foreach(json_object_get(s, "threads"), i, thread)
    {
        const json_t *h = json_object_get(thread, "handshakes");
        struct shown cpu, wait;

        table_cell(&t, "%s", text(thread, "name"));
        table_cell(&t, "%s", show_duration(&cpu, number(thread, "cpu_ms")));
        table_cell(&t, "%llu", (unsigned long long)number(thread, "open"));
        table_cell(&t, "%llu", (unsigned long long)number(thread, "active"));
        table_cell(&t, "%llu", (unsigned long long)number(thread, "idle"));
        table_cell(&t, h == NULL ? "-" : "%llu", (unsigned long long)number(h, "open"));
        table_cell(&t, h == NULL ? "-" : "%llu", (unsigned long long)number(h, "waiting"));
        table_cell(&t, "%s", h == NULL ? "-" : show_duration(&wait, number(h, "oldest_wait_ms")));
        table_cell(&t, h == NULL ? "-" : "%llu", (unsigned long long)number(h, "nice"));
        table_cell(&t, "%s",
                   flag(h, "overloaded")      ? "overloaded"
                   : flag(h, "accept_paused") ? "full"
                                              : "-");
    }
    (void)putchar('\n');
    table_print(&t, stdout);
}

static void show(const json_t *s, const json_t *before)
{
    show_process(s);
    show_connections(s);
    show_requests(s, before);
    show_handshakes(s);
    show_certificates(s);
    show_ports(s);
    show_backends(s);
    show_threads(s);
}

/* ---- The command ---- */

struct status {
    struct admin_options options;
    uint32_t watch_s; /* 0: once */
    json_t *before;   /* owned */
};

static int show_reply(struct status *st, const struct admin_reply *reply)
{
    if (st->options.json) {
        (void)fwrite(reply->body.p, 1, reply->body.len, stdout);
        return EXIT_DONE;
    }
    json_t *now = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    if (now == NULL) {
        (void)fputs("sallyport status: the answer is no JSON\n", stderr);
        return EXIT_REFUSED;
    }
    if (st->watch_s > 0 && isatty(STDOUT_FILENO))
        (void)fputs("\033[H\033[2J", stdout); /* home, clear: ECMA-48 */
    show(now, st->before);
    (void)fflush(stdout);
    json_decref(st->before);
    st->before = now;
    return EXIT_DONE;
}

static int ask_once(struct status *st)
{
    const struct admin_call call = {.command = &command_status,
                                    .options = &st->options,
                                    .path = "/status",
                                    .timeout_ms = TIMEOUT_MS};
    struct admin_reply reply;
    int status = EXIT_REFUSED;

    if (admin_client_ask_ok(&call, &reply))
        status = show_reply(st, &reply);
    admin_reply_fini(&reply);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {
        ADMIN_OPTION_ROWS, {"watch", required_argument, NULL, 'w'}, OPTION_ROW_HELP, {0}};
    struct status st = {0};
    int letter;

    while ((letter = option_next(&command_status, argc, argv, ADMIN_OPTION_LETTERS "w:", longs)) !=
           OPTION_END) {
        if (admin_option(&st.options, letter))
            continue;
        if (letter != 'w')
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        if (!option_number(optarg, 1, 86400, &st.watch_s))
            return command_misused(&command_status, "\"%s\" is no number of seconds", optarg);
    }
    if (optind < argc)
        return command_misused(&command_status, "\"%s\" is one argument too many", argv[optind]);
    int status = ask_once(&st);
    while (status == EXIT_DONE && st.watch_s > 0) {
        const struct timespec pause = {.tv_sec = st.watch_s};

        (void)nanosleep(&pause, NULL);
        status = ask_once(&st);
    }
    json_decref(st.before);
    return status;
}

const struct command command_status = {
    .name = "status",
    .summary = "What a running program does, and how it is.",
    .usage = "status [--socket PATH | -c FILE] [--json] [--watch N]",
    .options = ADMIN_OPTION_HELP
    "  -w, --watch N       every N seconds again, with the rates of the time between\n",
    .run = run,
};
