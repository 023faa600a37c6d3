/* Which malloc(3) the program runs with. */
#pragma once

/* "mimalloc" or "glibc", and its version. Static. */
const char *allocator_name(void);
const char *allocator_version(void);

/* Once, before anything else: memory that was freed stays with the program instead of being taken
 * out of the address space behind its back, which cost more than it gave. */
void allocator_keep_memory(void);
