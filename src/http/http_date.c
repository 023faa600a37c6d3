/* Date by hand: strftime(3) depends on the locale and costs ten times as much. */
#include "http_date.h"

#include "text_buf.h"

#include <sallyport/base/clock.h>

#include <time.h>

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void http_date_format(int64_t second, char *dst)
{
    struct text_buf t = text_buf_over(dst, HTTP_DATE_LEN);
    time_t when = (time_t)second;
    struct tm tm = {0};

    (void)gmtime_r(&when, &tm); /* fails for years past the 31 bits of tm_year only */
    text_str(&t, day_names[tm.tm_wday]);
    text_put(&t, VIEW(", "));
    text_padded(&t, (uint64_t)tm.tm_mday, 2);
    text_char(&t, ' ');
    text_str(&t, month_names[tm.tm_mon]);
    text_char(&t, ' ');
    text_padded(&t, (uint64_t)tm.tm_year + 1900, 4);
    text_char(&t, ' ');
    text_clock(&t, tm.tm_hour, tm.tm_min, tm.tm_sec);
    text_put(&t, VIEW(" GMT"));
}

struct view http_date_now(void)
{
    static _Thread_local char text[HTTP_DATE_LEN];
    static _Thread_local int64_t of_second = -1;
    int64_t second = clock_wall_ms() / 1000;

    if (second != of_second) {
        http_date_format(second, text);
        of_second = second;
    }
    return (struct view){text, sizeof(text)};
}
