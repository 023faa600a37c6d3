/* Filling a plan. */
#pragma once

#include <sallyport/config/diff.h>

/* Take copies into the plan's arena. False: out of memory. */
bool config_plan_add_change(struct config_plan *p, const struct config_change *change)
    SP_MUST_CHECK;
bool config_plan_add_effect(struct config_plan *p, const struct config_effect *effect)
    SP_MUST_CHECK;
