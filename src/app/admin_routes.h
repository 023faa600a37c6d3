/* The table of all routes, and how a request finds its row. */
#pragma once

#include "admin_route.h"

struct admin_table {
    const struct admin_routes *const *groups;
    size_t n_groups;
};
extern const struct admin_table admin_table;

extern const struct admin_routes admin_status_routes; /* admin_status.c */
extern const struct admin_routes admin_config_routes;
extern const struct admin_routes admin_metrics_routes;
extern const struct admin_routes admin_connections_routes;
extern const struct admin_routes admin_handshakes_routes;
extern const struct admin_routes admin_canary_routes;
extern const struct admin_routes admin_certs_routes;
extern const struct admin_routes admin_stop_routes;

enum admin_found { ADMIN_FOUND, ADMIN_NOT_FOUND, ADMIN_WRONG_METHOD };
/* WRONG_METHOD: the path is there, with the methods that `allow` names: "GET, HEAD, PUT". */
enum admin_found admin_table_find(const struct admin_table *table, enum http_method method,
                                  struct view path, const struct admin_route **route, char *allow,
                                  size_t allow_cap);
const char *admin_method_name(enum http_method method);
