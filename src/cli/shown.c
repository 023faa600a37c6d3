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
    static const struct {
        const char *large, *small;
        uint64_t seconds, of_small; /* in the large unit; in the small one */
    } units[] = {{"d", "h", 86400, 3600}, {"h", "min", 3600, 60}, {"min", "s", 60, 1}};
    uint64_t seconds = ms / 1000;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint64_t large = seconds / units[i].seconds;

        if (large == 0)
            continue;
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " %s %" PRIu64 " %s", large,
                       units[i].large, seconds % units[i].seconds / units[i].of_small,
                       units[i].small);
        return s->text;
    }
    unsigned tenth = (unsigned)(ms % 1000 / 100);
    if (seconds == 0)
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " ms", ms);
    else
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 ".%u s", seconds, tenth);
    return s->text;
}
