/* Answers that need no backend: redirects and fixed answers. What comes from the request goes into
 * a Location only when it is a valid path or authority, so nobody can put a line end or another
 * host there. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/config/config.h>
#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>

/* 308 to https://host[:port]{path and query}, the port left out when it is 443: what a port with
 * redirect_to_port answers to everything. BAD_HOST: the request names no host. On an error *head is
 * not usable. */
enum http_error redirect_to_port(uint16_t port, const struct http_head *request,
                                 struct arena *arena, struct http_head *head) SP_MUST_CHECK;

/* ROUTE_REDIRECT: the status and location of the route; "{path}" becomes path and query of the
 * request, "{host}" its host without port. */
enum http_error redirect_route(const struct route_conf *route, const struct http_head *request,
                               struct arena *arena, struct http_head *head) SP_MUST_CHECK;

/* ROUTE_RESPOND: status, fields and text of the route. Connection-level and framing fields of the
 * configuration are left out. */
enum http_error respond_route(const struct route_conf *route, struct arena *arena,
                              struct http_head *head, struct iobuf *body) SP_MUST_CHECK;
