/* Options of a command. */
#include "command.h"

/* The argument that getopt_long(3) stumbled over: a letter inside a cluster, or a whole word. */
static int misused(const struct command *c, char **argv, bool without_value)
{
    const char *what = without_value ? "needs a value" : "is not an option";

    /* A long one stands just before optind; letters of a cluster may still be under way. */
    if (optind > 0 && argv[optind - 1] != NULL &&
        view_starts_with(view_of(argv[optind - 1]), VIEW("--")))
        return command_misused(c, "%s %s", argv[optind - 1], what);
    return command_misused(c, "-%c %s", optopt, what);
}

int option_next(const struct command *c, int argc, char **argv, const char *letters,
                const struct option *longs)
{
    char all[64];

    opterr = 0;
    (void)snprintf(all, sizeof(all), ":h%s", letters);
    /* The main thread, before there is another. */
    int letter = getopt_long(argc, argv, all, longs, NULL); /* NOLINT(concurrency-mt-unsafe) */
    if (letter == OPTION_HELP)
        command_print_help(c, stdout);
    if (letter == ':' || letter == '?') {
        (void)misused(c, argv, letter == ':');
        return OPTION_MISUSED;
    }
    return letter;
}

bool option_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t n = 0;

    if (text[0] == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > max)
            return false;
    }
    if (n < min)
        return false;
    *out = (uint32_t)n;
    return true;
}

void option_rewind(void)
{
    optind = 0; /* glibc: also forgets where it stood inside a cluster, man 3 getopt, NOTES */
}
