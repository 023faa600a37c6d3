/* Counting outcomes. */
#include "outcome.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

enum outcome_kind { OTHER, BAD_REQUEST, TIMEOUT, BY_CLIENT, BY_UPSTREAM };

static enum outcome_kind kind_of_status(uint16_t status)
{
    switch (status) {
    case 400:
    case 413:
    case 414:
    case 417:
    case 431:
    case 501:
    case 505: return BAD_REQUEST;
    case 408:
    case 504: return TIMEOUT;
    default: return OTHER;
    }
}

static enum outcome_kind kind_of(const struct outcome *o)
{
    if (o->error == HTTP_ERROR_CLIENT_CLOSED)
        return BY_CLIENT;
    if (o->error == HTTP_ERROR_CLIENT_SEND_TIMEOUT)
        return TIMEOUT;
    if (o->cut && http_error_status(o->error) == 502)
        return BY_UPSTREAM;
    return kind_of_status(http_error_status(o->error));
}

static void count_status(uint16_t status)
{
    if (status == 101 || status / 100 == 2)
        METRIC_INC(http_responses_2xx);
    else if (status / 100 == 3)
        METRIC_INC(http_responses_3xx);
    else if (status / 100 == 4)
        METRIC_INC(http_responses_4xx);
    else if (status / 100 == 5)
        METRIC_INC(http_responses_5xx);
}

static void count_kind(enum outcome_kind kind)
{
    switch (kind) {
    case OTHER: break;
    case BAD_REQUEST: METRIC_INC(http_bad_requests); break;
    case TIMEOUT: METRIC_INC(http_timeouts); break;
    case BY_CLIENT: METRIC_INC(http_aborted_by_client); break;
    case BY_UPSTREAM: METRIC_INC(http_aborted_by_upstream); break;
    }
}

/* One that left and a wrong address are daily life and stand in the access log; what a backend did
 * has a line already. The others have a reason that an operator may want to know. */
static bool is_told_elsewhere(enum http_error error)
{
    uint16_t status = http_error_status(error);

    return error == HTTP_ERROR_CLIENT_CLOSED || error == HTTP_ERROR_NO_ROUTE || status == 502 ||
           status == 504;
}

void outcome_count(const struct outcome *o)
{
    count_status(o->status);
    if (o->error == HTTP_ERROR_NONE)
        return;
    if (o->error == HTTP_ERROR_MISDIRECTED)
        METRIC_INC(http_misdirected);
    count_kind(kind_of(o));
    if (is_told_elsewhere(o->error)) {
        LOG_DEBUG(HTTP, "client=" VIEW_FMT " id=" VIEW_FMT " status=%u error=%s",
                  VIEW_ARG(o->client), VIEW_ARG(o->request_id), o->status,
                  http_error_label(o->error));
    } else {
        LOG_LIMITED(HTTP, INFO, "client=" VIEW_FMT " id=" VIEW_FMT " status=%u error=%s%s",
                    VIEW_ARG(o->client), VIEW_ARG(o->request_id), o->status,
                    http_error_label(o->error), o->cut ? " cut=1" : "");
    }
}
