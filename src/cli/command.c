/* The table of commands, and what they share: finding one, its help, its mistakes. */
#include "command.h"

#include <sallyport/config/nearest.h>

#include <stdarg.h>

const struct command *const commands[] = {
    &command_run,         &command_check,      &command_config,  &command_certs, &command_status,
    &command_connections, &command_handshakes, &command_drain,   &command_stop,  &command_origin,
    &command_completion,  &command_man,        &command_version, &command_help,
};
const size_t n_commands = SP_COUNT_OF(commands);

const struct command *command_find(struct view name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (view_eq(name, view_of(commands[i]->name)))
            return commands[i];
    return NULL;
}

void command_print_list(FILE *out)
{
    (void)fputs("usage: sallyport COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < n_commands; i++)
        (void)fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    (void)fputs("\n\"sallyport help COMMAND\" tells more.\n", out);
}

void command_print_help(const struct command *c, FILE *out)
{
    (void)fprintf(out, "usage: sallyport %s\n\n%s\n", c->usage, c->summary);
    if (c->options[0] != '\0')
        (void)fprintf(out, "\n%s", c->options);
}

int command_misused(const struct command *c, const char *fmt, ...)
{
    va_list args;

    (void)fprintf(stderr, "sallyport %s: ", c->name);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nusage: sallyport %s\n", c->usage);
    return EXIT_USAGE;
}

/* Named, with the one that was perhaps meant. */
static void tell_unknown(struct view name)
{
    struct nearest nearest;

    nearest_init(&nearest, name);
    for (size_t i = 0; i < n_commands; i++)
        nearest_offer(&nearest, view_of(commands[i]->name));
    (void)fprintf(stderr, "sallyport: no command \"" VIEW_FMT "\"", VIEW_ARG(name));
    if (nearest.best.p != NULL)
        (void)fprintf(stderr, "; did you mean \"" VIEW_FMT "\"?", VIEW_ARG(nearest.best));
    (void)fputs("\n\n", stderr);
}

const struct command *command_chosen(int argc, char **argv)
{
    if (argc < 2) {
        command_print_list(stderr);
        return NULL;
    }
    struct view name = view_of(argv[1]);
    if (view_eq(name, VIEW("--help")) || view_eq(name, VIEW("-h")))
        return &command_help;
    if (view_eq(name, VIEW("--version")) || view_eq(name, VIEW("-V")))
        return &command_version;
    const struct command *command = command_find(name);
    if (command == NULL) {
        tell_unknown(name);
        command_print_list(stderr);
    }
    return command;
}
