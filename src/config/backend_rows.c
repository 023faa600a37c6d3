#include "conf_kinds.h"
#include "conf_reader.h"
#include "conf_text.h"
#include "config_rows.h"
#include "tls_client_rows.h"

static const struct conf_kind address_kind = {
    "\"host:port\", \"[::1]:port\" or \"unix:/path\"",
    NULL, /* by server_finish(), which also takes it apart */
    false,
    "^(unix:.+|.+:[0-9]{1,5})$",
};

/* What stands before the last colon, and the port behind it. */
static bool split_host_port(struct view text, struct view *host, uint16_t *port)
{
    const char *colon = text.len == 0 ? NULL : memrchr(text.p, ':', text.len);

    if (colon == NULL)
        return false;
    *host = view_head(text, (size_t)(colon - text.p));
    return conf_port_number(view_from(text, host->len + 1), port) && *port != 0;
}

static struct view without_brackets(struct view host)
{
    if (host.len >= 2 && host.p[0] == '[')
        return view_head(view_from(host, 1), host.len - 2);
    return host;
}

/* All of 0-9 and '.': an IPv4 address with a slip, never a name that a resolver should see. */
static bool is_numeric(struct view host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9'))
            return false;
    return true;
}

static bool server_parse(struct conf_reader *r, struct server_conf *server)
{
    struct view host;

    if (view_starts_with(server->name, VIEW("unix:")))
        return conf_unix_endpoint(r, server->name, &server->endpoint);
    if (!split_host_port(server->name, &host, &server->port))
        return false;
    server->host = without_brackets(host);
    if (endpoint_parse(server->name, &server->endpoint) == SP_OK)
        return true;
    return conf_is_host_name(host) && !is_numeric(host);
}

static void server_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    struct server_conf *server = object;
    char found[CONF_TEXT_MAX];
    const json_t *json;
    struct conf_text t;

    if (server->name.p == NULL || server_parse(r, server))
        return;
    json = conf_json_at(r, at);
    if (json_is_object(json))
        json = json_object_get(json, "address");
    if (json == NULL || conf_string_failed(r, json))
        return;
    conf_text_init(&t, found, sizeof(found));
    conf_put_found(&t, json);
    conf_error(r, at, "expected %s, found %s", address_kind.expects, found);
}

static void say_of(struct conf_reader *r, const struct conf_path *at, const char *key,
                   const char *text)
{
    conf_error(r, &(struct conf_path){.up = at, .key = key}, "%s", text);
}

/* HTTP/2 over TLS has a name of its own, and so has the other (RFC 9113 3.1). */
static void finish_protocol(struct conf_reader *r, const struct conf_path *at,
                            struct backend_conf *backend)
{
    struct tls_client_conf *tls = &backend->tls;

    if (backend->protocol == BACKEND_H2C && tls->enabled)
        say_of(r, at, "tls", "\"h2c\" is HTTP/2 without TLS: with it, \"protocol\" is \"h2\"");
    if (backend->protocol != BACKEND_H2 || tls->enabled)
        return;
    if (tls->given)
        say_of(r, at, "tls", "\"h2\" is HTTP/2 with TLS: without it, \"protocol\" is \"h2c\"");
    conf_defaults(&conf_tls_client_table, tls, NULL, NULL);
}

/* A unix socket has no host that a certificate could be for. */
static void check_names(struct conf_reader *r, const struct conf_path *at,
                        const struct backend_conf *backend)
{
    struct conf_path at_servers = {.up = at, .key = "servers"};

    if (!backend->tls.enabled || !backend->tls.verify || backend->tls.server_name.len > 0)
        return;
    for (uint32_t i = 0; i < backend->n_servers; i++) {
        if (backend->servers[i].name.p == NULL || backend->servers[i].host.len > 0)
            continue;
        conf_error(r, &(struct conf_path){.up = &at_servers, .index = i},
                   "\"tls\" needs a \"server_name\": a unix socket has no host to verify");
    }
}

static void backend_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    finish_protocol(r, at, object);
    check_names(r, at, object);
}

#define INT(field, ...) CONF_ROW_INT(struct backend_conf, #field, field, __VA_ARGS__)

/* HTTP/2 as RFC 9113 3.1 names it. */
static const struct conf_word protocols[] = {
    {"http/1.1", BACKEND_HTTP11, NULL},
    {"h2", BACKEND_H2, NULL},
    {"h2c", BACKEND_H2C, NULL},
};

/* clang-format off */
static const struct conf_row server_rows[] = {
    {CONF_ROW_STRING(struct server_conf, "address", name, &address_kind,
        "Where the server listens. Names are resolved while running."),
        .required = true},
};

static const struct conf_table server_table = {
    .noun = "server",
    CONF_ROWS(struct server_conf, server_rows),
    .form = CONF_FORM_OBJECT_OR_FIRST,
    .finish = server_finish,
};

static const struct conf_row backend_rows[] = {
    {CONF_ROW_MANY(struct backend_conf, "servers", CONF_LIST, servers, n_servers,
        "Its servers, each a \"host:port\" or an object. Requests are spread over them."),
        .table = &server_table, .min = 1, .required = true},
    {CONF_ROW_ENUM(struct backend_conf, "protocol", protocol, protocols, BACKEND_HTTP11,
        "What is spoken with the servers: HTTP/1.1, HTTP/2 with TLS (\"h2\"), or HTTP/2 without "
        "(\"h2c\").")},
    {CONF_ROW_OBJECT(struct backend_conf, "tls", tls, &conf_tls_client_table,
        "TLS with the servers."),
        .optional = true, .def_note = "false; true with \"h2\""},
    {INT(connect_timeout_ms, 10, DAY_MS, 3000, "ms",
        "Until a connection to a server is established.")},
    {INT(response_timeout_ms, 100, DAY_MS, 60 * SECOND_MS, "ms",
        "From the end of the request to the end of the response's head.")},
    {INT(idle_timeout_ms, 100, DAY_MS, 60 * SECOND_MS, "ms",
        "Between two pieces of a response.")},
    {INT(keep_alive, 0, 65535, 1024, "connections",
        "Idle connections kept for each data thread and server; 0: none.")},
    {INT(keep_alive_timeout_ms, 100, DAY_MS, 30 * SECOND_MS, "ms",
        "How long an idle connection is kept. Has to be shorter than the server's own time.")},
    {INT(max_connections, 0, 1000000, 0, "connections",
        "To one server, from all threads; 0: any number.")},
    {INT(retries, 0, 10, 1, "attempts",
        "Further attempts for an idempotent request that no server has answered.")},
    {CONF_ROW_BOOL(struct backend_conf, "pass_host", pass_host, true,
        "Pass on the client's Host instead of the server's own name.")},
};
/* clang-format on */

const struct conf_table conf_backend_table = {
    .noun = "backend",
    CONF_ROWS(struct backend_conf, backend_rows),
    .finish = backend_finish,
};
