/* What a handler of the control socket gets, and what it gives back.
 *
 * A route is a row {method, pattern, handler, flags, help}; a noun's rows stand in a file of their
 * own (admin_status.c, admin_connections.c...), as a `struct admin_routes` that is listed in
 * admin_routes.c. From the rows come routing, 404 and 405 with Allow, the check of parameters,
 * GET / and the reference in the manual.
 *
 *     static void get_port(const struct admin_request *rq, struct admin_answer *a)
 *     {
 *         struct view name = admin_request_part(rq, "name");
 *
 *         if (!exists(rq->server, name)) {
 *             admin_problem(a, 404, "no port \"" VIEW_FMT "\"", VIEW_ARG(name));
 *             return;
 *         }
 *         json_object(&a->json, NULL);
 *         json_text(&a->json, "name", name);
 *         json_end(&a->json);
 *     }
 *     static const struct admin_route rows[] = {
 *         {HTTP_METHOD_GET, "/ports/{name}", get_port, .help = "One port."},
 *     };
 *     const struct admin_routes admin_ports_routes = {"Ports", ADMIN_ROWS(rows)};
 *
 * Thread: a handler runs on ET_TASK, may block on files and short waits, and may run on several
 * threads at once. It never touches a connection: the request is a copy, and what it answers is
 * carried back to the data thread by the service. A client that leaves or stalls is not its
 * business. A long wait keeps others from their turn: see admin_stream, and admin_is_stopping(). */
#pragma once

#include <sallyport/app/admin.h>
#include <sallyport/app/json_writer.h>
#include <sallyport/base/arena.h>
#include <sallyport/base/view.h>
#include <sallyport/http/http_message.h>

#include <sys/types.h>

struct server;
struct admin_request;
struct admin_answer;

/* ---- Routes ---- */

struct admin_parameter {
    const char *name;
    const char *help;
};

enum admin_flag {
    ADMIN_BODY = 1, /* a body is taken; elsewhere one is refused */
};

struct admin_route {
    enum http_method method; /* GET answers HEAD as well */
    /* Segments: "status" itself, "{name}" any one, "{name*}" at the end whatever is left, with its
     * leading "/", or nothing: "/config/{pointer*}" takes "/config" and "/config/ports/443". */
    const char *pattern;
    void (*handler)(const struct admin_request *rq, struct admin_answer *a);
    unsigned flags;                      /* enum admin_flag */
    const struct admin_parameter *query; /* what may stand behind "?"; others are refused */
    size_t n_query;
    const char *help; /* a sentence or two */
};
struct admin_routes {
    const char *title; /* heading in the manual */
    const struct admin_route *rows;
    size_t n_rows;
};
#define ADMIN_ROWS(rows_)   .rows = (rows_), .n_rows = SP_COUNT_OF(rows_)
#define ADMIN_QUERY(query_) .query = (query_), .n_query = SP_COUNT_OF(query_)

/* ---- Request ---- */

/* Who asks: the process at the other end when it connected (unix(7), SO_PEERCRED). */
struct admin_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

struct admin_request {
    struct server *server;
    const struct admin_route *route;
    struct admin_peer peer;
    enum http_method method; /* HEAD: as GET, the body is not sent */
    struct view path, query; /* as sent, "?" in neither */
    struct view body;        /* whole, a NUL behind it that len does not count */
    struct http_fields fields;
    struct arena *arena; /* for what lives as long as the request */
};

/* What "{name}" or "{name*}" took, percent-decoded. A name that the pattern does not have is a bug.
 */
struct view admin_request_part(const struct admin_request *rq, const char *name);
/* What stands behind "?name=", percent-decoded, "" for "?name". False: it is not there. */
bool admin_request_query(const struct admin_request *rq, const char *name, struct view *value);
/* The same for one that may stand there several times: `*rest` is rq->query before the first call.
 */
bool admin_request_query_next(const struct admin_request *rq, const char *name, struct view *rest,
                              struct view *value);
/* "?name", "?name=1", "?name=true". */
bool admin_request_flag(const struct admin_request *rq, const char *name);
/* A decimal number in min..max; *value stays as it is without the parameter. False: it is none, and
 * 400 was answered. */
bool admin_request_number(const struct admin_request *rq, struct admin_answer *a, const char *name,
                          uint64_t min, uint64_t max, uint64_t *value);
/* The value of a header field, case ignored: "if-match". Empty: none. */
struct view admin_request_field(const struct admin_request *rq, const char *name);

/* ---- Answer ---- */

/* An answer that goes on: `handshakes --follow`. After the handler's own part, more() is called on
 * ET_TASK again and again: not before period_ms are over, and not before the client has taken what
 * was written before, so that nothing piles up and no thread waits. */
struct admin_stream {
    bool (*more)(struct admin_stream *s, FILE *out); /* false: that was the end */
    void (*end)(struct admin_stream *s); /* frees it; once, also when the client has left */
    uint32_t period_ms;
};

struct admin_answer {
    unsigned status;          /* 200 */
    const char *content_type; /* static; "application/json" */
    FILE *out;                /* the body; grows in memory */
    struct json_writer json;  /* over `out` */
    struct http_fields fields;
    struct arena *arena;
    struct admin_stream *stream; /* NULL: the body is whole when the handler returns */
    /* Called when the answer is on its way, or nobody is left to get it; on a data thread, must not
     * block. NULL: nothing. */
    void (*then)(struct server *s);
    struct admin_text *text; /* private: what `out` writes into */
    bool nomem;              /* private: a field did not fit into memory */
};

/* A header field; `name` is static. */
void admin_answer_field(struct admin_answer *a, const char *name, const char *fmt, ...)
    SP_PRINTF(3, 4);
/* The whole answer is a problem (RFC 9457): status, its title, and what happened as `detail`.
 * Whatever was written before is dropped. */
void admin_problem(struct admin_answer *a, unsigned status, const char *fmt, ...) SP_PRINTF(3, 4);
/* The same, left open for further members: write them with a->json, then json_end(&a->json). */
void admin_problem_begin(struct admin_answer *a, unsigned status, const char *fmt, ...)
    SP_PRINTF(3, 4);

/* The process ends: whoever waits for something gives up. On a handler's thread. */
bool admin_is_stopping(void);
