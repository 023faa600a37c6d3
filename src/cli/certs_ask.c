/* One question about certificates to a running program. */
#include "certs_verbs.h"

#include <string.h>

#define TIMEOUT_MS \
    300000 /* thousands of bundles on slow disks, and whoever changes things before */

/* ---- Paths ---- */

struct certs_path certs_path_of(const char *path)
{
    struct certs_path p = {.len = strlen(path)};

    memcpy(p.text, path, p.len + 1);
    return p;
}

static void append(struct certs_path *p, const char *text)
{
    size_t len = strlen(text);

    if (len >= sizeof(p->text) - p->len) {
        p->cut = true;
        return;
    }
    memcpy(p->text + p->len, text, len + 1);
    p->len += len;
}

void certs_path_add(struct certs_path *p, const char *name, const char *value)
{
    append(p, p->query ? "&" : "?");
    p->query = true;
    append(p, name);
    if (value == NULL)
        return;
    append(p, "=");
    if (!p->cut && admin_client_escape(view_of(value), p->text + p->len, sizeof(p->text) - p->len))
        p->len += strlen(p->text + p->len);
    else
        p->cut = true;
}

/* ---- Asking ---- */

static int take(const struct certs_asking *a, const struct certs_call *call,
                const struct admin_reply *reply)
{
    json_t *answer =
        json_loadb(reply->body.p == NULL ? "" : reply->body.p, reply->body.len, 0, NULL);
    bool refused = reply->status >= 300;
    int status = refused ? EXIT_REFUSED : EXIT_DONE;

    if (answer == NULL && !refused) {
        (void)fputs("sallyport certs: the answer is no JSON\n", stderr);
        return EXIT_REFUSED;
    }
    if (a->options.json) {
        (void)fwrite(reply->body.p, 1, reply->body.len, stdout);
        if (!refused && call->judge != NULL)
            status = call->judge(answer);
    } else if (refused) {
        admin_reply_tell_problem(reply, &command_certs);
        if (call->tell != NULL)
            call->tell(answer);
    } else {
        status = call->show(a, answer);
    }
    json_decref(answer);
    return status;
}

int certs_ask(const struct certs_asking *a, const struct certs_call *call)
{
    struct admin_reply reply;
    int status = EXIT_REFUSED;

    if (call->path->cut) {
        (void)fputs("sallyport certs: this is too long for a request\n", stderr);
        return EXIT_REFUSED;
    }
    if (admin_client_ask(&(struct admin_call){.command = &command_certs,
                                              .options = &a->options,
                                              .method = call->method,
                                              .path = call->path->text,
                                              .timeout_ms = TIMEOUT_MS},
                         &reply) == ADMIN_ANSWERED)
        status = take(a, call, &reply);
    admin_reply_fini(&reply);
    return status;
}

/* ---- Answers ---- */

const char *certs_text(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));

    return s == NULL ? "-" : s;
}

const char *certs_date(const json_t *object, const char *name, char dst[CERTS_DATE])
{
    (void)snprintf(dst, CERTS_DATE, "%s", certs_text(object, name));
    return dst;
}
