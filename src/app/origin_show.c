/* Pages that show what arrived: for people as HTML, for programs as JSON. Both are written into a
 * memory stream first, because the length stands in front. */
#include "origin_internal.h"

#include <sallyport/app/text.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HTML "text/html; charset=utf-8"
#define JSON "application/json"

static struct view value_of(const struct origin_conn *c, enum http_field_id id)
{
    const struct http_field *f = http_fields_get(&c->head.fields, id);

    return f == NULL ? (struct view){NULL, 0} : f->value;
}

static bool wants_json(const struct origin_conn *c)
{
    for (uint32_t i = 0; i < c->head.fields.n; i++) {
        const struct http_field *f = &c->head.fields.v[i];

        if (view_eq_nocase(f->name, VIEW("accept")) && f->value.len > 0 &&
            memmem(f->value.p, f->value.len, JSON, sizeof(JSON) - 1) != NULL)
            return true;
    }
    return false;
}

static const char *version_of(const struct origin_conn *c)
{
    return c->head.version == HTTP_VERSION_1_0 ? "HTTP/1.0" : "HTTP/1.1";
}

static struct view checksum_of(const struct origin_conn *c, char *dst, size_t cap)
{
    int n = snprintf(dst, cap, "%016" PRIx64, c->body.checksum);

    return (struct view){dst, c->body.summed ? (size_t)n : 0};
}

/* The trailer section without its final empty line. */
static struct view trailers_of(const struct origin_conn *c)
{
    return view_head(c->body.trailers, c->body.trailers.len < 2 ? 0 : c->body.trailers.len - 2);
}

/* Sends what `write` writes. */
static void reply_written(struct origin_conn *c, unsigned status, const char *type,
                          void (*write)(const struct origin_conn *c, FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        c->failed = true;
        return;
    }
    write(c, out);
    bool bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad)
        c->failed = true;
    else
        origin_reply_text(c, status, type, (struct view){text, len});
    free(text);
}

static void json_pair(FILE *out, const char *name, struct view value)
{
    (void)fprintf(out, "  \"%s\": ", name);
    if (value.p == NULL)
        (void)fputs("null", out);
    else
        text_json(out, value);
    (void)fputs(",\n", out);
}

static void json_fields(const struct origin_conn *c, FILE *out)
{
    const struct http_fields *f = &c->head.fields;

    (void)fputs("  \"fields\": [", out);
    for (uint32_t i = 0; i < f->n; i++) {
        (void)fputs(i == 0 ? "\n    [" : ",\n    [", out);
        text_json(out, f->v[i].name);
        (void)fputs(", ", out);
        text_json(out, f->v[i].value);
        (void)fputs("]", out);
    }
    (void)fputs(f->n > 0 ? "\n  ],\n" : "],\n", out);
}

static void json_body(const struct origin_conn *c, FILE *out)
{
    char sum[24];

    (void)fprintf(out, "  \"body\": {\"bytes\": %" PRIu64 ", \"chunked\": %s, \"fnv1a64\": ",
                  c->body.bytes, c->body.kind == HTTP_BODY_UNSIZED ? "true" : "false");
    text_json(out, checksum_of(c, sum, sizeof(sum)));
    (void)fputs(", \"trailers\": ", out);
    text_json(out, trailers_of(c));
    (void)fprintf(out, ", \"continue\": {\"expected\": %s, \"sent\": %s}}\n",
                  c->head.expect_continue ? "true" : "false", c->continued ? "true" : "false");
}

static void write_json(const struct origin_conn *c, FILE *out)
{
    char peer[ENDPOINT_TEXT_MAX];

    (void)fputs("{\n", out);
    json_pair(out, "origin", view_of(c->origin->options->name));
    json_pair(out, "method", c->head.method_text);
    json_pair(out, "target", c->head.path);
    json_pair(out, "version", view_of(version_of(c)));
    json_pair(out, "host", c->head.authority);
    json_pair(out, "client", value_of(c, HTTP_FIELD_X_FORWARDED_FOR));
    json_pair(out, "scheme", value_of(c, HTTP_FIELD_X_FORWARDED_PROTO));
    json_pair(out, "request_id", value_of(c, HTTP_FIELD_X_REQUEST_ID));
    json_pair(out, "peer", view_of(ip_endpoint_format(&c->vc->remote, peer, sizeof(peer))));
    (void)fprintf(out, "  \"connection\": %" PRIu64 ",\n  \"request\": %" PRIu64 ",\n", c->id,
                  c->n_requests);
    json_fields(c, out);
    json_body(c, out);
    (void)fputs("}\n", out);
}

void origin_show_json(struct origin_conn *c)
{
    reply_written(c, 200, JSON, write_json);
}

static void write_sink(const struct origin_conn *c, FILE *out)
{
    (void)fputs("{\n", out);
    json_body(c, out);
    (void)fputs("}\n", out);
}

void origin_sink(struct origin_conn *c)
{
    reply_written(c, 200, JSON, write_sink);
}

