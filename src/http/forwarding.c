/* Fields about the client, for the backend. */
#include "forwarding.h"

#include "request_id.h"
#include "text_buf.h"

bool forwarding_trusts(const struct forwarding_conf *conf, const union ip_endpoint *peer)
{
    return conf->n_trusted > 0 && cidr_any_contains(conf->trusted, conf->n_trusted, peer);
}

#define BIT(id) (UINT64_C(1) << HTTP_FIELD_##id)
#define OWNED                                                                               \
    (BIT(X_FORWARDED_FOR) | BIT(X_FORWARDED_PROTO) | BIT(X_FORWARDED_HOST) |                \
     BIT(X_FORWARDED_PORT) | BIT(FORWARDED) | BIT(X_REQUEST_ID) | BIT(CLIENT_CERT) |        \
     BIT(CLIENT_CERT_CHAIN) | BIT(X_CLIENT_CERT_FINGERPRINT) | BIT(X_CLIENT_CERT_SUBJECT) | \
     BIT(X_CLIENT_CERT_VERIFIED))

bool forwarding_owns(enum http_field_id id)
{
    return (OWNED >> id & 1) != 0;
}

bool forwarding_is_imitation(struct view name)
{
    return forwarding_owns(http_field_id_imitated(name));
}

enum { OWN_FIELDS = 12 }; /* the eleven of OWNED, and Via */

uint32_t forwarding_max_fields(const struct http_fields *request)
{
    uint32_t n = OWN_FIELDS;

    if ((request->present & OWNED) == 0)
        return n;
    for (uint32_t i = 0; i < request->n; i++)
        n += forwarding_owns(request->v[i].id);
    return n;
}

struct view forwarding_request_id(const struct forwarding *f, const struct http_head *request,
                                  struct arena *arena)
{
    const struct http_field *given =
        f->trusted ? http_fields_get(&request->fields, HTTP_FIELD_X_REQUEST_ID) : NULL;
    char *id;

    if (given != NULL && request_id_is_sane(given->value))
        return given->value;
    id = arena_alloc(arena, REQUEST_ID_LEN);
    if (id == NULL)
        return (struct view){NULL, 0};
    request_id_make(id);
    return (struct view){id, REQUEST_ID_LEN};
}

static enum sp_err add(struct http_fields *out, struct arena *arena, enum http_field_id id,
                       struct view value)
{
    return http_fields_add(out, arena, id, view_of(http_field_name(id)), value);
}

/* A trusted peer's fields with this id, as they are. */
static enum sp_err keep(struct http_fields *out, struct arena *arena,
                        const struct http_fields *request, enum http_field_id id)
{
    const struct http_field *field = http_fields_get(request, id);

    for (; field != NULL; field = http_fields_next(request, field))
        if (http_fields_add(out, arena, id, field->name, field->value) != SP_OK)
            return SP_NOMEM;
    return SP_OK;
}

/* Bytes of a trusted peer's list with this id, with a separator behind each value. */
static size_t list_len(const struct forwarding *f, const struct http_fields *request,
                       enum http_field_id id)
{
    const struct http_field *field = f->trusted ? http_fields_get(request, id) : NULL;
    size_t len = 0;

    for (; field != NULL; field = http_fields_next(request, field))
        len += field->value.len + 2;
    return len;
}

/* The list so far, in one line: many readers look at the first line only. */
static void put_list(struct text_buf *t, const struct forwarding *f,
                     const struct http_fields *request, enum http_field_id id)
{
    const struct http_field *field = f->trusted ? http_fields_get(request, id) : NULL;

    for (; field != NULL; field = http_fields_next(request, field)) {
        if (field->value.len == 0)
            continue;
        text_put(t, field->value);
        text_put(t, VIEW(", "));
    }
}

/* Room for a list and one element of at most `element` bytes. */
static struct text_buf list_room(const struct forwarding *f, const struct http_head *request,
                                 enum http_field_id id, size_t element, struct arena *arena)
{
    size_t cap = list_len(f, &request->fields, id) + element;

    return text_buf_over(arena_alloc(arena, cap), cap);
}

