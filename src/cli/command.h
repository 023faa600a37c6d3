/* A subcommand: what it is called, what it says about itself, and what it does.
 *
 * What a command is asked for goes to standard output, everything else to standard error. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum exit_status {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* it was understood and could not be done; the reason was told */
    EXIT_USAGE = 2,   /* it was not understood; the usage was told */
};

struct command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *usage;   /* behind "usage: sallyport " */
    const char *options; /* a line each, for "help COMMAND" */
    /* argv[0] is the command's name. Returns the exit status of the process. */
    int (*run)(int argc, char **argv);
};

extern const struct command *const commands[];
extern const size_t n_commands;

/* The command that the program's arguments name. NULL: none; the usage and the nearest name were
 * told on standard error. "--help" and "--version" are spellings of the commands. */
const struct command *command_chosen(int argc, char **argv);
/* NULL: no such command. */
const struct command *command_find(struct view name);
/* The list of commands. */
void command_print_list(FILE *out);
/* Usage and options of one. */
void command_print_help(const struct command *c, FILE *out);
/* Says what is wrong and the usage of `c`, on standard error; EXIT_USAGE. */
int command_misused(const struct command *c, const char *fmt, ...) SP_PRINTF(2, 3);

extern const struct command command_run, command_check, command_config, command_certs,
    command_status, command_connections, command_handshakes, command_drain, command_stop,
    command_origin, command_completion, command_man, command_version, command_help;

/* Options: getopt_long(3) with our own words for mistakes. */
enum option_result {
    OPTION_END = -1,
    OPTION_HELP = 'h',    /* the help was printed: end with EXIT_DONE */
    OPTION_MISUSED = '?', /* the mistake was told: end with EXIT_USAGE */
};
/* The next option's letter, or an option_result. `letters` as getopt's, without 'h' and without a
 * leading colon; `longs` ends with a zero row and holds OPTION_ROW_HELP. */
int option_next(const struct command *c, int argc, char **argv, const char *letters,
                const struct option *longs);
#define OPTION_ROW_HELP                        \
    {                                          \
        "help", no_argument, NULL, OPTION_HELP \
    }
/* A decimal number in min..max, or false. */
bool option_number(const char *text, uint32_t min, uint32_t max, uint32_t *out);
/* Starts reading a new argv (a process reads one; tests several). */
void option_rewind(void);
