/* All trusts of the process stand in a list, so that whoever needs one like another is given that.
 * `loading` is held while files are read, `listed` for a few instructions: the last one to let go
 * may be a thread with connections. */
#include "client_trust.h"

#include <sallyport/config/bundle.h>

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t listed = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

/* ---- References ---- */

struct client_trust *client_trust_ref(struct client_trust *trust)
{
    if (trust != NULL)
        atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
    return trust;
}

/* Of one that is found in the list: the last holder may just be letting go. */
static bool try_ref(struct client_trust *trust)
{
    unsigned refs = atomic_load_explicit(&trust->refs, memory_order_relaxed);

    while (refs != 0) {
        if (atomic_compare_exchange_weak_explicit(&trust->refs, &refs, refs + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    }
    return false;
}

static void trust_free(struct client_trust *trust)
{
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
    free(trust);
}

void client_trust_unref(struct client_trust *trust)
{
    if (trust == NULL || atomic_fetch_sub_explicit(&trust->refs, 1, memory_order_acq_rel) != 1)
        return;
    (void)pthread_mutex_lock(&listed);
    list_remove(&trust->link);
    (void)pthread_mutex_unlock(&listed);
    trust_free(trust);
}

/* ---- Loading ---- */

uint64_t client_trust_policy_of(const struct client_auth_conf *conf)
{
    uint64_t hash = config_client_auth_hash(conf);

    return hash == CLIENT_POLICY_NONE || hash == CLIENT_POLICY_MANY ? 1 : hash;
}

static bool is_like(const struct client_trust *trust, uint64_t policy,
                    const struct file_stamp stamps[2])
{
    return trust->policy == policy && file_stamp_eq(&trust->ca_stamp, &stamps[0]) &&
           file_stamp_eq(&trust->crl_stamp, &stamps[1]);
}

/* One with these settings whose files are what they were; NULL: there is none. */
static struct client_trust *find(const struct client_auth_conf *conf)
{
    uint64_t policy = client_trust_policy_of(conf);
    struct file_stamp stamps[2] = {{0}, {0}};
    struct client_trust *found = NULL;
    struct list *n;

    file_stamp_take(conf->ca_file, &stamps[0]);
    if (conf->crl_file.len > 0)
        file_stamp_take(conf->crl_file, &stamps[1]);
    (void)pthread_mutex_lock(&listed);
    list_for_each (n, &all) {
        struct client_trust *trust = container_of(n, struct client_trust, link);

        if (is_like(trust, policy, stamps) && try_ref(trust)) {
            found = trust;
            break;
        }
    }
    (void)pthread_mutex_unlock(&listed);
    return found;
}

static void enlist(struct client_trust *trust)
{
    (void)pthread_mutex_lock(&listed);
    list_push_back(&all, &trust->link);
    (void)pthread_mutex_unlock(&listed);
}

static struct client_trust *trust_new(const struct client_auth_conf *conf, struct cert_load *load)
{
    struct client_trust *trust = calloc(1, sizeof(*trust));

    if (trust == NULL) {
        cert_load_nomem(load, conf->ca_file);
        return NULL;
    }
    atomic_init(&trust->refs, 1);
    trust->mode = conf->mode;
    trust->forward = conf->forward;
    trust->max_forward_bytes = conf->max_forward_bytes;
    trust->policy = client_trust_policy_of(conf);
    if (!client_trust_read(trust, conf, load)) {
        trust_free(trust);
        return NULL;
    }
    enlist(trust);
    return trust;
}

struct client_trust *client_trust_load(const struct client_auth_conf *conf, struct cert_load *load)
{
    struct client_trust *trust;

    (void)pthread_mutex_lock(&loading);
    trust = find(conf);
    if (trust == NULL)
        trust = trust_new(conf, load);
    (void)pthread_mutex_unlock(&loading);
    return trust;
}
