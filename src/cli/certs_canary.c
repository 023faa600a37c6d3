/* sallyport certs canary: how the new certificates do that serve a share of the handshakes first,
 * and a person's verdict on them. */
#include "certs_verbs.h"
#include "table.h"

#include <string.h>

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void show_bundles(const json_t *answer)
{
    const json_t *bundle;
    struct table t;
    size_t i;

    table_init(&t, "BUNDLE|>NEW|>FAILED|>OLD|>FAILED");
    json_array_foreach(json_object_get(answer, "bundles"), i, bundle)
    {
        table_cell(&t, "%s", certs_text(bundle, "bundle"));
        table_cell(&t, "%lld", number(bundle, "handshakes"));
        table_cell(&t, "%lld", number(bundle, "failed"));
        table_cell(&t, "%lld", number(bundle, "old_handshakes"));
        table_cell(&t, "%lld", number(bundle, "old_failed"));
    }
    table_print(&t, stdout);
}

static int show(const struct certs_asking *a, const json_t *answer)
{
    (void)a;
    if (!json_is_true(json_object_get(answer, "active"))) {
        (void)puts("no canary is under way");
        return EXIT_DONE;
    }
    (void)printf("%g%% of the handshakes get the new certificates, all of them in %.0f s:\n",
                 (double)number(answer, "share_per_10000") / 100,
                 (double)number(answer, "left_ms") / 1000);
    show_bundles(answer);
    return EXIT_DONE;
}

static int show_complete(const struct certs_asking *a, const json_t *answer)
{
    (void)a;
    (void)puts("all handshakes get the new certificates:");
    show_bundles(answer);
    return EXIT_DONE;
}

static int show_back(const struct certs_asking *a, const json_t *answer)
{
    (void)a;
    (void)puts("all handshakes get the old certificates again:");
    show_bundles(answer);
    return EXIT_DONE;
}

int certs_canary(const struct certs_asking *a)
{
    static const struct {
        const char *word, *path, *method;
        int (*show)(const struct certs_asking *a, const json_t *answer);
    } verdicts[] = {{"", "/certs/canary", NULL, show},
                    {"complete", "/certs/canary/complete", "POST", show_complete},
                    {"back", "/certs/canary/back", "POST", show_back}};
    const char *word = a->n_words == 0 ? "" : a->words[0];

    for (size_t i = 0; a->n_words <= 1 && i < SP_COUNT_OF(verdicts); i++) {
        const struct certs_path path = certs_path_of(verdicts[i].path);

        if (strcmp(word, verdicts[i].word) == 0) {
            return certs_ask(a, &(struct certs_call){.method = verdicts[i].method,
                                                     .path = &path,
                                                     .show = verdicts[i].show});
        }
    }
    return command_misused(&command_certs, "canary: nothing, \"complete\" or \"back\"");
}
