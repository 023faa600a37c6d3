/* What the help texts of the commands say, taken apart: the only place where options are listed for
 * people is where completion and manual pages get them from. */
#pragma once

#include "command.h"

/* One line of a command's options, "  -s, --socket PATH   the control socket". */
struct help_option {
    struct view text;                  /* "-s, --socket PATH", or "PORT" */
    struct view long_name, short_name; /* "--socket", "-s"; empty: none */
    struct view value;                 /* "PATH"; empty: it takes none */
    struct view help;                  /* of this line */
};

/* The next line. False: the end. `*option` is false for one that is no option (an empty line, a
 * continuation, a sentence), which is in out->help then. */
bool help_next(struct view *rest, struct help_option *out, bool *option);
