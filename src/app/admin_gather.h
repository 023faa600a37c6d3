/* Asks every thread with connections a question, and waits for the answers: from ET_TASK.
 *
 *     g = admin_gather_new(core, sizeof(struct part), &filter, sizeof(filter), fini);
 *     complete = admin_gather_run(g, visit, 1000);
 *     ... admin_gather_part(g, i), for those that answered ...
 *     admin_gather_unref(g);
 *
 * A thread that does not answer in time is left out; it may still answer later, into memory that it
 * keeps alive. `visit` runs on the thread that is asked: short, no blocking, no foreign memory but
 * the part and the question. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/net/net_core.h>

#include <stdbool.h>
#include <stddef.h>

struct admin_gather;
typedef void (*admin_visit)(struct net_handler *nh, const void *question, void *part);

/* `question` is copied. `part_fini`, NULL or what frees a part's own memory. NULL: out of memory.
 */
struct admin_gather *admin_gather_new(struct net_core *core, size_t part_size, const void *question,
                                      size_t question_size, void (*part_fini)(void *part))
    SP_MUST_CHECK;
/* Once. False: not every thread answered within that long. */
bool admin_gather_run(struct admin_gather *g, admin_visit visit, int64_t timeout_ms);
void admin_gather_unref(struct admin_gather *g);

int admin_gather_count(const struct admin_gather *g);
/* NULL: that thread did not answer. */
void *admin_gather_part(struct admin_gather *g, int i);
struct ethread *admin_gather_thread(const struct admin_gather *g, int i);
