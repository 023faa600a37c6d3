/* SIGHUP: the configuration file as it is now. */
#include "server_apply.h"
#include "server_internal.h"

#include <sallyport/base/log.h>

static void report(void *arg, struct view pointer, struct view text, bool warning)
{
    (void)arg;
    if (warning)
        LOG_WARN(APP, VIEW_FMT ": " VIEW_FMT, VIEW_ARG(pointer), VIEW_ARG(text));
    else
        LOG_ERROR(APP, "reload: " VIEW_FMT ": " VIEW_FMT, VIEW_ARG(pointer), VIEW_ARG(text));
}

static void log_problems(const struct config_problems *problems)
{
    for (uint32_t i = 0; i < problems->n; i++) {
        const struct config_problem *p = &problems->v[i];

        if (p->warning)
            LOG_WARN(APP, VIEW_FMT ":%u:%u: " VIEW_FMT ": " VIEW_FMT, VIEW_ARG(problems->file),
                     p->line, p->column, VIEW_ARG(p->pointer), VIEW_ARG(p->text));
        else
            LOG_ERROR(APP, "reload: " VIEW_FMT ":%u:%u: " VIEW_FMT ": " VIEW_FMT,
                      VIEW_ARG(problems->file), p->line, p->column, VIEW_ARG(p->pointer),
                      VIEW_ARG(p->text));
    }
}

static struct config *load(struct server *s)
{
    struct config *now = server_config(s), *config;
    struct config_problems problems;

    config_problems_init(&problems);
    config = config_load(now->file.p, &problems);
    log_problems(&problems);
    config_problems_fini(&problems);
    config_unref(now);
    return config;
}

bool server_reload(struct server *s)
{
    const struct server_apply_options options = {.reread_files = true, .report = report};
    struct config *config = load(s);
    struct server_apply *a = NULL;

    (void)pthread_mutex_lock(&s->applying);
    if (config != NULL)
        a = server_apply_prepare(s, config, &options);
    if (a != NULL)
        server_apply_commit(a);
    else
        LOG_ERROR(APP, "reload: failed, nothing has changed");
    (void)pthread_mutex_unlock(&s->applying);
    config_unref(config);
    return a != NULL;
}
