/* sallyport help. */
#include "command.h"

#include <sallyport/app/admin.h>
#include <sallyport/config/config.h>

/* What can be explained besides commands. */
static const struct subject {
    const char *name;
    void (*text)(FILE *out);
    void (*markdown)(FILE *out);
} subjects[] = {
    {"config", config_print_reference, config_print_markdown},
    {"control", admin_print_reference, admin_print_markdown},
};

static int explain(const char *name, bool markdown)
{
    for (size_t i = 0; i < SP_COUNT_OF(subjects); i++) {
        if (!view_eq(view_of(name), view_of(subjects[i].name)))
            continue;
        (markdown ? subjects[i].markdown : subjects[i].text)(stdout);
        return EXIT_DONE;
    }
    if (markdown)
        return command_misused(&command_help, "--markdown is for \"config\" and \"control\"");
    const struct command *command = command_find(view_of(name));
    if (command == NULL)
        return command_misused(&command_help, "no command \"%s\"", name);
    command_print_help(command, stdout);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {
        {"markdown", no_argument, NULL, 'm'}, OPTION_ROW_HELP, {0}};
    bool markdown = false;
    int letter;

    while ((letter = option_next(&command_help, argc, argv, "m", longs)) != OPTION_END) {
        if (letter != 'm')
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        markdown = true;
    }
    if (optind + 1 < argc)
        return command_misused(&command_help, "one subject at a time");
    if (optind < argc)
        return explain(argv[optind], markdown);
    if (markdown)
        return command_misused(&command_help, "--markdown is for \"config\" and \"control\"");
    command_print_list(stdout);
    return EXIT_DONE;
}

const struct command command_help = {
    .name = "help",
    .summary = "Explain a command, every key of the configuration, or the control socket.",
    .usage = "help [COMMAND | (config | control) [--markdown]]",
    .options = "  config              every key of the configuration\n"
               "  control             every request that the control socket takes\n"
               "  -m, --markdown      the same as Markdown, as in the manual\n",
    .run = run,
};
