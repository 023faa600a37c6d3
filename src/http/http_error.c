/* The closed list of ways in which a request ends badly, as lookups. */
#include <sallyport/http/http_error.h>

static const struct row {
    uint16_t status;
    const char *label, *text;
} rows[HTTP_ERROR_COUNT] = {
#define X(id, code, name, sentence) [HTTP_ERROR_##id] = {code, name, sentence},
    HTTP_ERROR_TABLE(X)
#undef X
};

uint16_t http_error_status(enum http_error e)
{
    return rows[e].status;
}

const char *http_error_label(enum http_error e)
{
    return rows[e].label;
}

const char *http_error_text(enum http_error e)
{
    return rows[e].text;
}
