/* sallyport config: the configuration of a running program, and what is known about its keys. Each
 * verb is a row; the ones that ask a running program stand in config_verbs.c. */
#include "admin_client.h"
#include "config_verbs.h"

#include <sallyport/base/compiler.h>
#include <sallyport/config/schema.h>

static int misused_verb(const char *verb, const char *what)
{
    return command_misused(&command_config, "%s: %s", verb, what);
}

static int schema(int argc, char **argv)
{
    if (argc > 1)
        return misused_verb(argv[0], "takes no arguments");
    if (config_print_schema(stdout))
        return EXIT_DONE;
    (void)fputs("sallyport config: the schema could not be written\n", stderr);
    return EXIT_REFUSED;
}

static int explain(int argc, char **argv)
{
    struct view nearest;

    if (argc != 2)
        return misused_verb(argv[0], "which key?");
    if (config_explain(view_of(argv[1]), stdout, &nearest))
        return EXIT_DONE;
    (void)fprintf(stderr, "sallyport config: no key \"%s\"", argv[1]);
    if (nearest.len > 0)
        (void)fprintf(stderr, "; did you mean \"" VIEW_FMT "\"?", VIEW_ARG(nearest));
    (void)fputc('\n', stderr);
    return EXIT_REFUSED;
}

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
} verbs[] = {
    {"show", config_show},       {"get", config_get},         {"set", config_set},
    {"remove", config_remove},   {"patch", config_patch},     {"apply", config_apply},
    {"diff", config_diff},       {"confirm", config_confirm}, {"rollback", config_rollback},
    {"history", config_history}, {"schema", schema},          {"explain", explain},
};

static int run(int argc, char **argv)
{
    if (argc < 2)
        return command_misused(&command_config, "what about it?");
    for (size_t i = 0; i < SP_COUNT_OF(verbs); i++)
        if (view_eq(view_of(argv[1]), view_of(verbs[i].name)))
            return verbs[i].run(argc - 1, argv + 1);
    if (view_eq(view_of(argv[1]), VIEW("--help")) || view_eq(view_of(argv[1]), VIEW("-h"))) {
        command_print_help(&command_config, stdout);
        return EXIT_DONE;
    }
    return command_misused(&command_config, "\"%s\" is nothing that it does", argv[1]);
}

const struct command command_config = {
    .name = "config",
    .summary = "Look at the configuration of a running program, change it, undo a change.",
    .usage = "config VERB [WORDS] [OPTIONS]",
    .options =
        "  show [N]            the configuration that holds, or that of revision N\n"
        "  get POINTER         one value of it: \"/routes/0/backend\"\n"
        "  set POINTER VALUE   another value there; what is no JSON is a string\n"
        "  remove POINTER      no value there\n"
        "  patch FILE          a JSON Patch (a list) or a JSON Merge Patch (an object)\n"
        "  apply FILE          another configuration as a whole; \"-\" is standard input\n"
        "  diff [A B]          what differs between what runs and its file, or two revisions\n"
        "  confirm             what was applied with --confirm stays\n"
        "  rollback [N]        back to revision N, or to the one before\n"
        "  history             the revisions that are kept\n"
        "  schema              the JSON Schema of a configuration, for editors\n"
        "  explain KEY         what a key is for: \"/ports/443/alpn\", or a name, \"alpn\"\n"
        "\n"
        "      --confirm TIME  undo it after \"60s\", \"5m\" or \"1h\" unless it is confirmed\n"
        "      --dry-run       only say what would change\n"
        "      --comment TEXT  why, for the history\n"
        "  -y, --yes           do not ask\n" ADMIN_OPTION_HELP "\n"
        "On a terminal a change shows its plan first, and asks.\n",
    .run = run,
};
