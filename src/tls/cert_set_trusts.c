/* What the ports of a configuration ask of clients: read with the bundles, in one transaction. */
#include "cert_set_internal.h"

#include <stdlib.h>

static struct client_trust *find(const struct cert_set *set, uint64_t policy)
{
    for (uint32_t i = 0; set != NULL && i < set->n_trusts; i++)
        if (set->trusts[i]->policy == policy)
            return set->trusts[i];
    return NULL;
}

struct client_trust *cert_set_client_trust(const struct cert_set *set,
                                           const struct client_auth_conf *conf)
{
    return conf->mode == CLIENT_AUTH_OFF ? NULL : find(set, client_trust_policy_of(conf));
}

/* The one of the older set, where its files are not to be looked at; else read, or found unchanged.
 */
static struct client_trust *load(const struct port_conf *port, const struct cert_set_options *o,
                                 struct client_trust *old, bool *nomem)
{
    struct cert_load loading = {
        .reporter = o->reporter, .refuse_expired = o->refuse_expired, .port = port->name};
    bool looks = o->look == CERT_LOOK_FILES && o->n_only == 0;
    struct client_trust *trust;

    if (old != NULL && !looks)
        return client_trust_ref(old);
    trust = client_trust_load(&port->tls_conf.client_auth, &loading);
    *nomem = *nomem || loading.nomem;
    return trust;
}

/* False: refused, and told. */
static bool take_port(struct cert_set *set, const struct port_conf *port,
                      const struct cert_set_options *o, bool *nomem)
{
    const struct client_auth_conf *conf = &port->tls_conf.client_auth;
    struct client_trust *old, *trust;

    if (!port->tls || conf->mode == CLIENT_AUTH_OFF || cert_set_client_trust(set, conf) != NULL)
        return true;
    old = o->old == NULL ? NULL : cert_set_client_trust(o->old, conf);
    trust = load(port, o, old, nomem);
    if (trust == NULL) {
        set->n_trusts_failed++;
        if (!o->partial || old == NULL)
            return false;
        trust = client_trust_ref(old);
    }
    set->trusts[set->n_trusts++] = trust;
    return true;
}

enum sp_err cert_set_take_trusts(struct cert_set *set, const struct cert_set_options *o)
{
    bool ok = true, nomem = false;

    set->trusts = calloc((size_t)o->n_ports + 1, sizeof(struct client_trust *));
    if (set->trusts == NULL)
        return SP_NOMEM;
    for (uint32_t i = 0; i < o->n_ports; i++)
        ok = take_port(set, &o->ports[i], o, &nomem) && ok;
    return nomem ? SP_NOMEM : ok ? SP_OK : SP_INVALID;
}

void cert_set_drop_trusts(struct cert_set *set)
{
    for (uint32_t i = 0; i < set->n_trusts; i++)
        client_trust_unref(set->trusts[i]);
    free(set->trusts);
}

uint32_t cert_set_n_changed_rules(const struct cert_set *set, const struct cert_set *old)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < set->n_trusts; i++)
        n += find(old, set->trusts[i]->policy) != set->trusts[i];
    return n;
}

int64_t cert_set_client_auth_until_s(const struct cert_set *set,
                                     const struct client_auth_conf *conf)
{
    const struct client_trust *trust = cert_set_client_trust(set, conf);

    return trust == NULL ? INT64_MAX : trust->good_until_s;
}

uint32_t cert_set_n_refused_ports(const struct cert_set *set)
{
    return set->n_trusts_failed;
}
