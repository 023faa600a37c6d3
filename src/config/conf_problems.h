/* Collecting what is wrong with a file. */
#pragma once

#include <sallyport/config/config.h>

/* Takes copies; control characters become '?'. False: out of memory, and nothing is added. */
bool conf_problems_add(struct config_problems *p, const struct config_problem *problem)
    SP_MUST_CHECK;
/* Forgets all others: the list would not be whole. Cannot fail. */
void conf_problems_set_nomem(struct config_problems *p);
/* Finds the place of every problem in the text (valid JSON), quotes the line, brings the problems
 * into the order of the file and drops those said twice. */
bool conf_problems_locate(struct config_problems *p, struct view text) SP_MUST_CHECK;
/* Quotes the line around `offset` of the text. */
bool conf_problem_quote(struct config_problems *p, struct config_problem *problem, struct view text,
                        size_t offset) SP_MUST_CHECK;
/* The source line with the caret under the place; nothing without a quote. */
void conf_problem_print_quote(const struct config_problem *problem, FILE *out);
