/* sallyport man: the manual pages, from the help texts. */
#include "help_options.h"

#include <sallyport/base/version.h>

/* In roff a "-" is a hyphen and "\-" a minus sign; a "." or "'" at the beginning of a line would be
 * a request (groff(7)). */
static void put(struct view v)
{
    if (v.len > 0 && (v.p[0] == '.' || v.p[0] == '\''))
        (void)fputs("\\&", stdout);
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] == '\\')
            (void)fputs("\\e", stdout);
        else if (v.p[i] == '-')
            (void)fputs("\\-", stdout);
        else
            (void)putchar(v.p[i]);
    }
}

static void put_line(const char *before, struct view v)
{
    (void)fputs(before, stdout);
    put(v);
    (void)putchar('\n');
}

static void print_options(const struct command *c)
{
    struct view rest = view_of(c->options);
    bool option, paragraph = false;
    struct help_option o;

    if (rest.len > 0)
        (void)puts(".SH OPTIONS");
    while (help_next(&rest, &o, &option)) {
        if (option) {
            (void)puts(".TP");
            put_line(".B ", o.text);
        }
        if (!option && o.help.len == 0)
            paragraph = true;
        else if (paragraph) {
            (void)puts(option ? "" : ".PP");
            paragraph = false;
        }
        if (o.help.len > 0)
            put_line("", o.help);
    }
}

static void print_title(const char *name, const char *summary)
{
    (void)printf(".TH \"%s\" 1 \"\" \"sallyport %s\" \"User Commands\"\n.SH NAME\n", name,
                 SALLYPORT_VERSION);
    put(view_of(name));
    (void)fputs(" \\- ", stdout);
    put(view_of(summary));
    (void)puts("\n.SH SYNOPSIS");
}

static void print_command(const struct command *c)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "sallyport-%s", c->name);
    print_title(name, c->summary);
    put_line(".B sallyport ", view_of(c->usage));
    print_options(c);
    (void)puts(".SH EXIT STATUS\n0 done; 1 understood and refused, with the reason; 2 not "
               "understood, with the usage.\n.SH SEE ALSO\n.BR sallyport (1)");
}

static void print_program(void)
{
    print_title("sallyport", "TLS-terminating edge proxy: the HTTPS front door for backends");
    (void)puts(".B sallyport\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH COMMANDS");
    for (size_t i = 0; i < n_commands; i++) {
        (void)printf(".TP\n.BR sallyport\\-%s (1)\n", commands[i]->name);
        put_line("", view_of(commands[i]->summary));
    }
    (void)puts(".SH EXIT STATUS\n0 done; 1 understood and refused, with the reason; 2 not "
               "understood, with the usage.");
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {OPTION_ROW_HELP, {0}};
    int letter = option_next(&command_man, argc, argv, "", longs);
    const struct command *command;

    if (letter != OPTION_END)
        return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
    if (optind + 1 < argc)
        return command_misused(&command_man, "one command at a time");
    if (optind == argc) {
        print_program();
        return EXIT_DONE;
    }
    command = command_find(view_of(argv[optind]));
    if (command == NULL)
        return command_misused(&command_man, "no command \"%s\"", argv[optind]);
    print_command(command);
    return EXIT_DONE;
}

const struct command command_man = {
    .name = "man",
    .summary = "The manual page of the program or of a command, for man(1).",
    .usage = "man [COMMAND]",
    .options = "  COMMAND             its page: sallyport man status | man -l -\n",
    .run = run,
};
