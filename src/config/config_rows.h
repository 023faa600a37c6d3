/* The tables of the configuration: conf_config_table is the object at the top of the file. */
#pragma once

#include "conf_table.h"

#include <sallyport/config/config.h>

#define KIB       INT64_C(1024)
#define MIB       (1024 * KIB)
#define SECOND_MS INT64_C(1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)

extern const struct conf_table conf_config_table; /* global_rows.c: struct config */
extern const struct conf_table conf_accept_table;
extern const struct conf_table conf_admin_table;
extern const struct conf_table conf_handshake_table;
extern const struct conf_table conf_limits_table;
extern const struct conf_table conf_http2_table;
extern const struct conf_table conf_bundle_table;
extern const struct conf_table conf_certificates_table;
extern const struct conf_table conf_ocsp_table;
extern const struct conf_table conf_client_auth_table;
extern const struct conf_table conf_backend_table;
extern const struct conf_table conf_port_table;
extern const struct conf_table conf_route_table;

/* "unix:/path", a relative path resolved. False: no memory, or no path that fits. */
bool conf_unix_endpoint(struct conf_reader *r, struct view text, struct endpoint *out);
/* After everything was read: the paths that the file does not give. */
void conf_admin_default(struct conf_reader *r, struct view file, struct admin_conf *admin);
/* After that: beside admin.state. */
void conf_ocsp_default(struct conf_reader *r, struct view file, struct view state,
                       struct ocsp_conf *ocsp);
/* The file's name without its folder and without ".json". */
struct view conf_file_stem(struct view file);
/* 0..65535 in plain decimal. */
bool conf_port_number(struct view text, uint16_t *out);
