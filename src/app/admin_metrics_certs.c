/* Metrics of certificates. A line for each bundle and metric: 10,000 bundles are 2 MB of text,
 * about what a collector takes in one go; so nothing here is by certificate or by name. */
#include "admin_metrics.h"
#include "server_internal.h"

#include <inttypes.h>

typedef uint64_t (*bundle_value)(const struct cert_bundle *bundle);

static uint64_t expiry_of(const struct cert_bundle *bundle)
{
    int64_t at_s = cert_bundle_not_after_s(bundle);

    return at_s < 0 ? 0 : (uint64_t)at_s;
}

static uint64_t handshakes_of(const struct cert_bundle *bundle)
{
    return cert_bundle_use(bundle).handshakes;
}

static uint64_t failed_of(const struct cert_bundle *bundle)
{
    return cert_bundle_use(bundle).failed;
}

/* `named`: with the first of its names. */
static void put_bundles(FILE *out, const struct server *s, const char *name, bool named,
                        bundle_value value)
{
    for (uint32_t i = 0; i < cert_set_n(s->certs); i++) {
        const struct cert_bundle *bundle = cert_set_at(s->certs, i);

        (void)fprintf(out, "%s{", name);
        admin_metrics_label(out, "bundle", cert_bundle_name(bundle));
        if (named) {
            (void)putc(',', out);
            admin_metrics_label(out, "name",
                                cert_bundle_n_names(bundle) > 0 ? cert_bundle_host(bundle, 0)
                                                                : VIEW(""));
        }
        (void)fprintf(out, "} %" PRIu64 "\n", value(bundle));
    }
}

static void put_reloads(FILE *out, const struct cert_results *results)
{
    const char *name = "sallyport_certificate_reloads_total";

    admin_metrics_help(out, name, "counter",
                       "changes of certificates, by who or what began them and what came of it");
    for (int t = 0; t < CERT_TRIGGER_COUNT; t++) {
        for (int r = 0; r < CERT_RESULT_COUNT; r++) {
            (void)fprintf(out, "%s{trigger=\"%s\",result=\"%s\"} %" PRIu64 "\n", name,
                          cert_trigger_label((enum cert_trigger)t),
                          cert_result_label((enum cert_result)r), results->n[t][r]);
        }
    }
    if (results->last_ms == 0)
        return;
    name = "sallyport_certificate_last_reload_timestamp_seconds";
    admin_metrics_help(out, name, "gauge", "when the last of these was, since the epoch");
    (void)fprintf(out, "%s %" PRId64 "\n", name, results->last_ms / 1000);
    name = "sallyport_certificate_last_reload_good";
    admin_metrics_help(out, name, "gauge", "1: nothing was refused in it");
    (void)fprintf(out, "%s %d\n", name, results->last_result == CERT_RESULT_OK);
}

void admin_metrics_certs(FILE *out, const struct server *s)
{
    static const struct {
        const char *name, *type, *help;
        bool named;
        bundle_value value;
    } rows[] = {
        {"sallyport_certificate_expiry_timestamp_seconds", "gauge",
         "when the first certificate of a bundle expires, since the epoch; with one of its names",
         true, expiry_of},
        {"sallyport_certificate_handshakes_total", "counter",
         "completed handshakes that a bundle was chosen for", false, handshakes_of},
        {"sallyport_certificate_handshakes_failed_total", "counter",
         "handshakes that failed after a bundle had been chosen", false, failed_of},
    };

    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        admin_metrics_help(out, rows[i].name, rows[i].type, rows[i].help);
        put_bundles(out, s, rows[i].name, rows[i].named, rows[i].value);
    }
    put_reloads(out, &s->cert_results);
}
