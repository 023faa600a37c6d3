/* The program's own log: one line an event, key=value, subjects whose level can be changed while
 * running. Never keys, tickets, cookies; peer bytes only through log_escape().
 *
 *     LOG_WARN(TLS, "vc=%" PRIu64 " err=%s", vc->id, sp_err_label(err));
 *     2026-11-23T04:10:00.123Z warn tls vc=17 err=tls_version
 *
 * Thread: any; formatting happens on the caller, the write on the sink's thread (log_sink.h), so
 * that a slow disk or a stopped terminal never holds a data thread. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(id, label) */
#define LOG_LEVELS(X) \
    X(TRACE, "trace") X(DEBUG, "debug") X(INFO, "info") X(WARN, "warn") X(ERROR, "error")
/* X(id, label, what it speaks of) */
#define LOG_SUBJECTS(X)                          \
    X(APP, "app", "start, stop, signals")        \
    X(CONF, "conf", "configuration")             \
    X(EVENT, "event", "threads and timers")      \
    X(NET, "net", "listeners and connections")   \
    X(TLS, "tls", "handshakes and certificates") \
    X(HTTP, "http", "requests")                  \
    X(UPSTREAM, "upstream", "backends")          \
    X(DNS, "dns", "name resolution")             \
    X(ADMIN, "admin", "the control socket")

enum log_level {
#define X(id, label) LOG_LEVEL_##id,
    LOG_LEVELS(X)
#undef X
        LOG_LEVEL_COUNT
};
enum log_subject {
#define X(id, label, text) LOG_SUBJECT_##id,
    LOG_SUBJECTS(X)
#undef X
        LOG_SUBJECT_COUNT
};

extern _Atomic unsigned char log_threshold[LOG_SUBJECT_COUNT];

#define LOG_ENABLED(subject, level) \
    (LOG_LEVEL_##level >=           \
     atomic_load_explicit(&log_threshold[LOG_SUBJECT_##subject], memory_order_relaxed))
#define LOG_AT(subject, level, ...)                                           \
    do {                                                                      \
        if (LOG_ENABLED(subject, level))                                      \
            log_write(LOG_SUBJECT_##subject, LOG_LEVEL_##level, __VA_ARGS__); \
    } while (0)
#define LOG_TRACE(subject, ...) LOG_AT(subject, TRACE, __VA_ARGS__)
#define LOG_DEBUG(subject, ...) LOG_AT(subject, DEBUG, __VA_ARGS__)
#define LOG_INFO(subject, ...)  LOG_AT(subject, INFO, __VA_ARGS__)
#define LOG_WARN(subject, ...)  LOG_AT(subject, WARN, __VA_ARGS__)
#define LOG_ERROR(subject, ...) LOG_AT(subject, ERROR, __VA_ARGS__)

/* For lines that a peer can cause: at most LOG_BURST lines a second from this place; what was left
 * out is counted in the next line that gets through ("suppressed=N"). */
#define LOG_BURST 10
struct log_limiter {
    _Atomic int64_t second;
    _Atomic uint32_t in_second;
    _Atomic uint32_t suppressed;
};
#define LOG_LIMITED(subject, level, ...)                                                         \
    do {                                                                                         \
        static struct log_limiter limiter_;                                                      \
        if (LOG_ENABLED(subject, level))                                                         \
            log_write_limited(&limiter_, LOG_SUBJECT_##subject, LOG_LEVEL_##level, __VA_ARGS__); \
    } while (0)

void log_write(enum log_subject subject, enum log_level level, const char *fmt, ...)
    SP_PRINTF(3, 4);
void log_write_limited(struct log_limiter *limiter, enum log_subject subject, enum log_level level,
                       const char *fmt, ...) SP_PRINTF(4, 5);

/* "info", or "warn,tls=debug,net=trace": a default ("info" if left out) and exceptions. False: not
 * understood, and nothing changed. */
bool log_set_levels(struct view spec);

/* Peer bytes made fit for a log line: printable ASCII stays, the rest becomes \xHH, a long text is
 * cut with "...". Always terminates; returns dst. cap >= 8. */
const char *log_escape(char *dst, size_t cap, struct view bytes);
