/* sallyport completion: what a shell needs to complete command lines, from the help texts. */
#include "help_options.h"

static void print_words(const struct command *c)
{
    struct view rest = view_of(c->options);
    struct help_option o;
    bool option;

    (void)printf("    %s) words=\"--help", c->name);
    while (help_next(&rest, &o, &option)) {
        if (option && o.long_name.len > 0)
            (void)printf(" " VIEW_FMT, VIEW_ARG(o.long_name));
        else if (option && o.short_name.len > 0)
            (void)printf(" " VIEW_FMT, VIEW_ARG(o.short_name));
    }
    (void)puts("\" ;;");
}

static void print_bash(void)
{
    (void)puts(
        "# Completion of sallyport for bash: source it, or install it as\n"
        "# share/bash-completion/completions/sallyport.\n"
        "_sallyport()\n"
        "{\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
        "    COMPREPLY=()\n"
        "    case $before in\n"
        "    -c | --config | -s | --socket) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); "
        "return ;;\n"
        "    esac\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    (void)fputs("        words=\"", stdout);
    for (size_t i = 0; i < n_commands; i++)
        (void)printf("%s%s", i == 0 ? "" : " ", commands[i]->name);
    (void)puts("\"\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
               "        return\n"
               "    fi\n"
               "    case ${COMP_WORDS[1]} in");
    for (size_t i = 0; i < n_commands; i++)
        print_words(commands[i]);
    (void)puts("    esac\n"
               "    if [[ $word == -* ]]; then\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
               "    else\n"
               "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
               "    fi\n"
               "}\n"
               "complete -o filenames -F _sallyport sallyport");
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {OPTION_ROW_HELP, {0}};
    int letter = option_next(&command_completion, argc, argv, "", longs);

    if (letter != OPTION_END)
        return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
    if (optind + 1 != argc)
        return command_misused(&command_completion, "for which shell? (bash)");
    if (!view_eq(view_of(argv[optind]), VIEW("bash")))
        return command_misused(&command_completion, "\"%s\" is no shell that is known here (bash)",
                               argv[optind]);
    print_bash();
    return EXIT_DONE;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "What a shell needs to complete the commands and their options.",
    .usage = "completion bash",
    .options = "  bash                the only shell so far: . <(sallyport completion bash)\n",
    .run = run,
};
