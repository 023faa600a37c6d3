/* Which running program is meant. */
#include "admin_client.h"

#include <sallyport/config/config.h>
#include <sallyport/config/document.h>

#include <jansson.h>

#include <stdlib.h>

#define DEFAULT_CONFIG  "/etc/sallyport/sallyport.json"
#define SOCKET_VARIABLE "SALLYPORT_SOCKET"

bool admin_option(struct admin_options *o, int letter)
{
    switch (letter) {
    case 's': o->socket = optarg; return true;
    case 'c': o->config = optarg; return true;
    case 'j': o->json = true; return true;
    default: return false;
    }
}

static bool told(const struct command *command, const char *file, const char *text)
{
    if (command != NULL)
        (void)fprintf(stderr, "sallyport %s: %s: %s\n", command->name, file, text);
    return false;
}

static bool use(const struct command *command, struct view text, char path[ADMIN_SOCKET_MAX])
{
    if (text.len >= ADMIN_SOCKET_MAX)
        return told(command, text.p, "this path is too long for a socket");
    memset(path, 0, ADMIN_SOCKET_MAX);
    memcpy(path, text.p, text.len);
    return true;
}

/* The value of /admin/socket, or what holds without it. */
static bool socket_of_document(const struct config_document *d, struct arena *arena, char *whole,
                               size_t cap)
{
    struct config_edit_problem problem;
    struct view text;
    int n;

    if (!config_document_get(d, VIEW("/admin/socket"), arena, &text, &problem))
        text = VIEW("\"run/sallyport.sock\"");
    json_t *value = json_loadb(text.p, text.len, JSON_DECODE_ANY, NULL);
    const char *socket = json_string_value(value);
    if (socket == NULL)
        socket = "";
    bool absolute = socket[0] == '/';
    n = snprintf(whole, cap, "%s%s%s", absolute ? "" : config_document_folder(d),
                 absolute ? "" : "/", socket);
    json_decref(value);
    return n > 0 && (size_t)n < cap;
}

/* A file that is broken just now: the socket that it names is all that is asked of it. */
static bool of_document(const struct command *command, const char *file,
                        char path[ADMIN_SOCKET_MAX])
{
    struct config_problems problems;
    char whole[4096];
    bool ok = false;

    config_problems_init(&problems);
    struct config_document *d = config_document_load(file, &problems);
    if (d != NULL && socket_of_document(d, &problems.arena, whole, sizeof(whole)))
        ok = use(command, view_of(whole), path);
    if (d == NULL && command != NULL)
        config_problems_print(&problems, stderr);
    config_document_unref(d);
    config_problems_fini(&problems);
    return ok;
}

static bool of_config(const struct command *command, const char *file, char path[ADMIN_SOCKET_MAX])
{
    struct config_problems problems;

    config_problems_init(&problems);
    struct config *config = config_load(file, &problems);
    config_problems_fini(&problems);
    if (config == NULL)
        return of_document(command, file, path);
    bool ok = config->admin.socket.len > 0
                  ? use(command, config->admin.socket, path)
                  : told(command, file, "the control socket is off (/admin/socket)");
    config_unref(config);
    return ok;
}

bool admin_client_socket(const struct command *command, const struct admin_options *o,
                         char path[ADMIN_SOCKET_MAX])
{
    const char *variable = getenv(SOCKET_VARIABLE); /* NOLINT(concurrency-mt-unsafe) */

    if (o->socket != NULL)
        return use(command, view_of(o->socket), path);
    if (o->config != NULL)
        return of_config(command, o->config, path);
    if (variable != NULL && variable[0] != '\0')
        return use(command, view_of(variable), path);
    return of_config(command, DEFAULT_CONFIG, path);
}
