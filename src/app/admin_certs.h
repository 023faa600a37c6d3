/* What the requests about certificates share. */
#pragma once

#include "admin_route.h"

#include <sallyport/tls/cert_bundle.h>

/* POST /certs/reload (admin_certs_reload.c). */
void admin_certs_reload(const struct admin_request *rq, struct admin_answer *a);
/* GET /certs/explain (admin_certs_explain.c). */
void admin_certs_explain(const struct admin_request *rq, struct admin_answer *a);

/* What identifies a certificate, as members of the open object. */
void admin_certs_write(struct json_writer *j, const struct cert_info *info);
