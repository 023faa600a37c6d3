/* sallyport handshakes: how the handshakes of a running program went, and those that failed. */
#include "admin_client.h"
#include "shown.h"
#include "table.h"

#include <jansson.h>

#include <string.h>

#define TIMEOUT_MS     10000
#define SHOWN          20 /* failures below the numbers of all */
#define LINE_MAX_BYTES 65536

enum { OPTION_FAILED = 256, OPTION_FOLLOW, OPTION_LIMIT };

struct question {
    struct admin_options options;
    bool failed, follow;
    uint32_t limit; /* UINT32_MAX: not given */
};

static const char *text(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));

    return s == NULL ? "-" : s;
}

static unsigned long long number(const json_t *object, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(object, name));

    return v < 0 ? 0 : (unsigned long long)v;
}

/* ---- Failures ---- */

/* "TLSv1.3,TLSv1.2"; "-" without any. */
static const char *joined(const json_t *list, char *dst, size_t cap)
{
    const json_t *member;
    size_t i, at = 0;

    (void)snprintf(dst, cap, "-");
    json_array_foreach(list, i, member)
    {
        int n = snprintf(dst + at, cap - at, "%s%s", i == 0 ? "" : ",",
                         json_string_value(member) == NULL ? "?" : json_string_value(member));

        if (n < 0 || (size_t)n >= cap - at)
            break;
        at += (size_t)n;
    }
    return dst;
}

/* Which way it went, and its name. */
static const char *alert_of(const json_t *f, char *dst, size_t cap)
{
    if (json_object_get(f, "alert_received") != NULL)
        (void)snprintf(dst, cap, "< %s", text(f, "alert_received"));
    else if (json_object_get(f, "alert_sent") != NULL)
        (void)snprintf(dst, cap, "> %s", text(f, "alert_sent"));
    else
        (void)snprintf(dst, cap, "-");
    return dst;
}

static void add_row(struct table *t, const json_t *f)
{
    char versions[64], alpn[64], alert[64];

    table_cell(t, "%s", text(f, "time"));
    table_cell(t, "%s", text(f, "port"));
    table_cell(t, "%s", text(f, "peer"));
    table_cell(t, "%s", text(f, "sni"));
    table_cell(t, "%s", joined(json_object_get(f, "versions"), versions, sizeof(versions)));
    table_cell(t, "%s", joined(json_object_get(f, "alpn"), alpn, sizeof(alpn)));
    table_cell(t, "%s", text(f, "ja4"));
    table_cell(t, "%s", alert_of(f, alert, sizeof(alert)));
    table_cell(t, "%s", text(f, "err"));
    table_cell(t, "%s", text(f, "reason"));
}

static void show_failures(const json_t *list)
{
    const json_t *f;
    struct table t;
    size_t i;

    table_init(&t, "TIME|PORT|PEER|NAME|VERSIONS|ALPN|JA4|ALERT|ERR|REASON");
    json_array_foreach(list, i, f) add_row(&t, f);
    table_print(&t, stdout);
}

/* ---- All in numbers ---- */

static void show_counts(const char *title, const json_t *counts)
{
    const char *name;
    const json_t *n;
    bool any = false;

    (void)printf("%-10s", title);
    json_object_foreach((json_t *)(uintptr_t)counts, name, n)
    {
        if (json_integer_value(n) == 0)
            continue;
        (void)printf("%s%s %lld", any ? ", " : " ", name, (long long)json_integer_value(n));
        any = true;
    }
    (void)printf("%s\n", any ? "" : " -");
}

static void show_totals(const json_t *totals)
{
    (void)printf("%-10s %llu full", "completed", number(totals, "full"));
    if (number(totals, "full") > 0)
        (void)printf(" (%llu us of CPU each)", number(totals, "full_cpu_us"));
    (void)printf(", %llu resumed", number(totals, "resumed"));
    if (number(totals, "resumed") > 0)
        (void)printf(" (%llu us)", number(totals, "resumed_cpu_us"));
    (void)printf("\n");
    show_counts("versions", json_object_get(totals, "versions"));
    show_counts("ciphers", json_object_get(totals, "ciphers"));
    show_counts("groups", json_object_get(totals, "groups"));
    show_counts("tickets", json_object_get(totals, "tickets"));
    (void)printf("%-10s %llu\n", "failed", number(totals, "failed"));
    show_counts("reasons", json_object_get(totals, "reasons"));
}

static int show(const struct question *q, const struct admin_reply *reply)
{
    json_t *answer = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    const json_t *failed = json_object_get(answer, "failed");

    if (answer == NULL) {
        (void)fputs("sallyport handshakes: the answer is no JSON\n", stderr);
        return EXIT_REFUSED;
    }
    if (!q->failed) {
        show_totals(json_object_get(answer, "totals"));
        if (json_array_size(failed) > 0)
            (void)printf("\n");
    }
    show_failures(failed);
    json_decref(answer);
    return EXIT_DONE;
}

