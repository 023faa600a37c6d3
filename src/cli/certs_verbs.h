/* What "sallyport certs" asks a running program, and how it shows the answers. */
#pragma once

#include "admin_client.h"

#include <jansson.h>

/* What stands on the command line behind the verb. */
struct certs_asking {
    struct admin_options options;
    bool partial, dry_run;
    const char *canary;     /* --canary; NULL: not given */
    const char *canary_for; /* --canary-for; likewise */
    const char *port;       /* --port; likewise */
    int n_words;
    char **words;
};

int certs_list(const struct certs_asking *a);
int certs_reload(const struct certs_asking *a);
int certs_explain(const struct certs_asking *a);
int certs_canary(const struct certs_asking *a);

/* certs_ask.c. A path with its query, escaped as it grows. */
struct certs_path {
    char text[15 * 1024]; /* what the control socket takes, and a little less */
    size_t len;
    bool query; /* there is a "?" already */
    bool cut;   /* too long */
};
struct certs_path certs_path_of(const char *path);
/* `value` NULL: "?name". */
void certs_path_add(struct certs_path *p, const char *name, const char *value);

/* Asks, and calls `show` with the answer unless it is wanted as it came. A problem is told on
 * standard error; `tell` then says more of it. Returns the exit status. */
struct certs_call {
    const char *method; /* NULL: GET */
    const struct certs_path *path;
    int (*show)(const struct certs_asking *a, const json_t *answer);
    int (*judge)(
        const json_t *answer); /* exit status of one that is printed as it came; NULL: done */
    void (*tell)(const json_t *problem); /* NULL: the problem says it all */
};
int certs_ask(const struct certs_asking *a, const struct certs_call *call);

/* A member's text; "-" without. */
const char *certs_text(const json_t *object, const char *name);
/* "2027-02-21" of a time. */
#define CERTS_DATE 11
const char *certs_date(const json_t *object, const char *name, char dst[CERTS_DATE]);
