/* The known name that somebody may have meant. */
#pragma once

#include <sallyport/base/view.h>

struct nearest {
    struct view meant;
    struct view best; /* so far; p NULL: none near enough */
    size_t distance;  /* of best */
};

void nearest_init(struct nearest *n, struct view meant);
/* `known` has to live as long as the answer is used. */
void nearest_offer(struct nearest *n, struct view known);
