/* sallyport run: reads the configuration and serves. */
#include "command.h"

#include <sallyport/app/server.h>

static int run_file(const char *path)
{
    struct config_problems problems;

    config_problems_init(&problems);
    struct config *config = config_load(path, &problems);
    config_problems_print(&problems, stderr);
    config_problems_fini(&problems);
    if (config == NULL)
        return EXIT_REFUSED;
    int status = server_run(config);
    config_unref(config);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, OPTION_ROW_HELP, {0}};
    const char *path = NULL;
    int letter;

    while ((letter = option_next(&command_run, argc, argv, "c:", longs)) != OPTION_END) {
        if (letter != 'c')
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        path = optarg;
    }
    if (optind < argc)
        return command_misused(&command_run, "\"%s\" is one argument too many", argv[optind]);
    if (path == NULL)
        return command_misused(&command_run, "which configuration?");
    return run_file(path);
}

const struct command command_run = {
    .name = "run",
    .summary = "Serve what a configuration says, until SIGTERM or SIGINT.",
    .usage = "run -c FILE",
    .options = "  -c, --config FILE   the configuration\n"
               "\n"
               "SIGTERM, SIGINT       drain, then end; a second one ends at once\n"
               "SIGUSR1               open the log files again\n"
               "SIGUSR2               write the counters to the log\n",
    .run = run,
};
