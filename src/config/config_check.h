/* What holds between the objects of a configuration. */
#pragma once

#include "conf_reader.h"

/* Adds what is wrong; warnings only where nothing is. */
void config_check(struct conf_reader *r, const struct config *c, const json_t *json);
