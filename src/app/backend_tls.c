#include "backend_tls.h"

#include <sallyport/tls/ssl_client.h>

#include <stdlib.h>

/* Backends that name the same file share what is in it. */
struct known_trust {
    struct view ca_file;
    struct ssl_trust *trust; /* owned reference; NULL: the file is no good, which was told */
};

struct making {
    const struct certificates_reporter *reporter;
    struct backend_tls *out;
    struct known_trust *known; /* owned; room for one a backend */
    uint32_t n_known;
    const struct backend_conf *backend; /* that is being made */
    bool ok;
};

static void tell(struct making *m, const char *key, struct view file, struct view text,
                 bool warning)
{
    char pointer[CERTIFICATES_POINTER_MAX];
    const struct certificates_problem problem = {
        .pointer = certificates_pointer(pointer, "/backends/", m->backend->name,
                                        key[0] == '\0' ? "/tls" : "/tls/", key),
        .file = file,
        .text = text,
        .warning = warning,
    };

    m->reporter->report(m->reporter->arg, &problem);
    m->ok = m->ok && warning;
}

static void tell_client(void *arg, const struct ssl_client_problem *p)
{
    tell(arg, p->key, p->file, p->text, p->warning);
}

/* Of a server that is not the backend's first: the same has been told. */
static void tell_nobody(void *arg, const struct ssl_client_problem *p)
{
    (void)arg;
    (void)p;
}

static void tell_no_memory(struct making *m)
{
    tell(m, "", (struct view){NULL, 0}, view_of(sp_err_text(SP_NOMEM)), false);
}

static struct ssl_trust *trust_of(struct making *m, struct view ca_file)
{
    const struct ssl_client_reporter reporter = {.report = tell_client, .arg = m};
    struct known_trust *known = m->known;
    enum sp_err err;

    for (; known < m->known + m->n_known; known++)
        if (view_eq(known->ca_file, ca_file))
            return known->trust;
    known->ca_file = ca_file;
    known->trust = ssl_trust_new(ca_file, &reporter, &err);
    if (known->trust == NULL && err == SP_NOMEM)
        tell_no_memory(m);
    m->n_known++;
    return known->trust;
}

static struct tls_client *client_of(struct making *m, struct ssl_trust *trust, uint32_t i)
{
    const struct tls_client_conf *conf = &m->backend->tls;
    const struct ssl_client_reporter reporter = {.report = i == 0 ? tell_client : tell_nobody,
                                                 .arg = m};
    const struct ssl_client_options options = {
        .trust = trust,
        .server_name = conf->server_name.len > 0 ? conf->server_name : m->backend->servers[i].host,
        .certificate = conf->certificate,
        .key = conf->key,
        .preset = conf->preset,
        .alpn = m->backend->protocol == BACKEND_H2 ? ALPN_H2 : ALPN_HTTP11,
        .alpn_required = m->backend->protocol == BACKEND_H2,
    };
    enum sp_err err;
    struct tls_client *client = ssl_client_new(&options, &reporter, &err);

    if (client == NULL && err == SP_NOMEM)
        tell_no_memory(m);
    m->ok = m->ok && client != NULL;
    return client;
}

/* Goes on after a backend that fails, so that everything that is wrong is told at once. */
static void make_backend(struct making *m, const struct backend_conf *backend)
{
    struct ssl_trust *trust = NULL;

    m->backend = backend;
    if (backend->tls.enabled && backend->tls.verify) {
        trust = trust_of(m, backend->tls.ca_file);
        m->ok = m->ok && trust != NULL;
    }
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        bool wanted = backend->tls.enabled && (trust != NULL || !backend->tls.verify);

        m->out->clients[m->out->n++] = wanted ? client_of(m, trust, i) : NULL;
    }
}

static uint32_t count_servers(const struct config *config)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < config->n_backends; i++)
        n += config->backends[i].n_servers;
    return n;
}

static void make_all(struct making *m, const struct config *config)
{
    for (uint32_t i = 0; i < config->n_backends; i++)
        make_backend(m, &config->backends[i]);
    for (uint32_t i = 0; i < m->n_known; i++)
        ssl_trust_unref(m->known[i].trust);
}

bool backend_tls_make(struct backend_tls *out, const struct config *config,
                      const struct certificates_reporter *reporter)
{
    struct making m = {.reporter = reporter, .out = out, .ok = true};

    *out = (struct backend_tls){0};
    if (config->n_backends == 0)
        return true;
    m.backend = &config->backends[0]; /* whom a want of memory is told of */
    m.known = calloc(config->n_backends, sizeof(*m.known));
    out->clients = calloc(count_servers(config), sizeof(struct tls_client *));
    if (m.known == NULL || out->clients == NULL)
        tell_no_memory(&m);
    else
        make_all(&m, config);
    free(m.known);
    if (!m.ok)
        backend_tls_fini(out);
    return m.ok;
}

void backend_tls_fini(struct backend_tls *b)
{
    for (uint32_t i = 0; b->clients != NULL && i < b->n; i++)
        tls_client_unref(b->clients[i]);
    free(b->clients);
    *b = (struct backend_tls){0};
}
