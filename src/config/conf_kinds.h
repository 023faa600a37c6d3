/* What the strings of the configuration have to look like. */
#pragma once

#include "conf_table.h"

extern const struct conf_kind conf_kind_name;         /* of a bundle or backend */
extern const struct conf_kind conf_kind_port;         /* key of a port; taken apart with it */
extern const struct conf_kind conf_kind_host_pattern; /* "shop.example.com", "*.example.com" */
extern const struct conf_kind conf_kind_url_path;
extern const struct conf_kind conf_kind_location;
extern const struct conf_kind conf_kind_field_name;
extern const struct conf_kind conf_kind_field_value;
extern const struct conf_kind conf_kind_log_levels;
extern const struct conf_kind conf_kind_word; /* names of the system: users, algorithms */
extern const struct conf_kind conf_kind_owner;

/* Labels of letters, digits, '-' and '_' between dots; at most 253 bytes (RFC 1035 2.3.4). */
bool conf_is_host_name(struct view v);
