/* What is wrong with certificates, told to whoever had them read. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>

/* The views are valid during the call only. */
struct cert_problem {
    struct view bundle;
    struct view file; /* empty: the bundle as a whole */
    struct view text; /* for a person: what was found, what was expected */
    bool warning;     /* it can be served all the same */
};
typedef void (*cert_problem_fn)(void *arg, const struct cert_problem *problem);
struct cert_reporter {
    cert_problem_fn report;
    void *arg;
};
