/* Stands in front of malloc, calloc, realloc, strdup, strndup and free of the code under test (the
 * linker's --wrap) and makes the nth allocation fail. Allocations inside shared libraries are not
 * seen. Only one thread may allocate between arming and counting. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* From now on the nth allocation (0 is the next) fails, once, and live ones are counted from 0. */
void failing_alloc_arm(unsigned nth);
/* Was it reached? Disarms. */
bool failing_alloc_hit(void);
/* Allocated since failing_alloc_arm() and not freed. */
long failing_alloc_live(void);
