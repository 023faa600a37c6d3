/* sallyport certs: the certificates of a running program. Each verb is a row, and stands in a file
 * of its own. */
#include "certs_verbs.h"

enum { OPTION_PARTIAL = 256, OPTION_DRY_RUN, OPTION_CANARY, OPTION_CANARY_FOR, OPTION_PORT };

/* What an option is good for. */
#define OF_RELOAD  0x1U
#define OF_EXPLAIN 0x2U

static const struct verb {
    const char *name;
    int (*run)(const struct certs_asking *a);
    unsigned options; /* OF_ */
} verbs[] = {
    {"list", certs_list, 0},
    {"reload", certs_reload, OF_RELOAD},
    {"explain", certs_explain, OF_EXPLAIN},
    {"canary", certs_canary, 0},
};

/* False: end with *status. */
static bool take_options(struct certs_asking *a, const struct verb *verb, int argc, char **argv,
                         int *status)
{
    static const struct option longs[] = {
        ADMIN_OPTION_ROWS,
        {"partial", no_argument, NULL, OPTION_PARTIAL},
        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
        {"canary", required_argument, NULL, OPTION_CANARY},
        {"canary-for", required_argument, NULL, OPTION_CANARY_FOR},
        {"port", required_argument, NULL, OPTION_PORT},
        OPTION_ROW_HELP,
        {0}};
    unsigned given = 0;
    int letter;

    while ((letter = option_next(&command_certs, argc, argv, ADMIN_OPTION_LETTERS, longs)) !=
           OPTION_END) {
        if (admin_option(&a->options, letter))
            continue;
        switch (letter) {
        case OPTION_PARTIAL: a->partial = true, given |= OF_RELOAD; break;
        case OPTION_DRY_RUN: a->dry_run = true, given |= OF_RELOAD; break;
        case OPTION_CANARY: a->canary = optarg, given |= OF_RELOAD; break;
        case OPTION_CANARY_FOR: a->canary_for = optarg, given |= OF_RELOAD; break;
        case OPTION_PORT: a->port = optarg, given |= OF_EXPLAIN; break;
        default: *status = letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE; return false;
        }
    }
    a->n_words = argc - optind;
    a->words = argv + optind;
    *status = EXIT_DONE;
    if ((given & ~verb->options) != 0)
        *status = command_misused(&command_certs, "%s: not with this option", verb->name);
    return *status == EXIT_DONE;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct certs_asking a = {0};
    int status;

    return take_options(&a, verb, argc, argv, &status) ? verb->run(&a) : status;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return command_misused(&command_certs, "what about them?");
    for (size_t i = 0; i < SP_COUNT_OF(verbs); i++)
        if (view_eq(view_of(argv[1]), view_of(verbs[i].name)))
            return run_verb(&verbs[i], argc - 1, argv + 1);
    if (view_eq(view_of(argv[1]), VIEW("--help")) || view_eq(view_of(argv[1]), VIEW("-h"))) {
        command_print_help(&command_certs, stdout);
        return EXIT_DONE;
    }
    return command_misused(&command_certs, "\"%s\" is nothing that it does", argv[1]);
}

const struct command command_certs = {
    .name = "certs",
    .summary = "The certificates of a running program: list, reload, explain, try.",
    .usage = "certs VERB [WORDS] [OPTIONS]",
    .options =
        "  list                every certificate, the first to expire at the top\n"
        "  reload [BUNDLE...]  reads those whose files changed, and swaps them in if all are good\n"
        "  explain NAME        which bundle a client gets that asks for a name, and why\n"
        "  canary [VERDICT]    how the new ones do that serve a share of the handshakes;\n"
        "                      \"complete\": they serve all now, \"back\": the old ones do again\n"
        "\n"
        "      --partial       reload: the good ones change although others are refused\n"
        "      --dry-run       reload: only say what would change\n"
        "      --canary SHARE  reload: the new ones serve that share of the handshakes first, such "
        "as\n"
        "                      \"5%\", and go back by themselves when more fail than before\n"
        "      --canary-for T  reload: for how long (\"60s\"), before they serve all\n"
        "      --port PORT     explain: only on this one, named as in the "
        "configuration\n" ADMIN_OPTION_HELP "\n"
        "reload ends with 1 when anything was refused.\n",
    .run = run,
};
