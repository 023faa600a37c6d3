#include "tls_client_rows.h"

#include "conf_kinds.h"
#include "conf_reader.h"

#define T struct tls_client_conf

const struct conf_word conf_tls_presets[2] = {
    {"intermediate", TLS_PRESET_INTERMEDIATE, NULL},
    {"modern", TLS_PRESET_MODERN, NULL},
};

static bool is_address(struct view v)
{
    struct cidr network;

    return memchr(v.p, '/', v.len) == NULL && cidr_parse(v, &network) == SP_OK;
}

static bool is_server_name(struct view v)
{
    return conf_is_host_name(v) || (v.len > 0 && is_address(v));
}

static const struct conf_kind server_name_kind = {
    .expects = "a host name or an address without port", .ok = is_server_name, .lower = true};

static void tls_client_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    T *tls = object;
    bool has_key = tls->key.len > 0;

    tls->given = true;
    if ((tls->certificate.len > 0) == has_key)
        return;
    conf_error(r, &(struct conf_path){.up = at, .key = has_key ? "key" : "certificate"},
               "needs \"%s\" beside it", has_key ? "certificate" : "key");
}

/* clang-format off */
static const struct conf_row rows[] = {
    {CONF_ROW_BOOL(T, "enabled", enabled, true,
        "TLS with the servers. The object may be written as this value alone.")},
    {CONF_ROW_BOOL(T, "verify", verify, true,
        "Refuse a server whose certificate nobody trusted has issued, or that is for another name. "
        "false: whoever answers is believed.")},
    {CONF_ROW_PATH(T, "ca_file", ca_file,
        "PEM file with the authorities that are trusted."),
        .def_note = "those of the system"},
    {CONF_ROW_STRING(T, "server_name", server_name, &server_name_kind,
        "The name that is asked for (SNI) and that the certificate has to be for."),
        .def_note = "the host of each server's address"},
    {CONF_ROW_PATH(T, "certificate", certificate,
        "PEM file with a certificate to show to servers that ask for one, the certificate itself "
        "first.")},
    {CONF_ROW_PATH(T, "key", key,
        "PEM file with its private key.")},
    {CONF_ROW_ENUM(T, "preset", preset, conf_tls_presets, TLS_PRESET_INTERMEDIATE,
        "\"modern\" is TLS 1.3 only, \"intermediate\" takes TLS 1.2 too.")},
};
/* clang-format on */

const struct conf_table conf_tls_client_table = {
    .noun = "TLS",
    CONF_ROWS(T, rows),
    .form = CONF_FORM_OBJECT_OR_FIRST,
    .finish = tls_client_finish,
};
