#include "cert_names.h"
#include "cert_store_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct cert_store {
    atomic_uint refs;
    struct cert_bundle **bundles; /* owned references */
    uint32_t n_bundles;
    struct cert_names names;
    uint32_t fallback; /* bundle for who asks for no name */
    bool strict_sni;
    struct client_trust *trust; /* owned; of bundles without rules of their own; NULL: none */
    uint64_t policy;            /* of all bundles, or CLIENT_POLICY_MANY */
};

/* ---- Making one ---- */

static uint32_t index_of(const struct tls_port_conf *conf, const struct bundle_conf *bundle)
{
    uint32_t i = 0;

    while (i < conf->n_bundles && conf->bundles[i] != bundle)
        i++;
    return i;
}

static void add_bundle(struct cert_store *store, const struct cert_set *set, struct view name)
{
    struct cert_bundle *bundle = cert_set_find(set, name);

    SP_ASSERT(bundle != NULL); /* the set is of the port's configuration */
    store->bundles[store->n_bundles++] = cert_bundle_ref(bundle);
}

static void add_bundles(struct cert_store *store, const struct cert_store_options *o)
{
    const struct tls_port_conf *conf = o->conf;
    const struct bundle_conf *fallback = conf->default_bundle;

    for (uint32_t i = 0; i < conf->n_bundles; i++)
        add_bundle(store, o->set, conf->bundles[i]->name);
    store->fallback = fallback == NULL ? 0 : index_of(conf, fallback);
    /* A default may stand beside the list. */
    if (fallback != NULL && store->fallback == conf->n_bundles)
        add_bundle(store, o->set, fallback->name);
}

static bool index_names(struct cert_store *store)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < store->n_bundles; i++)
        n += store->bundles[i]->n_names;
    if (!cert_names_reserve(&store->names, n))
        return false;
    for (uint32_t i = 0; i < store->n_bundles; i++)
        for (uint32_t k = 0; k < store->bundles[i]->n_names; k++)
            cert_names_add(&store->names, store->bundles[i]->names[k], i);
    cert_names_finish(&store->names);
    return true;
}

SP_PRINTF(3, 4)
static void warn(const struct cert_reporter *reporter, struct view bundle, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    reporter->report(reporter->arg, &(const struct cert_problem){
                                        .bundle = bundle, .text = view_of(text), .warning = true});
}

/* Of two that have been there all along it was said when the later one came. */
static void tell_doubled(const struct cert_store *store, const struct cert_store_options *o)
{
    for (uint32_t i = 1; i < store->names.n; i++) {
        const struct cert_name *wins = &store->names.v[i - 1], *loses = &store->names.v[i];
        const struct cert_bundle *winner = store->bundles[wins->bundle];
        const struct cert_bundle *loser = store->bundles[loses->bundle];

        if (view_eq(wins->name, loses->name) &&
            (cert_set_is_new(o->set, winner) || cert_set_is_new(o->set, loser))) {
            warn(o->reporter, cert_bundle_name(loser),
                 "\"" VIEW_FMT "\" is served by bundle \"" VIEW_FMT "\", which comes first",
                 VIEW_ARG(loses->name), VIEW_ARG(cert_bundle_name(winner)));
        }
    }
}

/* ---- What clients have to prove ---- */

const struct client_trust *cert_store_trust(const struct cert_store *store,
                                            const struct cert_bundle *bundle)
{
    return bundle->has_client_auth ? bundle->trust : store->trust;
}

uint64_t cert_store_policy_of(const struct cert_store *store, struct view host)
{
    const struct cert_bundle *bundle = cert_store_find(store, host);

    return bundle == NULL ? CLIENT_POLICY_MANY
                          : client_trust_policy(cert_store_trust(store, bundle));
}

uint64_t cert_store_policy(const struct cert_store *store)
{
    return store->policy;
}

static uint64_t policy_of_all(const struct cert_store *store)
{
    uint64_t policy = client_trust_policy(cert_store_trust(store, store->bundles[0]));

    for (uint32_t i = 1; i < store->n_bundles; i++)
        if (client_trust_policy(cert_store_trust(store, store->bundles[i])) != policy)
            return CLIENT_POLICY_MANY;
    return policy;
}

