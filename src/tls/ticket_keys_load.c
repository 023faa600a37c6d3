/* Ticket keys of a port as it is configured. Runs on threads that may block. */
#include "cert_checks.h"
#include "ticket_keys_internal.h"
#include "ticket_secret.h"

#include <openssl/crypto.h>

#define TICKET_FILE_MAX_BYTES ((size_t)65536)

static struct ticket_keys *of_secret(const struct tls_port_conf *conf, const struct cert_file *file,
                                     struct cert_load *load)
{
    struct ticket_keys *k;

    if (file->len < TICKET_SECRET_MIN) {
        cert_load_error(load, file->path, "has %zu bytes, expected a secret of at least %u",
                        file->len, TICKET_SECRET_MIN);
        return NULL;
    }
    k = ticket_keys_new_derived(cert_file_view(file), conf->ticket_label, conf->ticket_lifetime_s);
    if (k == NULL)
        cert_load_nomem(load, file->path);
    return k;
}

static struct ticket_keys *of_list(const struct cert_file *file, struct cert_load *load)
{
    struct ticket_key_list list;
    char why[TICKET_WHY_MAX];
    struct ticket_keys *k = NULL;

    if (!ticket_key_file_parse(cert_file_view(file), &list, why)) {
        cert_load_error(load, file->path, "%s", why);
    } else {
        k = ticket_keys_new_listed(&list);
        if (k == NULL)
            cert_load_nomem(load, file->path);
    }
    OPENSSL_cleanse(&list, sizeof(list));
    return k;
}

static struct ticket_keys *of_file(const struct tls_port_conf *conf, struct cert_load *load)
{
    bool derives = conf->ticket_secret_file.len > 0;
    struct ticket_keys *k;
    struct cert_file file;

    if (!cert_file_read(&file, derives ? conf->ticket_secret_file : conf->ticket_key_file,
                        TICKET_FILE_MAX_BYTES, load))
        return NULL;
    cert_check_permissions(&file, load);
    k = derives ? of_secret(conf, &file, load) : of_list(&file, load);
    cert_file_fini(&file);
    return k;
}

struct ticket_keys *ticket_keys_load(const struct tls_port_conf *conf, struct view port,
                                     const struct cert_reporter *reporter)
{
    struct cert_load load = {.reporter = reporter, .port = port};
    struct ticket_keys *k;

    if (ticket_keys_have_file(conf))
        return of_file(conf, &load);
    k = ticket_keys_new_own(conf->ticket_lifetime_s);
    if (k == NULL)
        cert_load_nomem(&load, (struct view){NULL, 0});
    return k;
}
