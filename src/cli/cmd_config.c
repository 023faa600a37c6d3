/* sallyport config: the configuration of a running program, and what is known about its keys. Each
 * verb is a row; the ones that ask a running program stand in config_verbs.c. */
#include "command.h"

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
    {"schema", schema},
    {"explain", explain},
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
    .summary = "The keys of the configuration: as a JSON Schema, or one of them explained.",
    .usage = "config schema | explain KEY",
    .options =
        "  schema              the JSON Schema of a configuration, for editors\n"
        "  explain KEY         what a key is for: \"/ports/443/alpn\", or a name, \"alpn\"\n",
    .run = run,
};
