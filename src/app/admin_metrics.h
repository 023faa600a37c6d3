/* What writes metrics in the text format of Prometheus has in common. */
#pragma once

#include <sallyport/base/view.h>

#include <stdio.h>

struct server;

void admin_metrics_help(FILE *out, const char *name, const char *type, const char *help);
/* name="value": a backslash, a quote and a line's end in it are escaped. */
void admin_metrics_label(FILE *out, const char *name, struct view value);

/* admin_metrics_certs.c: expiry and use of each bundle, and the reloads. With the server's lock. */
void admin_metrics_certs(FILE *out, const struct server *s);
