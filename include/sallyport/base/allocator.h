/* Which malloc(3) the program runs with. */
#pragma once

/* "mimalloc" or "glibc", and its version. Static. */
const char *allocator_name(void);
const char *allocator_version(void);