/* ---- One after the other ---- */

/* What has come of the next line. */
struct follower {
    bool json;
    size_t len;
    char line[LINE_MAX_BYTES];
};

static void show_line(const struct follower *f)
{
    char versions[64], alpn[64], alert[64], line[1024];
    json_t *failure;

    if (f->json) {
        (void)printf("%.*s\n", (int)f->len, f->line);
        return;
    }
    failure = json_loadb(f->line, f->len, 0, NULL);
    if (failure == NULL)
        return;
    (void)snprintf(
        line, sizeof(line),
        "%s  %s  %s  name=%s versions=%s alpn=%s ja4=%s alert=\"%s\" err=%s  %s",
        text(failure, "time"), text(failure, "port"), text(failure, "peer"), text(failure, "sni"),
        joined(json_object_get(failure, "versions"), versions, sizeof(versions)),
        joined(json_object_get(failure, "alpn"), alpn, sizeof(alpn)), text(failure, "ja4"),
        alert_of(failure, alert, sizeof(alert)), text(failure, "err"), text(failure, "reason"));
    (void)printf("%s\n", show_plain(line));
    json_decref(failure);
}

/* A line that is longer than any can be is cut. */
static bool take_piece(void *arg, struct view piece)
{
    struct follower *f = arg;

    for (size_t i = 0; i < piece.len; i++) {
        if (piece.p[i] == '\n') {
            show_line(f);
            f->len = 0;
        } else if (f->len < sizeof(f->line)) {
            f->line[f->len++] = piece.p[i];
        }
    }
    return fflush(stdout) == 0;
}

static int follow(const struct question *q)
{
    static struct follower f;
    const struct admin_call call = {.command = &command_handshakes,
                                    .options = &q->options,
                                    .path = "/handshakes?follow",
                                    .piece = take_piece,
                                    .arg = &f};
    struct admin_reply reply;
    bool ok;

    f.json = q->options.json;
    ok = admin_client_ask_ok(&call, &reply);
    admin_reply_fini(&reply);
    return ok ? EXIT_DONE : EXIT_REFUSED;
}

static int print_body(const struct admin_reply *reply)
{
    size_t n = fwrite(reply->body.p, 1, reply->body.len, stdout);

    return n == reply->body.len ? EXIT_DONE : EXIT_REFUSED;
}

static int ask(const struct question *q)
{
    char path[64];
    const struct admin_call call = {.command = &command_handshakes,
                                    .options = &q->options,
                                    .path = path,
                                    .timeout_ms = TIMEOUT_MS};
    uint32_t limit = q->limit != UINT32_MAX ? q->limit : q->failed ? 1000 : SHOWN;
    struct admin_reply reply;
    int status = EXIT_REFUSED;

    (void)snprintf(path, sizeof(path), "/handshakes?limit=%u%s", limit, q->failed ? "&failed" : "");
    if (admin_client_ask_ok(&call, &reply))
        status = q->options.json ? print_body(&reply) : show(q, &reply);
    admin_reply_fini(&reply);
    return status;
}

static bool take(struct question *q, int letter)
{
    switch (letter) {
    case OPTION_FAILED: q->failed = true; return true;
    case OPTION_FOLLOW: q->follow = true; return true;
    case OPTION_LIMIT: return option_number(optarg, 0, 1000, &q->limit);
    default: return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {ADMIN_OPTION_ROWS,
                                          {"failed", no_argument, NULL, OPTION_FAILED},
                                          {"follow", no_argument, NULL, OPTION_FOLLOW},
                                          {"limit", required_argument, NULL, OPTION_LIMIT},
                                          OPTION_ROW_HELP,
                                          {0}};
    struct question q = {.limit = UINT32_MAX};
    int letter;

    while ((letter = option_next(&command_handshakes, argc, argv, ADMIN_OPTION_LETTERS, longs)) !=
           OPTION_END) {
        if (admin_option(&q.options, letter))
            continue;
        if (letter == OPTION_HELP || letter == OPTION_MISUSED)
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        if (!take(&q, letter))
            return command_misused(&command_handshakes, "--limit takes a number from 0 to 1000");
    }
    if (optind < argc)
        return command_misused(&command_handshakes, "\"%s\" is one argument too many",
                               argv[optind]);
    return q.follow ? follow(&q) : ask(&q);
}

const struct command command_handshakes = {
    .name = "handshakes",
    .summary = "How the handshakes of a running program went, and those that failed.",
    .usage = "handshakes [--socket PATH | -c FILE] [--json] [--failed] [--follow] [--limit N]",
    .options =
        ADMIN_OPTION_HELP "      --failed        only those that failed, all of the last 1,000\n"
                          "      --follow        goes on: each one that fails from now on\n"
                          "      --limit N       how many failures at the most, the newest\n",
    .run = run,
};
