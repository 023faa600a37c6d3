/* OCSP: whom to ask, how long, and where what they said is kept. */
#include "conf_kinds.h"
#include "conf_reader.h"
#include "config_rows.h"

#include <string.h>
#include <strings.h>

#define OFF "off"

/* Over https the responder's own certificate would have to be asked about first. */
static bool is_http_url(struct view v)
{
    static const char http[] = "http://";

    if (v.len <= sizeof(http) - 1 || v.len > 1024 || strncasecmp(v.p, http, sizeof(http) - 1) != 0)
        return false;
    for (size_t i = 0; i < v.len; i++)
        if (v.p[i] <= 0x20 || v.p[i] >= 0x7f)
            return false;
    return v.p[sizeof(http) - 1] != '/';
}

static const struct conf_kind kind_http_url = {
    .expects = "a URL that begins with \"http://\"",
    .ok = is_http_url,
    .pattern = "^[Hh][Tt][Tt][Pp]://[!-.0-~][!-~]*$",
};

static const struct conf_word cache_words[] = {{OFF, 0, NULL}};

/* clang-format off */
#define S struct ocsp_conf
static const struct conf_row rows[] = {
    {CONF_ROW_BOOL(S, "fetch", fetch, true,
        "Ask the responders that the certificates name; otherwise only responses in files are stapled.")},
    {CONF_ROW_STRING(S, "responder", responder, &kind_http_url,
        "Responder that is asked about every certificate instead."),
        .def_note = "the one that each certificate names"},
    {CONF_ROW_PATH(S, "cache", cache,
        "Folder that responses are kept in across restarts; \"off\": they are not."),
        CONF_WORDS(cache_words), .def_note = "beside admin.state, with \".ocsp\" for the file's \".json\""},
    {CONF_ROW_INT(S, "timeout_ms", timeout_ms, 100, 60 * SECOND_MS, 10 * SECOND_MS, "ms",
        "How long one try may take, from the responder's name to the end of its response.")},
    {CONF_ROW_INT(S, "max_response_bytes", max_response_bytes, 512, MIB, 64 * KIB, "bytes",
        "Of a response; a larger one is not used.")},
    {CONF_ROW_INT(S, "must_staple_wait_ms", must_staple_wait_ms, 0, 60 * SECOND_MS, 5 * SECOND_MS, "ms",
        "How long a reload waits for the first response about a certificate that demands one.")},
};
/* clang-format on */

const struct conf_table conf_ocsp_table = {
    .noun = "OCSP",
    CONF_ROWS(S, rows),
};

void conf_ocsp_default(struct conf_reader *r, struct view file, struct view state,
                       struct ocsp_conf *ocsp)
{
    const char *slash = state.len == 0 ? NULL : memrchr(state.p, '/', state.len);
    struct view folder =
        slash == NULL ? (struct view){NULL, 0} : view_head(state, (size_t)(slash - state.p) + 1);
    struct view stem = conf_file_stem(file), path;

    if (view_eq(ocsp->cache, VIEW(OFF))) {
        ocsp->cache.len = 0;
        return;
    }
    if (ocsp->cache.len > 0 || stem.len == 0)
        return;
    path = arena_printf(r->arena, VIEW_FMT VIEW_FMT ".ocsp", VIEW_ARG(folder), VIEW_ARG(stem));
    if (path.p == NULL)
        r->nomem = true;
    ocsp->cache = path;
}
