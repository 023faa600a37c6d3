#include "cert_names.h"

#include <sallyport/base/log.h>

#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

/* Letters, digits and hyphens, and the underscore that is in use all the same. */
static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of at least one character with single dots between them. */
static bool is_host(struct view name)
{
    bool in_label = false;

    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '.' ? !in_label : !is_label_char(name.p[i]))
            return false;
        in_label = name.p[i] != '.';
    }
    return in_label;
}

struct view cert_name_normal(struct view name, char *dst)
{
    struct view none = {NULL, 0}, normal;
    bool wildcard;

    if (name.len > 0 && name.p[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > CERT_NAME_MAX)
        return none;
    for (size_t i = 0; i < name.len; i++)
        dst[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
    normal = (struct view){dst, name.len};
    wildcard = view_starts_with(normal, VIEW("*."));
    return is_host(wildcard ? view_from(normal, 2) : normal) ? normal : none;
}

static bool add(struct cert_names *names, struct view name, uint32_t bundle)
{
    if (names->n == names->cap) {
        uint32_t cap = names->cap == 0 ? 16 : names->cap * 2;
        struct cert_name *grown = realloc(names->v, cap * sizeof(*grown));

        if (grown == NULL)
            return false;
        names->v = grown;
        names->cap = cap;
    }
    names->v[names->n++] = (struct cert_name){name, bundle};
    return true;
}

struct adding {
    struct cert_names *names;
    struct arena *arena;
    struct cert_load *load;
    uint32_t bundle;
    uint32_t n_added;
};

static void add_name(struct adding *to, struct view file, struct view name)
{
    char normal[CERT_NAME_MAX], shown[64];
    struct view copy = cert_name_normal(name, normal);

    if (copy.len == 0) {
        cert_load_warn(to->load, file, "\"%s\" is no host name and is left out",
                       log_escape(shown, sizeof(shown), name));
        return;
    }
    copy = arena_copy(to->arena, copy);
    if (copy.p == NULL || !add(to->names, copy, to->bundle)) {
        cert_load_nomem(to->load, file);
        return;
    }
    to->n_added++;
}

/* subjectAltName only: a common name is no host name any more (RFC 9525). */
static void add_alt_names(struct adding *to, struct view file, X509 *cert)
{
    GENERAL_NAMES *alt = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = alt == NULL ? 0 : sk_GENERAL_NAME_num(alt);

    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(alt, i);

        if (name->type == GEN_DNS) {
            add_name(to, file,
                     (struct view){(const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName)});
        }
    }
    GENERAL_NAMES_free(alt);
}

void cert_names_add_bundle(struct cert_names *names, struct arena *arena,
                           const struct bundle_conf *conf, const struct cert_bundle *bundle,
                           uint32_t index, struct cert_load *load)
{
    struct adding to = {.names = names, .arena = arena, .load = load, .bundle = index};
    struct view no_file = {NULL, 0};

    for (uint32_t i = 0; i < conf->n_names; i++)
        add_name(&to, no_file, conf->names[i]);
    for (uint32_t i = 0; conf->n_names == 0 && i < bundle->n_pairs; i++)
        add_alt_names(&to, no_file, bundle->pairs[i].leaf);
    if (to.n_added == 0 && bundle->n_pairs > 0)
        cert_load_warn(load, no_file,
                       "no certificate has a DNS name: it can only be a default bundle");
}

static int compare_names(struct view a, struct view b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.p, b.p, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b)
{
    const struct cert_name *x = a, *y = b;
    int order = compare_names(x->name, y->name);

    return order != 0 ? order : (x->bundle > y->bundle) - (x->bundle < y->bundle);
}

static void warn_of_duplicate(const struct cert_name *kept, const struct cert_name *left_out,
                              const struct cert_bundle *bundles, struct cert_load *load)
{
    load->bundle = tls_label_view(bundles[left_out->bundle].name);
    cert_load_warn(load, (struct view){NULL, 0},
                   "\"" VIEW_FMT "\" is served by bundle \"" VIEW_FMT "\", which comes first",
                   VIEW_ARG(kept->name), VIEW_ARG(tls_label_view(bundles[kept->bundle].name)));
}

void cert_names_finish(struct cert_names *names, const struct cert_bundle *bundles,
                       struct cert_load *load)
{
    uint32_t n = 0;

    if (names->n > 0)
        qsort(names->v, names->n, sizeof(*names->v), compare);
    for (uint32_t i = 0; i < names->n; i++) {
        const struct cert_name *kept = n == 0 ? NULL : &names->v[n - 1];

        if (kept == NULL || !view_eq(kept->name, names->v[i].name))
            names->v[n++] = names->v[i];
        else if (kept->bundle != names->v[i].bundle)
            warn_of_duplicate(kept, &names->v[i], bundles, load);
    }
    names->n = n;
}

static const struct cert_name *find(const struct cert_names *names, struct view name)
{
    const struct cert_name key = {.name = name};
    uint32_t low = 0, high = names->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_names(key.name, names->v[middle].name);

        if (order == 0)
            return &names->v[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* The wildcard of a name: its first label replaced by "*". */
static struct view wildcard_of(struct view name, char *dst)
{
    const char *dot = memchr(name.p, '.', name.len);
    size_t rest;

    if (dot == NULL)
        return (struct view){NULL, 0};
    rest = name.len - (size_t)(dot - name.p);
    dst[0] = '*';
    memcpy(dst + 1, dot, rest);
    return (struct view){dst, rest + 1};
}

const struct cert_name *cert_names_find(const struct cert_names *names, struct view name)
{
    char buf[CERT_NAME_MAX + 1];
    const struct cert_name *found = find(names, name);
    struct view wildcard;

    if (found != NULL)
        return found;
    wildcard = wildcard_of(name, buf);
    return wildcard.len == 0 ? NULL : find(names, wildcard);
}

void cert_names_fini(struct cert_names *names)
{
    free(names->v);
    *names = (struct cert_names){0};
}
