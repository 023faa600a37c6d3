/* SIGHUP: the configuration file as it is now. */
#include "server_apply.h"
#include "server_internal.h"

#include <sallyport/base/log.h>

#include <unistd.h>

/* One that was found while it was applied has no place in the file. */
static void log_problem(struct view file, const struct config_problem *p)
{
    char place[48] = "";

    if (p->line > 0)
        (void)snprintf(place, sizeof(place), ":%u:%u", p->line, p->column);
    if (p->warning) {
        LOG_WARN(APP, VIEW_FMT "%s: " VIEW_FMT ": " VIEW_FMT, VIEW_ARG(file), place,
                 VIEW_ARG(p->pointer), VIEW_ARG(p->text));
    } else {
        LOG_ERROR(APP, "reload: " VIEW_FMT "%s: " VIEW_FMT ": " VIEW_FMT, VIEW_ARG(file), place,
                  VIEW_ARG(p->pointer), VIEW_ARG(p->text));
    }
}

static struct config_document *load(void *arg, const struct config_document *now,
                                    struct managed_outcome *outcome)
{
    struct config_document *d = config_document_load(config_document_name(now), &outcome->problems);

    (void)arg;
    if (d == NULL)
        outcome->status = MANAGED_REFUSED;
    return d;
}

bool server_reload(struct server *s)
{
    const struct managed_change change = {
        .make = load,
        .author = {.uid = geteuid(), .pid = getpid(), .comment = VIEW("SIGHUP")},
        .reread_files = true,
        .unrecorded = true};
    struct managed_outcome o;
    bool ok;

    managed_outcome_init(&o);
    managed_config_change(s, &change, &o);
    ok = o.status == MANAGED_OK;
    for (uint32_t i = 0; i < o.problems.n; i++)
        log_problem(o.problems.file, &o.problems.v[i]);
    if (!ok)
        LOG_ERROR(APP, "reload: failed, nothing has changed%s%s", o.why[0] == '\0' ? "" : ": ",
                  o.why);
    managed_outcome_fini(&o);
    cert_results_add(s, CERT_TRIGGER_SIGNAL, ok ? CERT_RESULT_OK : CERT_RESULT_REFUSED);
    return ok;
}
