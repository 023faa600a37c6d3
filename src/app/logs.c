/* The program's log and the access log. */
#include "server_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <string.h>

static bool open_sink(struct server *s, const char *key, const struct log_sink_options *options,
                      struct log_sink **out)
{
    if (log_sink_open(options, out) == SP_OK)
        return true;
    return server_refuse(s, "%s: %s: %s", key,
                         options->path != NULL ? options->path : "standard error",
                         strerrordesc_np(errno));
}

bool logs_open(struct server *s)
{
    const struct log_conf *conf = &s->config->log;
    /* Strings of a configuration end with a NUL (arena_copy()). */
    const struct log_sink_options log = {.path = conf->path.len > 0 ? conf->path.p : NULL,
                                         .cap_bytes = conf->queue_bytes,
                                         .label = "log"};
    const struct log_sink_options access = {
        .path = conf->access_path.p, .cap_bytes = conf->queue_bytes, .label = "access"};

    if (conf->levels.len > 0 && !log_set_levels(conf->levels))
        return server_refuse(s, "/log/levels: not understood");
    if (!open_sink(s, "/log/path", &log, &s->log))
        return false;
    log_set_sink(s->log);
    return conf->access_path.len == 0 || open_sink(s, "/log/access/path", &access, &s->access_log);
}

void logs_close(struct server *s)
{
    log_sink_close(s->access_log);
    log_set_sink(NULL);
    log_sink_close(s->log);
}

void logs_reopen(struct server *s)
{
    log_sink_reopen(s->log); /* unless it is a standard stream */
    if (s->access_log != NULL)
        log_sink_reopen(s->access_log);
    LOG_INFO(APP, "logs reopened");
}
