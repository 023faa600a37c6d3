/* The certificates of all TLS ports, only to see whether they are fit. */
#include <sallyport/app/certificates.h>

bool certificates_check(const struct config *config, const struct cert_reporter *reporter)
{
    bool ok = true;

    for (uint32_t i = 0; i < config->n_ports; i++) {
        enum sp_err err = SP_OK;

        if (!config->ports[i].tls)
            continue;
        struct cert_store *store = cert_store_new(&config->ports[i].tls_conf, reporter, &err);
        ok = ok && store != NULL;
        cert_store_unref(store);
    }
    return ok;
}
