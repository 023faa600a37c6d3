#include "cert_results.h"

#include "server_internal.h"

#include <sallyport/base/clock.h>

const char *cert_trigger_label(enum cert_trigger trigger)
{
    static const char *const labels[] = {
#define X(id, label) label,
        CERT_TRIGGERS(X)
#undef X
    };

    return labels[trigger];
}

const char *cert_result_label(enum cert_result result)
{
    static const char *const labels[] = {
#define X(id, label) label,
        CERT_RESULTS(X)
#undef X
    };

    return labels[result];
}

void cert_results_add(struct server *s, enum cert_trigger trigger, enum cert_result result)
{
    server_lock(s);
    s->cert_results.n[trigger][result]++;
    s->cert_results.last_ms = clock_wall_ms();
    s->cert_results.last_trigger = trigger;
    s->cert_results.last_result = result;
    server_unlock(s);
}
