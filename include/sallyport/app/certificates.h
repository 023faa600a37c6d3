/* The certificates that a configuration names, read the way the server reads them: those of its
 * ports with their ticket keys, and what its backends with TLS need. */
#pragma once

#include <sallyport/config/config.h>

/* What is wrong. The views are valid during the call only. */
struct certificates_problem {
    struct view pointer; /* into the configuration: "/bundles/shop", "/backends/app/tls/ca_file" */
    struct view file;    /* empty: the object as a whole */
    struct view text;    /* for a person: what was found, what was expected */
    bool warning;        /* it can be used all the same */
};
struct certificates_reporter {
    void (*report)(void *arg, const struct certificates_problem *problem);
    void *arg;
};

/* Reads every file and tells `reporter` of everything that is wrong. False: there was more than
 * warnings. Blocks on files. */
bool certificates_check(const struct config *config, const struct certificates_reporter *reporter);
