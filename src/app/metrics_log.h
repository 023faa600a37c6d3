/* The counters as lines of the log. */
#pragma once

#include <sallyport/base/log.h>

/* "metric net_accepted=12", a line for each that is not 0. */
void metrics_log(enum log_level level);