/* ---- Life ---- */

struct cert_store *cert_store_new(const struct cert_store_options *o)
{
    struct cert_store *store = calloc(1, sizeof(*store));

    SP_ASSERT(o->conf->n_bundles > 0);
    if (store == NULL)
        return NULL;
    atomic_init(&store->refs, 1);
    store->strict_sni = o->conf->strict_sni;
    store->trust = client_trust_ref(cert_set_client_trust(o->set, &o->conf->client_auth));
    SP_ASSERT(store->trust != NULL || o->conf->client_auth.mode == CLIENT_AUTH_OFF);
    store->bundles = calloc((size_t)o->conf->n_bundles + 1, sizeof(struct cert_bundle *));
    if (store->bundles != NULL)
        add_bundles(store, o);
    if (store->bundles == NULL || !index_names(store)) {
        cert_store_unref(store);
        return NULL;
    }
    store->policy = policy_of_all(store);
    tell_doubled(store, o);
    return store;
}

struct cert_store *cert_store_ref(struct cert_store *store)
{
    atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
    return store;
}

void cert_store_unref(struct cert_store *store)
{
    if (store == NULL || atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < store->n_bundles; i++)
        cert_bundle_unref(store->bundles[i]);
    free(store->bundles);
    client_trust_unref(store->trust);
    cert_names_fini(&store->names);
    free(store);
}

/* ---- Looking names up ---- */

/* Empty: nothing that a certificate could be for. A wildcard is what only a certificate may say. */
static struct view asked_for(struct view name, char *dst)
{
    struct view normal = cert_name_normal(name, dst);

    return normal.len > 0 && normal.p[0] != '*' ? normal : (struct view){NULL, 0};
}

static struct cert_match match_of(const struct cert_store *store, enum cert_match_kind kind,
                                  const struct cert_name *found)
{
    return (struct cert_match){kind, found->name, store->bundles[found->bundle]};
}

static struct cert_match fallback_match(const struct cert_store *store, struct view name)
{
    if (name.len > 0 && store->strict_sni)
        return (struct cert_match){.kind = CERT_MATCH_REFUSED};
    return (struct cert_match){.kind = CERT_MATCH_DEFAULT,
                               .bundle = store->bundles[store->fallback]};
}

struct cert_match cert_store_match(const struct cert_store *store, struct view name)
{
    char buf[CERT_NAME_MAX];
    struct view normal = asked_for(name, buf);
    const struct cert_name *found;
    uint32_t n;

    found = cert_names_exact(&store->names, normal, &n);
    if (n > 0)
        return match_of(store, CERT_MATCH_EXACT, found);
    found = cert_names_wildcard(&store->names, normal, &n);
    return n > 0 ? match_of(store, CERT_MATCH_WILDCARD, found) : fallback_match(store, name);
}

struct cert_bundle *cert_store_find(const struct cert_store *store, struct view name)
{
    return cert_store_match(store, name).bundle;
}

uint32_t cert_store_candidates(const struct cert_store *store, struct view name,
                               struct cert_match *out, uint32_t max)
{
    char buf[CERT_NAME_MAX];
    struct view normal = asked_for(name, buf);
    const struct cert_name *exact, *wildcard;
    struct cert_match last = fallback_match(store, name);
    uint32_t n_exact, n_wildcard, n = 0;

    exact = cert_names_exact(&store->names, normal, &n_exact);
    wildcard = cert_names_wildcard(&store->names, normal, &n_wildcard);
    for (uint32_t i = 0; i < n_exact; i++, n++)
        if (n < max)
            out[n] = match_of(store, CERT_MATCH_EXACT, &exact[i]);
    for (uint32_t i = 0; i < n_wildcard; i++, n++)
        if (n < max)
            out[n] = match_of(store, CERT_MATCH_WILDCARD, &wildcard[i]);
    if (last.kind == CERT_MATCH_REFUSED)
        return n;
    if (n < max)
        out[n] = last;
    return n + 1;
}
