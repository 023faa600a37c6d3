/* The server's certificates and the updater of their staples (ocsp_updater.h). With
 * server.applying, or before the threads were started. */
#pragma once

#include "ocsp_updater.h"

struct server;

/* At the start: nobody waits, as other names are served meanwhile; a certificate that must have a
 * staple and never can is told in the log. */
void server_ocsp_begin(struct server *s);
/* After other certificates, or another configuration, have come to serve, or were given up. */
void server_ocsp_follow(struct server *s);
/* Before they do: a certificate that must have a staple (RFC 7633) gets the time for it that
 * `config` says, and a warning if there is none then. It serves all the same: who put it there
 * wants it served, most clients do not insist, and the one whose place it takes may be about to
 * expire or be the reason for the change. Followed by server_ocsp_follow(), whatever comes of it.
 */
void server_ocsp_prepare(struct server *s, struct config *config, const struct cert_set *next,
                         const struct cert_reporter *reporter);
