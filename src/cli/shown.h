/* Quantities as people read them. */
#pragma once

#include <stdint.h>

struct shown {
    char text[48];
};
/* Names of strangers on a terminal: what would move its cursor becomes "?" (also the controls of
 * two bytes that UTF-8 has). In place; returns `text`. */
char *show_plain(char *text);
/* "512 B", "4.5 MiB" */
const char *show_bytes(struct shown *s, uint64_t bytes);
/* "20 ms", "1.5 s", "3 min 5 s", "2 h 10 min", "3 d 4 h" */
const char *show_duration(struct shown *s, uint64_t ms);
