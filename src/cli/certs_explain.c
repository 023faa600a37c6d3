/* sallyport certs explain: who gets what, and why. */
#include "certs_verbs.h"

static void show_certificates(const json_t *port)
{
    const json_t *certificate;
    char date[CERTS_DATE];
    size_t i;

    json_array_foreach(json_object_get(port, "certificates"), i, certificate)(void)
        printf("    %-12s to %s; expires %s, sha256 %.16s...\n", certs_text(certificate, "key"),
               certs_text(certificate, "for"), certs_date(certificate, "not_after", date),
               certs_text(certificate, "fingerprint"));
}

static void show_canary(const json_t *canary)
{
    if (canary == NULL)
        return;
    (void)printf("    canary: %g%% of the clients get what is tried now, bundle %s:\n",
                 json_number_value(json_object_get(canary, "percent")),
                 certs_text(canary, "bundle"));
    show_certificates(canary);
}

static void show_shadowed(const json_t *port)
{
    const json_t *loser;
    size_t i;

    json_array_foreach(json_object_get(port, "shadowed"), i, loser)
    {
        const char *pattern = json_string_value(json_object_get(loser, "pattern"));

        (void)printf("    not: bundle %s (%s%s%s): %s\n", certs_text(loser, "bundle"),
                     certs_text(loser, "match"), pattern == NULL ? "" : " ",
                     pattern == NULL ? "" : pattern, certs_text(loser, "why"));
    }
}

static void show_port(const json_t *port)
{
    const char *bundle = json_string_value(json_object_get(port, "bundle"));
    const char *pattern = json_string_value(json_object_get(port, "pattern"));

    if (bundle == NULL)
        (void)printf("port %s: refused\n", certs_text(port, "port"));
    else {
        (void)printf("port %s: bundle %s (%s%s%s)\n", certs_text(port, "port"), bundle,
                     certs_text(port, "match"), pattern == NULL ? "" : " ",
                     pattern == NULL ? "" : pattern);
    }
    (void)printf("    %s\n", certs_text(port, "why"));
    show_certificates(port);
    show_canary(json_object_get(port, "canary"));
    show_shadowed(port);
}

static int show(const struct certs_asking *a, const json_t *answer)
{
    const char *note = json_string_value(json_object_get(answer, "note"));
    const char *asked = certs_text(answer, "asked");
    const json_t *port;
    size_t i;

    (void)a;
    if (note != NULL && asked[0] != '\0')
        (void)printf("asked for as %s: %s\n", asked, note);
    else if (note != NULL)
        (void)printf("%s\n", note);
    json_array_foreach(json_object_get(answer, "ports"), i, port) show_port(port);
    if (json_array_size(json_object_get(answer, "ports")) == 0)
        (void)puts("there is no port with TLS");
    return EXIT_DONE;
}

int certs_explain(const struct certs_asking *a)
{
    struct certs_path path = certs_path_of("/certs/explain");

    if (a->n_words != 1)
        return command_misused(&command_certs, "explain: which name? (\"\" for a client that asks "
                                               "for none)");
    certs_path_add(&path, "name", a->words[0]);
    if (a->port != NULL)
        certs_path_add(&path, "port", a->port);
    return certs_ask(a, &(struct certs_call){.path = &path, .show = show});
}
