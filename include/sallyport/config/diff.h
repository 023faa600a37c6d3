/* What differs between two configurations, in two ways of looking.
 *
 * Changes are what a person did: values added, changed and removed in the document, with comments
 * and `${...}` as written, never what these stand for.
 * Effects are what it means to a running program: objects whose settings are not what they were,
 * defaults, inherited limits and the contents of `${FILE:...}` counted in. A change without effect
 * (a comment, a default written out) touches nothing, and an effect may come without a change. */
#pragma once

#include <sallyport/base/arena.h>
#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>
#include <sallyport/config/document.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* X(id, label, text for a person): the parts of a running program. Each key of the configuration
 * touches one of them: the column `touches` of its row. */
/* clang-format off */
#define CONFIG_PARTS(X)                                                                          \
    X(LISTENERS,  "listener",   "the listening socket of a port")                               \
    X(PORTS,      "port",       "settings of a port, for connections accepted from then on")     \
    X(BUNDLES,    "bundle",     "certificates, for handshakes from then on")                     \
    X(BACKENDS,   "backend",    "a backend's servers and its pool of connections")               \
    X(ROUTES,     "routes",     "where requests go, from the next request on")                   \
    X(LIMITS,     "limits",     "limits that hold for the program as a whole")                   \
    X(HANDSHAKES, "handshakes", "how handshakes are admitted and scheduled")                     \
    X(FORWARDING, "forwarding", "what backends are told about clients, from the next request on") \
    X(LOGS,       "logs",       "what is logged, and where")                                     \
    X(CONTROL,    "control",    "the control socket and what belongs to it")                     \
    X(PROCESS,    "process",    "the process itself: needs a restart")
/* clang-format on */
enum config_part {
#define X(id, label, text) CONFIG_PART_##id,
    CONFIG_PARTS(X)
#undef X
        CONFIG_PART_COUNT
};
const char *config_part_label(enum config_part part);

enum config_change_kind { CONFIG_ADDED, CONFIG_CHANGED, CONFIG_REMOVED };

struct config_change {
    enum config_change_kind kind;
    struct view pointer; /* in the new document; of what was removed, in the old one */
    struct view before;  /* JSON on one line; empty when added */
    struct view after;   /* empty when removed */
};

struct config_effect {
    enum config_part part;
    enum config_change_kind kind; /* a listener that is CHANGED has to be replaced */
    bool restart;                 /* takes effect only when the program is started anew */
    struct view pointer;          /* the object: "/ports/443", "/routes", "/log" */
    struct view name;             /* its last token, decoded: "443", "routes" */
    struct view keys;             /* which of its settings, "backlog, mode"; CHANGED only */
};

/* Lives in its arena. */
struct config_plan {
    struct arena arena;
    struct config_change *changes; /* in the order of the new document, what was removed among it */
    uint32_t n_changes, cap_changes;
    struct config_effect *effects; /* by part, then in the order of the configuration */
    uint32_t n_effects, cap_effects;
};

void config_plan_init(struct config_plan *p);
void config_plan_fini(struct config_plan *p);

/* Fill the plan, which was empty there. False: out of memory; fini it. */
bool config_plan_changes(struct config_plan *p, const struct config_document *from,
                         const struct config_document *to) SP_MUST_CHECK;
bool config_plan_effects(struct config_plan *p, const struct config *from, const struct config *to)
    SP_MUST_CHECK;

/* For a person: "+ /routes/0: {...}", "- ...", "~ pointer: before -> after", then what is touched.
 * For programs: an object with "changes" and "effects", on one line; false: out of memory, or the
 * stream failed. */
void config_plan_print(const struct config_plan *p, FILE *out);
bool config_plan_print_json(const struct config_plan *p, FILE *out) SP_MUST_CHECK;
