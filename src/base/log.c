/* Makes the program's log lines: time, level, subject, text; in one fixed buffer on the stack, so
 * that a log line never allocates and never fails. Where it goes is the sink's affair. */
#include "log_internal.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/log_sink.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* The longest line, newline included. What is behind is cut, with "..." in its place. */
#define LINE_BYTES   ((size_t)2048)
/* Kept free for what follows the text: "...", " suppressed=4294967295", newline and NUL. */
#define ENDING_BYTES ((size_t)32)

static const char *const level_labels[] = {
#define X(id, label) label,
    LOG_LEVELS(X)
#undef X
};
static const char *const subject_labels[] = {
#define X(id, label, text) label,
    LOG_SUBJECTS(X)
#undef X
};

_Atomic unsigned char log_threshold[LOG_SUBJECT_COUNT] = {
#define X(id, label, text) [LOG_SUBJECT_##id] = LOG_LEVEL_INFO,
    LOG_SUBJECTS(X)
#undef X
};

static _Atomic(struct log_sink *) current_sink; /* borrowed; NULL: standard error */

void log_set_sink(struct log_sink *sink)
{
    atomic_store_explicit(&current_sink, sink, memory_order_release);
}

/* ---- Lines ---- */

/* Year, month and day of a day counted from 1970-01-01, for days that are not before it. The year
 * is taken to begin in March, so that the leap day is its last. */
static void civil_of_day(int64_t day, int *year, int *month, int *mday)
{
    int64_t z = day + 719468; /* from 0000-03-01 */
    int64_t era = z / 146097, day_of_era = z % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;

    *mday = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = (int)(era * 400 + year_of_era + (*month <= 2));
}

const char *log_format_time(char dst[LOG_TIME_BYTES], int64_t wall_ms)
{
    int64_t ms = wall_ms < 0 ? 0 : wall_ms;
    int64_t second_of_day = ms / 1000 % 86400;
    int year, month, mday;

    civil_of_day(ms / 1000 / 86400, &year, &month, &mday);
    /* The remainders tell the compiler that the buffer is long enough; they change nothing. */
    (void)snprintf(dst, LOG_TIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year % 10000,
                   month % 100, mday % 100, (int)(second_of_day / 3600),
                   (int)(second_of_day / 60 % 60), (int)(second_of_day % 60), (int)(ms % 1000));
    return dst;
}

/* One event is one line, whatever its arguments held: the last line of defence, since peer bytes
 * pass log_escape() before. */
static void blank_control_bytes(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
}

/* At text + len, which has room for it. Returns the new length. */
static SP_PRINTF(3, 4) size_t add_text(char *text, size_t len, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text + len, LINE_BYTES - len, fmt, args);
    va_end(args);
    return n < 0 ? len : len + (size_t)n;
}

/* Adds the caller's text, cut to leave room for the ending. Returns the new length. */
static SP_PRINTF(3, 0) size_t
    add_body(char text[LINE_BYTES], size_t len, const char *fmt, va_list args)
{
    size_t room = LINE_BYTES - ENDING_BYTES - len;
    int n = vsnprintf(text + len, room, fmt, args);

    if (n < 0)
        return len;
    if ((size_t)n < room)
        return len + (size_t)n;
    return add_text(text, len + room - 1, "...");
}

static void put_line(char text[LINE_BYTES], size_t len)
{
    struct log_sink *sink = atomic_load_explicit(&current_sink, memory_order_acquire);
    ssize_t written;

    if (sink != NULL) {
        log_sink_write(sink, (struct view){text, len});
        return;
    }
    text[len] = '\n';
    written = write(STDERR_FILENO, text, len + 1); /* one call: lines of threads do not mix */
    (void)written;                                 /* nobody is left to tell */
}

static SP_PRINTF(4, 0) void emit(enum log_subject subject, enum log_level level,
                                 uint32_t suppressed, const char *fmt, va_list args)
{
    char text[LINE_BYTES], time[LOG_TIME_BYTES];
    int error_number = errno; /* the caller may still want it after its log line */
    size_t len = add_text(text, 0, "%s %s %s ", log_format_time(time, clock_wall_ms()),
                          level_labels[level], subject_labels[subject]);

    len = add_body(text, len, fmt, args);
    if (suppressed > 0)
        len = add_text(text, len, " suppressed=%u", suppressed);
    blank_control_bytes(text, len);
    put_line(text, len);
    errno = error_number;
}

void log_write(enum log_subject subject, enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    emit(subject, level, 0, fmt, args);
    va_end(args);
}

