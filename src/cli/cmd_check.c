/* sallyport check: says whether `run` would take a configuration. Needs no DNS, no root and no free
 * port; the certificates and keys have to be readable, as for `run`. */
#include "command.h"

#include <sallyport/app/certificates.h>
#include <sallyport/app/text.h>

struct check {
    const char *path;
    bool json;
    bool certificates; /* read them too */
    uint32_t n_told;   /* members of the JSON list so far */
};

/* The beginning of one member of "problems". */
static void json_problem(struct check *k, bool warning)
{
    (void)printf("%s\n    {\"level\": \"%s\", ", k->n_told++ == 0 ? "" : ",",
                 warning ? "warning" : "error");
}

static void json_text(const char *name, struct view value, const char *end)
{
    (void)printf("\"%s\": ", name);
    text_json(stdout, value);
    (void)fputs(end, stdout);
}

static void tell_config(struct check *k, const struct config_problems *problems)
{
    if (!k->json) {
        config_problems_print(problems, stderr);
        return;
    }
    for (uint32_t i = 0; i < problems->n; i++) {
        const struct config_problem *p = &problems->v[i];

        json_problem(k, p->warning);
        (void)printf("\"line\": %u, \"column\": %u, ", p->line, p->column);
        json_text("pointer", p->pointer, ", ");
        json_text("text", p->text, "}");
    }
}

static void tell_certificate(void *arg, const struct certificates_problem *p)
{
    struct check *k = arg;

    if (!k->json) {
        (void)fprintf(stderr, "%s: " VIEW_FMT ": %s" VIEW_FMT "%s" VIEW_FMT "\n", k->path,
                      VIEW_ARG(p->pointer), p->warning ? "warning: " : "", VIEW_ARG(p->file),
                      p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
        return;
    }
    json_problem(k, p->warning);
    json_text("pointer", p->pointer, ", ");
    json_text("file", p->file, ", ");
    json_text("text", p->text, "}");
}

static bool certificates_ok(struct check *k, const struct config *config)
{
    return !k->certificates ||
           certificates_check(config, &(struct certificates_reporter){tell_certificate, k});
}

static int check(struct check *k)
{
    struct config_problems problems;

    config_problems_init(&problems);
    struct config *config = config_load(k->path, &problems);
    if (k->json) {
        (void)fputs("{\n  ", stdout);
        json_text("file", view_of(k->path), ",\n  \"problems\": [");
    }
    tell_config(k, &problems);
    bool ok = config != NULL && certificates_ok(k, config);
    if (k->json)
        (void)printf("%s],\n  \"ok\": %s\n}\n", k->n_told > 0 ? "\n  " : "", ok ? "true" : "false");
    else if (ok)
        (void)printf("%s: ok\n", k->path);
    config_problems_fini(&problems);
    config_unref(config);
    return ok ? EXIT_DONE : EXIT_REFUSED;
}

enum { OPTION_NO_CERTIFICATES = 256 };

static int run(int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'},
        {"no-certificates", no_argument, NULL, OPTION_NO_CERTIFICATES},
        OPTION_ROW_HELP,
        {0}};
    struct check k = {.certificates = true};
    int letter;

    while ((letter = option_next(&command_check, argc, argv, "j", longs)) != OPTION_END) {
        switch (letter) {
        case 'j': k.json = true; break;
        case OPTION_NO_CERTIFICATES: k.certificates = false; break;
        default: return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        }
    }
    if (optind + 1 != argc)
        return command_misused(&command_check, "%s",
                               optind == argc ? "which configuration?" : "one at a time");
    k.path = argv[optind];
    return check(&k);
}

const struct command command_check = {
    .name = "check",
    .summary = "Say whether a configuration is fit to run, and all that is wrong with it.",
    .usage = "check FILE [--json] [--no-certificates]",
    .options = "  -j, --json              the problems as JSON on standard output\n"
               "      --no-certificates   do not open certificates and keys\n"
               "\n"
               "Exit status: 0 fit, 1 not, 2 usage. Warnings do not count.\n",
    .run = run,
};
