/* Ticket keys of a port as it is configured. Runs on threads that may block. */
#include "secret_file.h"
#include "ticket_keys_internal.h"
#include "ticket_secret.h"

#include <openssl/crypto.h>

static struct ticket_keys *no_memory(const struct secret_source *source)
{
    secret_file_problem(source, false, "%s", sp_err_text(SP_NOMEM));
    return NULL;
}

static struct ticket_keys *of_secret(const struct tls_port_conf *conf, const struct secret_file *f,
                                     const struct secret_source *source)
{
    struct ticket_keys *k;

    if (f->len < TICKET_SECRET_MIN) {
        secret_file_problem(source, false, "has %zu bytes, expected a secret of at least %u",
                            f->len, TICKET_SECRET_MIN);
        return NULL;
    }
    k = ticket_keys_new_derived((struct view){(const char *)f->p, f->len}, conf->ticket_label,
                                conf->ticket_lifetime_s);
    return k == NULL ? no_memory(source) : k;
}

static struct ticket_keys *of_list(const struct secret_file *f, const struct secret_source *source)
{
    struct ticket_key_list list;
    char why[TICKET_WHY_MAX];
    struct ticket_keys *k = NULL;

    if (!ticket_key_file_parse((struct view){(const char *)f->p, f->len}, &list, why)) {
        secret_file_problem(source, false, "%s", why);
    } else {
        k = ticket_keys_new_listed(&list);
        if (k == NULL)
            (void)no_memory(source);
    }
    OPENSSL_cleanse(&list, sizeof(list));
    return k;
}

struct ticket_keys *ticket_keys_load(const struct tls_port_conf *conf, struct view port,
                                     const struct cert_reporter *reporter)
{
    bool derives = conf->ticket_secret_file.len > 0;
    const struct secret_source source = {.path = derives ? conf->ticket_secret_file
                                                         : conf->ticket_key_file,
                                         .port = port,
                                         .reporter = reporter};
    struct secret_file file;
    struct ticket_keys *k;

    if (!ticket_keys_have_file(conf)) {
        k = ticket_keys_new_own(conf->ticket_lifetime_s);
        return k == NULL ? no_memory(&source) : k;
    }
    if (!secret_file_read(&file, &source))
        return NULL;
    k = derives ? of_secret(conf, &file, &source) : of_list(&file, &source);
    secret_file_free(&file);
    return k;
}
