/* In whole numbers: a tenth is a digit of its own. */
#include "shown.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

char *show_plain(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
    return text;
}

const char *show_bytes(struct shown *s, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned shift = 10;
    size_t i = 0;

    if (bytes < 1024) {
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " B", bytes);
        return s->text;
    }
    for (; bytes >> shift >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
        shift += 10;
    (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 ".%u %s", bytes >> shift,
                   (unsigned)((bytes >> (shift - 10)) % 1024 * 10 / 1024), units[i]);
    return s->text;
}

const char *show_duration(struct shown *s, uint64_t ms)
{
    uint64_t seconds = ms / 1000;

    if (ms < 1000)
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " ms", ms);
    else if (seconds < 60)
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 ".%u s", seconds,
                       (unsigned)(ms % 1000 / 100));
    else if (seconds < 3600)
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " min %" PRIu64 " s", seconds / 60,
                       seconds % 60);
    else if (seconds < 86400)
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                       seconds / 60 % 60);
    else
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " d %" PRIu64 " h", seconds / 86400,
                       seconds / 3600 % 24);
    return s->text;
}