/* Threads that meet at the turn of a second may let a few lines more or less through; the count of
 * what was left out stays exact. */
static bool limiter_admits(struct log_limiter *limiter, uint32_t *suppressed)
{
    int64_t now = clock_mono_ms() / 1000;
    int64_t second = atomic_load_explicit(&limiter->second, memory_order_relaxed);

    if (second != now &&
        atomic_compare_exchange_strong_explicit(&limiter->second, &second, now,
                                                memory_order_relaxed, memory_order_relaxed))
        atomic_store_explicit(&limiter->in_second, 0, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&limiter->in_second, 1, memory_order_relaxed) >= LOG_BURST) {
        atomic_fetch_add_explicit(&limiter->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *suppressed = atomic_exchange_explicit(&limiter->suppressed, 0, memory_order_relaxed);
    return true;
}

void log_write_limited(struct log_limiter *limiter, enum log_subject subject, enum log_level level,
                       const char *fmt, ...)
{
    uint32_t suppressed;
    va_list args;

    if (!limiter_admits(limiter, &suppressed))
        return;
    va_start(args, fmt);
    emit(subject, level, suppressed, fmt, args);
    va_end(args);
}

/* ---- Levels ---- */

/* Cuts `v` at the first `c`: returns what is before, leaves in *rest what is behind. Without a `c`
 * everything is before, and rest->p is NULL. */
static struct view cut_at(struct view v, char c, struct view *rest)
{
    const char *at = v.len == 0 ? NULL : memchr(v.p, c, v.len);

    if (at == NULL) {
        *rest = (struct view){NULL, 0};
        return v;
    }
    *rest = (struct view){at + 1, v.len - (size_t)(at + 1 - v.p)};
    return view_head(v, (size_t)(at - v.p));
}

static bool label_find(const char *const *labels, unsigned char n, struct view label,
                       unsigned char *out)
{
    for (unsigned char i = 0; i < n; i++) {
        if (view_eq(view_of(labels[i]), label)) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* "tls=debug" */
static bool set_one(struct view subject_text, struct view level_text,
                    unsigned char wanted[LOG_SUBJECT_COUNT])
{
    unsigned char subject, level;

    if (!label_find(subject_labels, LOG_SUBJECT_COUNT, subject_text, &subject) ||
        !label_find(level_labels, LOG_LEVEL_COUNT, level_text, &level))
        return false;
    wanted[subject] = level;
    return true;
}

bool log_set_levels(struct view spec)
{
    unsigned char wanted[LOG_SUBJECT_COUNT], level = LOG_LEVEL_INFO;
    struct view items, level_text, item = cut_at(spec, ',', &items);

    if (memchr(item.len == 0 ? "" : item.p, '=', item.len) != NULL)
        items = spec; /* no default in front: that of the start */
    else if (!label_find(level_labels, LOG_LEVEL_COUNT, item, &level))
        return false;
    memset(wanted, level, sizeof(wanted));
    while (items.p != NULL) {
        item = cut_at(items, ',', &items);
        item = cut_at(item, '=', &level_text);
        if (!set_one(item, level_text, wanted))
            return false;
    }
    for (size_t i = 0; i < LOG_SUBJECT_COUNT; i++)
        atomic_store_explicit(&log_threshold[i], wanted[i], memory_order_relaxed);
    return true;
}

/* ---- Peer bytes ---- */

static bool is_printable(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

/* Escapes what fits into `room` characters whole. Returns how many bytes it took; *len is what it
 * wrote. */
static size_t escape_into(char *dst, size_t room, struct view bytes, size_t *len)
{
    static const char hex[] = "0123456789abcdef";
    size_t taken = 0, n = 0;

    for (; taken < bytes.len; taken++) {
        unsigned char c = (unsigned char)bytes.p[taken];
        size_t need = is_printable(bytes.p[taken]) ? 1 : 4;

        if (need > room - n)
            break;
        if (need == 1) {
            dst[n++] = bytes.p[taken];
            continue;
        }
        dst[n++] = '\\';
        dst[n++] = 'x';
        dst[n++] = hex[c >> 4];
        dst[n++] = hex[c & 15];
    }
    *len = n;
    return taken;
}

const char *log_escape(char *dst, size_t cap, struct view bytes)
{
    size_t len;

    SP_ASSERT(cap >= 8);
    if (escape_into(dst, cap - 1, bytes, &len) < bytes.len) {
        (void)escape_into(dst, cap - sizeof("..."), bytes, &len);
        memcpy(dst + len, "...", 3);
        len += 3;
    }
    dst[len] = '\0';
    return dst;
}
