/* sallyport COMMAND [OPTIONS]: finds the command and runs it. The commands are the rows of
 * src/cli/command.c, one file each beside it. */
#include "cli/command.h"

#include <sallyport/base/allocator.h>

int main(int argc, char **argv)
{
    const struct command *command;

    allocator_keep_memory();
    command = command_chosen(argc, argv);
    return command == NULL ? EXIT_USAGE : command->run(argc - 1, argv + 1);
}
