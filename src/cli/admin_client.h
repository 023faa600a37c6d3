/* Asks a running program over its control socket. One connection a question; blocks. */
#pragma once

#include "command.h"

#include <sallyport/base/arena.h>
#include <sallyport/http/http_message.h>

/* What every command that talks to a running program takes. */
struct admin_options {
    const char *socket; /* --socket; NULL: not given */
    const char *config; /* --config */
    bool json;
};
#define ADMIN_OPTION_LETTERS "s:c:j"
/* clang-format off */
#define ADMIN_OPTION_ROWS                            \
    {"socket", required_argument, NULL, 's'},        \
    {"config", required_argument, NULL, 'c'},        \
    {"json", no_argument, NULL, 'j'}
/* clang-format on */
#define ADMIN_OPTION_HELP                                                                 \
    "  -s, --socket PATH   the control socket of the running program\n"                   \
    "  -c, --config FILE   its configuration, which says where the socket is; without\n"  \
    "                      either: $SALLYPORT_SOCKET, or /etc/sallyport/sallyport.json\n" \
    "  -j, --json          the answer as it came\n"
/* True: the letter was one of them. */
bool admin_option(struct admin_options *o, int letter);

struct admin_field {
    const char *name, *value;
};

struct admin_call {
    const struct command *command; /* in messages */
    const struct admin_options *options;
    const char *method; /* NULL: GET */
    const char *path;   /* with its query; escaped: admin_client_escape() */
    struct view body;   /* .p NULL: none */
    const char *content_type;
    const struct admin_field *fields;
    size_t n_fields;
    uint32_t timeout_ms; /* of silence; 0: none */
    /* NULL: the body is gathered. Otherwise it is told piece by piece, if the status is below 300;
     * false ends it. */
    bool (*piece)(void *arg, struct view piece);
    void *arg;
};

struct admin_reply {
    unsigned status;
    struct http_fields fields;
    struct view body;   /* a NUL behind it; empty when told in pieces */
    struct arena arena; /* of all this */
};

enum admin_outcome {
    ADMIN_ANSWERED, /* whatever the status */
    ADMIN_NOBODY,   /* nothing listens there */
    ADMIN_FAILED,   /* no whole answer came */
};
/* admin_reply_fini() is owed in any case. Anything but ADMIN_ANSWERED was told on standard error,
 * unless the command is NULL. */
enum admin_outcome admin_client_ask(const struct admin_call *call, struct admin_reply *reply);
void admin_reply_fini(struct admin_reply *r);
/* The value of a header field; empty: none. */
struct view admin_reply_field(const struct admin_reply *r, const char *name);

/* The same, and a status of 300 or more is told on standard error as the problem that it is. */
bool admin_client_ask_ok(const struct admin_call *call, struct admin_reply *reply);
/* "sallyport drain: no port ..." */
void admin_reply_tell_problem(const struct admin_reply *r, const struct command *command);

/* The path of the socket that the options mean, in `path`. False: told why not. */
#define ADMIN_SOCKET_MAX 108
bool admin_client_socket(const struct command *command, const struct admin_options *o,
                         char path[ADMIN_SOCKET_MAX]);

/* A name as one segment of a path: everything but letters, digits and "-._~:[]" as %XX. False: it
 * does not fit. */
bool admin_client_escape(struct view name, char *dst, size_t cap);
