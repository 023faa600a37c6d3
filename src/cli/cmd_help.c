/* sallyport help. */
#include "command.h"

#include <sallyport/config/config.h>

static int explain(const char *subject, bool markdown)
{
    if (view_eq(view_of(subject), VIEW("config"))) {
        (markdown ? config_print_markdown : config_print_reference)(stdout);
        return EXIT_DONE;
    }
    if (markdown)
        return command_misused(&command_help, "--markdown is for \"config\"");
    const struct command *command = command_find(view_of(subject));
    if (command == NULL)
        return command_misused(&command_help, "no command \"%s\"", subject);
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
        return command_misused(&command_help, "--markdown is for \"config\"");
    command_print_list(stdout);
    return EXIT_DONE;
}

const struct command command_help = {
    .name = "help",
    .summary = "Explain a command, or \"config\": every key of the configuration.",
    .usage = "help [COMMAND | config [--markdown]]",
    .options = "  -m, --markdown      the keys as Markdown, as in the manual\n",
    .run = run,
};