static const char page_top[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>sallyport origin</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark;--fg:#1c2430;--bg:#fbfaf7;--soft:#5b6675;--line:#d9d6cd;"
    "--accent:#0b5c8a}\n"
    "@media (prefers-color-scheme:dark){:root{--fg:#e6e9ee;--bg:#14181e;--soft:#9aa6b5;"
    "--line:#2f3742;--accent:#7cc4ee}}\n"
    "body{margin:0;background:var(--bg);color:var(--fg);font:1rem/1.55 system-ui,sans-serif}\n"
    "main{max-width:56rem;margin:0 auto;padding:2rem 1.25rem 4rem}\n"
    "h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2.25rem 0 .5rem}\n"
    "p{margin:.25rem 0 1rem;color:var(--soft)}a{color:var(--accent)}\n"
    "table{width:100%;border-collapse:collapse}caption{text-align:left;color:var(--soft)}\n"
    "th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;"
    "border-top:1px solid var(--line)}\n"
    "th{font-weight:600;width:14rem}td,code{overflow-wrap:anywhere;"
    "font-family:ui-monospace,monospace;font-size:.92rem}\n"
    "td.text{font-family:inherit;font-size:1rem}\n"
    "@media (max-width:34rem){th,td{display:block;width:auto;border-top:0;padding:.1rem 0}"
    "th{border-top:1px solid var(--line);padding-top:.5rem}}\n"
    "</style>\n</head>\n<body>\n<main>\n";

static const char page_end[] = "</main>\n</body>\n</html>\n";

static void html_row(FILE *out, struct view name, struct view value)
{
    (void)fputs("<tr><th scope=\"row\">", out);
    text_html(out, name);
    (void)fputs("</th><td>", out);
    if (value.p == NULL)
        (void)fputs("&ndash;", out);
    else
        text_html(out, value);
    (void)fputs("</td></tr>\n", out);
}

static void html_number_row(FILE *out, struct view name, uint64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, n);

    html_row(out, name, (struct view){text, (size_t)len});
}

static void html_request(const struct origin_conn *c, FILE *out)
{
    char peer[ENDPOINT_TEXT_MAX];

    (void)fputs("<h2>The request</h2>\n<table>\n", out);
    html_row(out, VIEW("Method"), c->head.method_text);
    html_row(out, VIEW("Target"), c->head.path);
    html_row(out, VIEW("Host"), c->head.authority);
    html_row(out, VIEW("Protocol"), view_of(version_of(c)));
    html_row(out, VIEW("Client, as told"), value_of(c, HTTP_FIELD_X_FORWARDED_FOR));
    html_row(out, VIEW("Scheme, as told"), value_of(c, HTTP_FIELD_X_FORWARDED_PROTO));
    html_row(out, VIEW("Request id"), value_of(c, HTTP_FIELD_X_REQUEST_ID));
    html_row(out, VIEW("Came from"),
             view_of(ip_endpoint_format(&c->vc->remote, peer, sizeof(peer))));
    html_number_row(out, VIEW("Connection"), c->id);
    html_number_row(out, VIEW("Request on it"), c->n_requests);
    (void)fputs("</table>\n", out);
}

static void html_body(const struct origin_conn *c, FILE *out)
{
    char sum[24];

    if (c->body.kind == HTTP_BODY_NONE)
        return;
    (void)fputs("<h2>Its body</h2>\n<table>\n", out);
    html_number_row(out, VIEW("Bytes"), c->body.bytes);
    html_row(out, VIEW("FNV-1a, 64 bits"), checksum_of(c, sum, sizeof(sum)));
    (void)fputs("</table>\n", out);
}

static void html_fields(const struct origin_conn *c, FILE *out)
{
    const struct http_fields *f = &c->head.fields;

    (void)fputs("<h2>Its fields</h2>\n<table>\n<caption>In the order of arrival.</caption>\n", out);
    for (uint32_t i = 0; i < f->n; i++)
        html_row(out, f->v[i].name, f->v[i].value);
    (void)fputs("</table>\n", out);
}

static void html_pages(FILE *out)
{
    (void)fputs("<h2>More to try</h2>\n<table>\n<caption>Any of them with <code>?early=1</code> "
                "answers before it reads the request's body.</caption>\n",
                out);
    for (size_t i = 0; i < origin_page_count; i++) {
        const struct origin_page *p = &origin_pages[i];

        (void)fputs("<tr><th scope=\"row\">", out);
        if (p->example != NULL) {
            (void)fputs("<a href=\"", out);
            text_html(out, view_of(p->example));
            (void)fputs("\">", out);
        }
        (void)fputs("<code>", out);
        text_html(out, view_of(p->usage));
        (void)fputs(p->example != NULL ? "</code></a>" : "</code>", out);
        (void)fputs("</th><td class=\"text\">", out);
        text_html(out, view_of(p->help));
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</table>\n", out);
}

static void write_html(const struct origin_conn *c, FILE *out)
{
    (void)fputs(page_top, out);
    (void)fputs("<h1>It arrived.</h1>\n<p>This is <strong>", out);
    text_html(out, view_of(c->origin->options->name));
    (void)fputs("</strong>, the demo backend of sallyport. Here is what reached it.</p>\n", out);
    html_request(c, out);
    html_body(c, out);
    html_fields(c, out);
    html_pages(out);
    (void)fputs(page_end, out);
}

void origin_show(struct origin_conn *c)
{
    if (wants_json(c))
        origin_show_json(c);
    else
        reply_written(c, 200, HTML, write_html);
}

static void write_missing(const struct origin_conn *c, FILE *out)
{
    (void)fputs("Nothing is served under ", out);
    text_json(out, c->head.path);
    (void)fputs(". There are:\n\n", out);
    for (size_t i = 0; i < origin_page_count; i++)
        (void)fprintf(out, "%-36s %s\n", origin_pages[i].usage, origin_pages[i].help);
}

void origin_show_missing(struct origin_conn *c)
{
    reply_written(c, 404, NULL, write_missing);
}
