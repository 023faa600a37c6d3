/* What is asked of a bundle's settings without reading its files. Goes by the rows of the
 * configuration, so a key that is added counts by itself. Pure, any thread. */
#pragma once

#include <sallyport/config/config.h>

/* The same for the same settings, and as good as never for others; its name is one of them. Not
 * against someone who looks for two. */
uint64_t config_bundle_hash(const struct bundle_conf *bundle);
uint64_t config_client_auth_hash(const struct client_auth_conf *auth); /* likewise */

/* Every file that is named, in the order of the rows: of a bundle, of a port for itself (its
 * bundles left out). A view is valid while the configuration is. */
typedef void (*config_file_fn)(void *arg, struct view path);
void config_bundle_files(const struct bundle_conf *bundle, config_file_fn file, void *arg);
void config_port_files(const struct port_conf *port, config_file_fn file, void *arg);
