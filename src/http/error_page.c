/* Error answers. */
#include "answer.h"
#include "field_named.h"
#include "text_buf.h"

#include <sallyport/http/error_page.h>

enum { PAGE_MAX_BYTES = 2048 }; /* the template, the longest texts and a request id fit twice */

/* The media range "text/html", whatever its parameters; a wildcard does not ask for a page: that is
 * what command-line clients send. */
static bool accepts_html(struct view accept)
{
    struct view rest = accept, range;

    while (http_list_next(&rest, &range)) {
        const char *semicolon = memchr(range.p, ';', range.len);
        size_t len = semicolon == NULL ? range.len : (size_t)(semicolon - range.p);

        if (view_starts_with(range, VIEW("text/html")) && len >= 9 &&
            (len == 9 || range.p[9] == ' '))
            return true;
    }
    return false;
}

enum error_page_type error_page_type_for(const struct http_head *request)
{
    const struct http_field *accept =
        request == NULL ? NULL : http_field_named(&request->fields, VIEW("accept"));

    return accept != NULL && accepts_html(accept->value) ? ERROR_PAGE_HTML : ERROR_PAGE_TEXT;
}

static void put_title(struct text_buf *t, enum http_error why)
{
    uint16_t status = http_error_status(why);

    text_u64(t, status);
    text_char(t, ' ');
    text_str(t, http_status_reason(status));
}

static void put_text(struct text_buf *t, enum http_error why, struct view request_id)
{
    put_title(t, why);
    text_char(t, '\n');
    text_str(t, http_error_text(why));
    text_char(t, '\n');
    if (request_id.len == 0)
        return;
    text_put(t, VIEW("Request id: "));
    text_put(t, request_id);
    text_char(t, '\n');
}

static void put_html(struct text_buf *t, enum http_error why, struct view request_id)
{
    text_put(t, VIEW("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n<title>"));
    put_title(t, why);
    text_put(t, VIEW("</title>\n<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;"
                     "margin:15vh auto;padding:0 1em}h1{font-size:1.4em}small{color:#666}"
                     "</style>\n</head>\n<body>\n<h1>"));
    put_title(t, why);
    text_put(t, VIEW("</h1>\n<p>"));
    text_str(t, http_error_text(why));
    text_put(t, VIEW("</p>\n"));
    if (request_id.len > 0) {
        text_put(t, VIEW("<p><small>Request id: <code>"));
        text_put(t, request_id);
        text_put(t, VIEW("</code></small></p>\n"));
    }
    text_put(t, VIEW("</body>\n</html>\n"));
}

enum sp_err error_page_make(enum http_error why, enum error_page_type type, struct view request_id,
                            struct arena *arena, struct http_head *head, struct iobuf *body)
{
    char room[PAGE_MAX_BYTES];
    struct text_buf t = text_buf_over(room, sizeof(room));
    struct view media = VIEW("text/plain; charset=utf-8");
    enum sp_err err = answer_begin(head, arena, http_error_status(why));

    if (type == ERROR_PAGE_HTML) {
        media = VIEW("text/html; charset=utf-8");
        put_html(&t, why, request_id);
    } else {
        put_text(&t, why, request_id);
    }
    if (err == SP_OK)
        err = answer_field(head, arena, HTTP_FIELD_CACHE_CONTROL, VIEW("no-store"));
    if (err == SP_OK)
        err = answer_body(head, arena, body, media, text_buf_view(&t));
    return err;
}

#define PLAIN_TEXT     "400 Bad Request\nThis port speaks HTTPS, the request was plain HTTP.\n"
#define PLAIN_TEXT_LEN "68"
_Static_assert(sizeof(PLAIN_TEXT) - 1 == 68, "PLAIN_TEXT_LEN is its length");

struct view error_page_plain_http_on_tls(void)
{
    return VIEW("HTTP/1.1 400 Bad Request\r\n"
                "content-type: text/plain; charset=utf-8\r\n"
                "content-length: " PLAIN_TEXT_LEN "\r\n"
                "cache-control: no-store\r\n"
                "connection: close\r\n"
                "\r\n" PLAIN_TEXT);
}
