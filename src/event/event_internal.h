/* Shared by the files of this folder only. */
#pragma once

#include <sallyport/event/event_processor.h>

/* NULL: out of memory. Not yet known to any thread. */
struct event *event_new(struct ethread *t, struct continuation *c, int64_t at_ms, int64_t period_ms,
                        int code, void *cookie);
/* On the thread that runs it: into its timers or its list of due ones. */
void event_admit(struct event *e, struct ethread *t);
/* Calls it, and frees it or arms it again. */
void event_run(struct event *e, struct ethread *t);
/* At thread end: frees every event that was still to come. */
void event_discard_all(struct ethread *t);
/* What a thread that never ran would have done at its end, done by the caller. */
void ethread_wind_up_unstarted(struct ethread *t);
/* The thread's main function. */
void *ethread_main(void *arg);
