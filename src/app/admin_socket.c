/* The control socket as a listener of the net core: a port that no configuration lists. */
#include "server_internal.h"

#include <sallyport/base/log.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_MODE 0600
#define FOLDER_MODE 0755
#define BACKLOG     511

/* Peers here may be trusted, but not to be quick or right: a request that does not come is ended,
 * and an answer may take as long as somebody takes it. */
static const struct http_limits_conf limits = {
    .max_head_bytes = 32 * 1024,
    .max_target_bytes = 16 * 1024,
    .max_fields = 100,
    .max_trailer_bytes = 8 * 1024,
    .head_timeout_ms = 10 * 1000,
    .keep_alive_timeout_ms = 60 * 1000,
    .body_timeout_ms = 10 * 1000,
    .send_timeout_ms = 30 * 1000,
    .min_rate_bytes_per_s = 1024,
    .tunnel_timeout_ms = 60 * 1000,
    .buffer_bytes = 64 * 1024,
};

/* A socket that was asked for has to be there; one that nobody asked for need not. Returns whether
 * the server may start. */
static bool no_socket(const struct server *s, const char *fmt, ...) SP_PRINTF(2, 3);
static bool no_socket(const struct server *s, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (s->config->admin.socket_given)
        return server_refuse(s, "/admin/socket: %s", text);
    LOG_WARN(ADMIN, "no control socket: %s", text);
    return true;
}

/* The last folder of the path, if it is missing; what is wrong with it, bind(2) will say. */
static void make_folder(struct view path)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)] = "";
    const char *slash = memrchr(path.p, '/', path.len);

    if (slash == NULL || slash == path.p || (size_t)(slash - path.p) >= sizeof(folder))
        return;
    memcpy(folder, path.p, (size_t)(slash - path.p));
    (void)mkdir(folder, FOLDER_MODE);
}

/* Who may use it besides, and which file is ours. */
static void learn_file(struct server_admin *admin)
{
    struct stat st;

    if (lstat(admin->endpoint.un.sun_path, &st) != 0)
        return;
    admin->service.owner = st.st_uid;
    admin->inode = st.st_ino;
}

static bool make_endpoint(struct view path, struct endpoint *out)
{
    char text[ENDPOINT_TEXT_MAX] = "unix:";

    if (path.len > sizeof(text) - sizeof("unix:"))
        return false;
    memcpy(text + strlen(text), path.p, path.len);
    return endpoint_parse(view_of(text), out) == SP_OK;
}

static bool listen_at(struct server *s, const char **why)
{
    struct server_admin *admin = &s->admin;
    const struct net_accept_options options = {
        .accept = {.mode = ACCEPT_SINGLE,
                   .backlog = BACKLOG,
                   .accepts_per_turn = 8,
                   .threads = 1,
                   .backdoor = true, /* it has to work when nothing else does */
                   .fd = -1,
                   .linger_s = -1,
                   .unix_mode = SOCKET_MODE,
                   .unix_owner = s->config->admin.owner},
        .endpoint = admin->endpoint,
        .cont = http_session_accept(),
        .user = &admin->http,
        .label = admin->conf.name,
    };

    make_folder(s->config->admin.socket);
    admin->listener = net_processor_main_accept(&s->tcp, &options, why);
    return admin->listener != NULL;
}

bool admin_open(struct server *s)
{
    struct server_admin *admin = &s->admin;
    struct view path = s->config->admin.socket;
    const char *why = "";

    if (path.len == 0)
        return true;
    if (!make_endpoint(path, &admin->endpoint))
        return no_socket(s, VIEW_FMT ": the path is too long", VIEW_ARG(path));
    admin->conf = (struct port_conf){.name = VIEW("control socket"), .limits = limits};
    admin->http = (struct http_port){
        .conf = &admin->conf, .config = config_ref(s->config), .service = &admin->service.super};
    atomic_init(&admin->http.draining, false);
    if (!listen_at(s, &why))
        return no_socket(s, VIEW_FMT ": %s", VIEW_ARG(path), why);
    learn_file(admin);
    LOG_INFO(ADMIN, "control socket=" VIEW_FMT, VIEW_ARG(path));
    return true;
}

/* The file goes with its listener: whoever finds it can expect an answer. Unless it is another's
 * by now. */
void admin_stop(struct server *s)
{
    const struct server_admin *admin = &s->admin;
    struct stat st;

    if (admin->listener == NULL)
        return;
    net_accept_stop(admin->listener);
    if (lstat(admin->endpoint.un.sun_path, &st) == 0 && st.st_ino == admin->inode)
        (void)unlink(admin->endpoint.un.sun_path);
}

void admin_close(struct server *s)
{
    admin_service_stop(&s->admin.service);
    if (s->admin.listener != NULL)
        net_accept_unref(s->admin.listener);
    config_unref(s->admin.http.config);
}
