/* The control socket. */
#include "conf_kinds.h"
#include "conf_reader.h"
#include "config_rows.h"

#include <sys/un.h>

#define DEFAULT_SOCKET "run/sallyport.sock"
#define OFF            "off"

static const struct conf_word socket_words[] = {{OFF, 0, NULL}};

/* clang-format off */
#define S struct admin_conf
static const struct conf_row rows[] = {
    {CONF_ROW_PATH(S, "socket", socket,
        "Unix socket that commands and curl talk to, made with mode 0600."),
        CONF_WORDS(socket_words), .def_note = "\"" DEFAULT_SOCKET "\", or none where it cannot be made",
        .at_start = true},
    {CONF_ROW_STRING(S, "owner", owner, &conf_kind_owner,
        "Owner of the socket, who may use it besides root and the user that the program runs as: "
        "\"user\"."),
        .def_note = "the user who starts the program", .at_start = true},
    {CONF_TOUCHES(PROCESS),
     CONF_ROW_PATH(S, "state", state,
        "Folder that the program keeps the configurations in that were applied while it ran. It is "
        "made when it is needed, at the start if the program becomes another user, who is given it."),
        .def_note = "beside the file, with \".revisions\" for its \".json\""},
    {CONF_TOUCHES(PROCESS),
     CONF_ROW_INT(S, "keep_revisions", keep_revisions, 2, 100000, 100, "revisions",
        "How many of them are kept.")},
};
/* clang-format on */

/* sun_path holds a NUL as well (unix(7)). */
static void finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    struct admin_conf *admin = object;

    admin->socket_given = admin->socket.len > 0;
    if (view_eq(admin->socket, VIEW(OFF))) {
        admin->socket.len = 0;
    } else if (admin->socket.len >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        conf_error(r, &(struct conf_path){.up = at, .key = "socket"},
                   "a socket's path can have %zu bytes, and this one has %zu: " VIEW_FMT,
                   sizeof(((struct sockaddr_un *)0)->sun_path) - 1, admin->socket.len,
                   VIEW_ARG(admin->socket));
    }
}

const struct conf_table conf_admin_table = {
    .noun = "control socket",
    CONF_ROWS(S, rows),
    .finish = finish,
};

struct view conf_file_stem(struct view file)
{
    const char *slash = file.len == 0 ? NULL : memrchr(file.p, '/', file.len);
    struct view name = slash == NULL ? file : view_from(file, (size_t)(slash - file.p) + 1);

    if (name.len > 5 && memcmp(name.p + name.len - 5, ".json", 5) == 0)
        name = view_head(name, name.len - 5);
    return name;
}

/* Of its own for every file of a folder. */
static struct view default_state(struct conf_reader *r, struct view file)
{
    struct view name = conf_file_stem(file), path;

    path = arena_printf(&r->scratch, VIEW_FMT ".revisions", VIEW_ARG(name));
    if (path.p == NULL) {
        r->nomem = true;
        return path;
    }
    return conf_resolve(r, path);
}

void conf_admin_default(struct conf_reader *r, struct view file, struct admin_conf *admin)
{
    if (!admin->socket_given)
        admin->socket = conf_resolve(r, VIEW(DEFAULT_SOCKET));
    if (admin->state.len == 0)
        admin->state = default_state(r, file);
}
