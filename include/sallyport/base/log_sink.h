/* A file, or standard error, that many threads write whole lines to without ever waiting for it.
 *
 * log_sink_write() copies the line into a bounded queue and returns; one thread per sink drains it
 * with write(2). A line that finds the queue full is dropped and counted, and the next line that
 * fits is preceded by the count. Used for the program's log and for the access log. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <stdint.h>

struct log_sink;

struct log_sink_options {
    const char *path;  /* appended to, mode 0640; NULL: standard error; "-": standard output */
    size_t cap_bytes;  /* of the queue; 0: 1 MiB */
    const char *label; /* for the thread's name and the notice of dropped lines */
};

/* Opens the file and starts the writer. Cannot start: SP_SYSCALL (errno says why) or SP_NOMEM. */
enum sp_err log_sink_open(const struct log_sink_options *options, struct log_sink **out)
    SP_MUST_CHECK;
/* One line without its newline, at most 60 KiB (a longer one counts as dropped). Any thread, never
 * blocks. NULL sink: nothing happens. */
void log_sink_write(struct log_sink *sink, struct view line);
/* Opens the path again (log rotation). On failure the old file stays in use. Any thread; the
 * switch happens on the writer. A line written after this goes to the new file. */
void log_sink_reopen(struct log_sink *sink);
uint64_t log_sink_dropped(const struct log_sink *sink);
/* Writes what is queued (at most 2 s) and ends the writer. No other thread may use the sink any
 * more. A writer that hangs in write(2) after that time is left behind with its memory. NULL is
 * accepted. */
void log_sink_close(struct log_sink *sink);

/* Where log_write() goes. NULL (as at start): straight to standard error, by the caller. Before a
 * sink is closed, set another and end the threads that may be logging. */
void log_set_sink(struct log_sink *sink);
