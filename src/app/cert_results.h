/* What came of changes of certificates: how many, by who or what began them, and the last one. */
#pragma once

#include <sallyport/base/err.h>

#include <stdint.h>

struct server;

/* X(id, label) */
/* clang-format off */
#define CERT_TRIGGERS(X)   \
    X(COMMAND, "command")  \
    X(SIGNAL,  "signal")   \
    X(WATCH,   "watch")    \
    X(APPLY,   "apply")    /* another configuration that brought other ones */
#define CERT_RESULTS(X)    \
    X(OK,      "ok")       \
    X(PARTLY,  "partly")   /* some were refused, others changed */ \
    X(REFUSED, "refused")  /* or failed: nothing has changed */
/* clang-format on */
enum cert_trigger {
#define X(id, label) CERT_TRIGGER_##id,
    CERT_TRIGGERS(X)
#undef X
        CERT_TRIGGER_COUNT
};
enum cert_result {
#define X(id, label) CERT_RESULT_##id,
    CERT_RESULTS(X)
#undef X
        CERT_RESULT_COUNT
};
const char *cert_trigger_label(enum cert_trigger trigger);
const char *cert_result_label(enum cert_result result);

/* Part of the server, guarded by its lock. */
struct cert_results {
    uint64_t n[CERT_TRIGGER_COUNT][CERT_RESULT_COUNT];
    int64_t last_ms; /* wall clock; 0: there was none since the start */
    enum cert_trigger last_trigger;
    enum cert_result last_result;
};
/* Without the server's lock. */
void cert_results_add(struct server *s, enum cert_trigger trigger, enum cert_result result);
