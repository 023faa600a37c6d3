/* What "sallyport config" asks a running program. argv[0] is the verb. */
#pragma once

#include "command.h"

int config_show(int argc, char **argv);
int config_get(int argc, char **argv);
int config_set(int argc, char **argv);
int config_remove(int argc, char **argv);
int config_patch(int argc, char **argv);
int config_apply(int argc, char **argv);
int config_diff(int argc, char **argv);
int config_confirm(int argc, char **argv);
int config_rollback(int argc, char **argv);
int config_history(int argc, char **argv);
