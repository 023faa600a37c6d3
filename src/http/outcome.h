/* How a request ended, for the counters and the program's log. */
#pragma once

#include <sallyport/base/view.h>
#include <sallyport/http/http_error.h>

#include <stdbool.h>
#include <stdint.h>

struct outcome {
    uint16_t status; /* that the client was told; 0: nothing */
    enum http_error error;
    bool cut;           /* the response had begun and was not ended */
    struct view client; /* for the log; printable */
    struct view request_id;
};
void outcome_count(const struct outcome *o);
