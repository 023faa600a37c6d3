/* What is wrong with certificates, told to whoever had them read. */
#pragma once

#include <sallyport/base/arena.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

/* The views are valid during the call only. */
struct cert_problem {
    struct view bundle;
    struct view port; /* whose ticket keys or client_auth these are; empty: it is about a bundle */
    struct view file; /* empty: the bundle as a whole */
    struct view text; /* for a person: what was found, what was expected */
    bool warning;     /* it can be served all the same */
};
/* "/bundles/shop", "/ports/443": where in the configuration it is; cut to what fits. */
#define CERT_PROBLEM_POINTER_MAX 512
struct view cert_problem_pointer(const struct cert_problem *p, char dst[CERT_PROBLEM_POINTER_MAX]);
typedef void (*cert_problem_fn)(void *arg, const struct cert_problem *problem);
struct cert_reporter {
    cert_problem_fn report;
    void *arg;
};

/* Problems that are kept, in the order in which they were found. All bytes live in the arena. */
struct cert_problems {
    struct arena arena;
    struct cert_problem *v;
    uint32_t n, cap;
    uint32_t n_errors; /* those that are no warnings */
    bool nomem;        /* some are missing */
};
void cert_problems_init(struct cert_problems *p);
void cert_problems_fini(struct cert_problems *p);
/* A cert_problem_fn; arg is a struct cert_problems. */
void cert_problems_keep(void *arg, const struct cert_problem *problem);
void cert_problems_tell(const struct cert_problems *p, const struct cert_reporter *reporter);