static enum sp_err add_for(const struct forwarding *f, const struct http_head *request,
                           struct arena *arena, struct http_fields *out)
{
    const enum http_field_id id = HTTP_FIELD_X_FORWARDED_FOR;
    struct text_buf t = list_room(f, request, id, TEXT_ADDRESS_MAX, arena);

    if (t.p == NULL)
        return SP_NOMEM;
    put_list(&t, f, &request->fields, id);
    if (f->client.sa.sa_family == AF_UNSPEC)
        text_put(&t, VIEW("unknown"));
    else
        text_address(&t, &f->client);
    return add(out, arena, id, text_buf_view(&t));
}

/* What the first proxy saw is kept when we trust the one that tells; else what we see. */
static enum sp_err add_single(const struct forwarding *f, const struct http_head *request,
                              struct arena *arena, struct http_fields *out, enum http_field_id id,
                              struct view own)
{
    if (f->trusted && http_fields_has(&request->fields, id))
        return keep(out, arena, &request->fields, id);
    return own.len == 0 ? SP_OK : add(out, arena, id, own);
}

static struct view proto_of(const struct forwarding *f)
{
    return f->tls ? VIEW("https") : VIEW("http");
}

static enum sp_err add_port(const struct forwarding *f, const struct http_head *request,
                            struct arena *arena, struct http_fields *out)
{
    struct text_buf t = text_buf_over(arena_alloc(arena, sizeof("65535")), sizeof("65535"));

    if (t.p == NULL)
        return SP_NOMEM;
    if (f->port != 0)
        text_u64(&t, f->port);
    return add_single(f, request, arena, out, HTTP_FIELD_X_FORWARDED_PORT, text_buf_view(&t));
}

static enum sp_err add_x_forwarded(const struct forwarding *f, const struct http_head *request,
                                   struct arena *arena, struct http_fields *out)
{
    enum sp_err err = add_for(f, request, arena, out);

    if (err == SP_OK)
        err = add_single(f, request, arena, out, HTTP_FIELD_X_FORWARDED_PROTO, proto_of(f));
    if (err == SP_OK)
        err = add_single(f, request, arena, out, HTTP_FIELD_X_FORWARDED_HOST, request->authority);
    return err == SP_OK ? add_port(f, request, arena, out) : err;
}

/* RFC 7239 6: an IPv6 address is in brackets and, as it holds colons, quoted. */
static void put_node(struct text_buf *t, const union ip_endpoint *client)
{
    bool ipv6 = text_address_is_ipv6(client);

    if (client->sa.sa_family == AF_UNSPEC) {
        text_put(t, VIEW("unknown"));
        return;
    }
    text_put(t, ipv6 ? VIEW("\"[") : VIEW(""));
    text_address(t, client);
    text_put(t, ipv6 ? VIEW("]\"") : VIEW(""));
}

/* token / quoted-string (RFC 7239 4): always quoted, as host:port is no token. What would have to
 * be escaped is in no authority that the parser lets through; it is left out. */
static void put_quoted(struct text_buf *t, struct view text)
{
    text_char(t, '"');
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] != '"' && text.p[i] != '\\')
            text_char(t, text.p[i]);
    text_char(t, '"');
}

static enum sp_err add_forwarded(const struct forwarding *f, const struct http_head *request,
                                 struct arena *arena, struct http_fields *out)
{
    const enum http_field_id id = HTTP_FIELD_FORWARDED;
    size_t element =
        sizeof("for=\"[]\";host=\"\";proto=https") + TEXT_ADDRESS_MAX + request->authority.len;
    struct text_buf t = list_room(f, request, id, element, arena);

    if (t.p == NULL)
        return SP_NOMEM;
    put_list(&t, f, &request->fields, id);
    text_put(&t, VIEW("for="));
    put_node(&t, &f->client);
    if (request->authority.len > 0) {
        text_put(&t, VIEW(";host="));
        put_quoted(&t, request->authority);
    }
    text_put(&t, VIEW(";proto="));
    text_put(&t, proto_of(f));
    return add(out, arena, id, text_buf_view(&t));
}

/* RFC 9110 7.6.3: the protocol of the message as it was received. A line of its own means the same
 * as one more element. */
static enum sp_err add_via(const struct http_head *request, struct arena *arena,
                           struct http_fields *out)
{
    struct view value = VIEW("1.1 sallyport");

    if (request->version == HTTP_VERSION_1_0)
        value = VIEW("1.0 sallyport");
    if (request->version == HTTP_VERSION_2)
        value = VIEW("2 sallyport");
    return add(out, arena, HTTP_FIELD_VIA, value);
}

/* ---- The client's certificate: what this connection proves, and never what anybody says ---- */

static enum sp_err add_if(struct http_fields *out, struct arena *arena, enum http_field_id id,
                          struct view value)
{
    return value.len == 0 ? SP_OK : add(out, arena, id, value);
}

static enum sp_err add_plain(const struct client_identity *c, struct arena *arena,
                             struct http_fields *out)
{
    struct view verified = c->fingerprint.len > 0 ? VIEW("SUCCESS") : VIEW("NONE");
    enum sp_err err = SP_OK;

    if ((c->forward & CLIENT_AUTH_VERIFIED) != 0)
        err = add(out, arena, HTTP_FIELD_X_CLIENT_CERT_VERIFIED, verified);
    if (err == SP_OK && (c->forward & CLIENT_AUTH_SUBJECT) != 0)
        err = add_if(out, arena, HTTP_FIELD_X_CLIENT_CERT_SUBJECT, c->subject);
    if (err == SP_OK && (c->forward & CLIENT_AUTH_FINGERPRINT) != 0)
        err = add_if(out, arena, HTTP_FIELD_X_CLIENT_CERT_FINGERPRINT, c->fingerprint);
    return err;
}

static enum sp_err add_identity(const struct client_identity *c, struct arena *arena,
                                struct http_fields *out)
{
    enum sp_err err = add_if(out, arena, HTTP_FIELD_CLIENT_CERT, c->cert);

    if (err == SP_OK)
        err = add_if(out, arena, HTTP_FIELD_CLIENT_CERT_CHAIN, c->chain);
    return err == SP_OK ? add_plain(c, arena, out) : err;
}

/* ---- All of them ---- */

/* A trusted peer's fields of the kind that the configuration does not send. */
static enum sp_err keep_unsent(const struct forwarding *f, const struct http_fields *request,
                               struct arena *arena, struct http_fields *out)
{
    static const enum http_field_id x_ids[] = {
        HTTP_FIELD_X_FORWARDED_FOR, HTTP_FIELD_X_FORWARDED_PROTO, HTTP_FIELD_X_FORWARDED_HOST,
        HTTP_FIELD_X_FORWARDED_PORT};
    enum sp_err err = SP_OK;

    for (size_t i = 0; i < SP_COUNT_OF(x_ids) && !f->conf->x_forwarded && err == SP_OK; i++)
        err = keep(out, arena, request, x_ids[i]);
    if (!f->conf->forwarded && err == SP_OK)
        err = keep(out, arena, request, HTTP_FIELD_FORWARDED);
    if (!f->conf->request_id && err == SP_OK)
        err = keep(out, arena, request, HTTP_FIELD_X_REQUEST_ID);
    return err;
}

enum sp_err forwarding_add(const struct forwarding *f, const struct http_head *request,
                           struct view request_id, struct arena *arena, struct http_fields *out)
{
    enum sp_err err = SP_OK;

    if (f->trusted)
        err = keep_unsent(f, &request->fields, arena, out);
    if (err == SP_OK && f->conf->x_forwarded)
        err = add_x_forwarded(f, request, arena, out);
    if (err == SP_OK && f->conf->forwarded)
        err = add_forwarded(f, request, arena, out);
    if (err == SP_OK && f->conf->request_id)
        err = add(out, arena, HTTP_FIELD_X_REQUEST_ID, request_id);
    if (err == SP_OK && f->identity != NULL)
        err = add_identity(f->identity, arena, out);
    if (err == SP_OK && f->conf->via)
        err = add_via(request, arena, out);
    return err;
}
