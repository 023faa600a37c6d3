/* Foreign bytes as part of a JSON or HTML document. */
#include <sallyport/app/text.h>

#include <stdint.h>

/* RFC 3629 4: which first bytes there are, how long the character is, and the narrower range that
 * some leave to their second byte (no overlong forms, no surrogates, nothing past U+10FFFF). */
static const struct utf8_lead {
    uint8_t first, last;
    uint8_t length;
    uint8_t second_min, second_max;
} utf8_leads[] = {
    {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct utf8_lead *utf8_lead_of(uint8_t byte)
{
    for (size_t i = 0; i < sizeof(utf8_leads) / sizeof(utf8_leads[0]); i++)
        if (byte >= utf8_leads[i].first && byte <= utf8_leads[i].last)
            return &utf8_leads[i];
    return NULL;
}

size_t text_utf8_length(struct view v)
{
    const struct utf8_lead *lead = v.len == 0 ? NULL : utf8_lead_of((uint8_t)v.p[0]);

    if (lead == NULL || v.len < lead->length)
        return 0;
    if (lead->length == 1)
        return 1;
    if ((uint8_t)v.p[1] < lead->second_min || (uint8_t)v.p[1] > lead->second_max)
        return 0;
    for (size_t i = 2; i < lead->length; i++)
        if (((uint8_t)v.p[i] & 0xc0) != 0x80)
            return 0;
    return lead->length;
}

/* RFC 8259 7: what must be escaped, and DEL, which terminals do not like. */
static void json_ascii(FILE *out, unsigned char c)
{
    if (c == '"' || c == '\\')
        (void)fprintf(out, "\\%c", c);
    else if (c == '\n')
        (void)fputs("\\n", out);
    else if (c < 0x20 || c == 0x7f)
        (void)fprintf(out, "\\u%04x", (unsigned)c);
    else
        (void)putc(c, out);
}

void text_json(FILE *out, struct view v)
{
    (void)putc('"', out);
    while (v.len > 0) {
        size_t n = text_utf8_length(v);

        if (n == 0)
            (void)fprintf(out, "\\u%04x", (unsigned)(unsigned char)v.p[0]);
        else if (n == 1)
            json_ascii(out, (unsigned char)v.p[0]);
        else
            (void)fwrite(v.p, 1, n, out);
        v = view_from(v, n == 0 ? 1 : n);
    }
    (void)putc('"', out);
}

static void html_ascii(FILE *out, unsigned char c)
{
    switch (c) {
    case '&': (void)fputs("&amp;", out); break;
    case '<': (void)fputs("&lt;", out); break;
    case '>': (void)fputs("&gt;", out); break;
    case '"': (void)fputs("&quot;", out); break;
    case '\'': (void)fputs("&#39;", out); break;
    default:
        /* A control character has no place in HTML but for blanks. */
        (void)putc(c < 0x20 && c != '\n' && c != '\t' ? ' ' : c, out);
    }
}

void text_html(FILE *out, struct view v)
{
    while (v.len > 0) {
        size_t n = text_utf8_length(v);

        if (n == 0)
            (void)fprintf(out, "&#%u;", (unsigned)(unsigned char)v.p[0]);
        else if (n == 1)
            html_ascii(out, (unsigned char)v.p[0]);
        else
            (void)fwrite(v.p, 1, n, out);
        v = view_from(v, n == 0 ? 1 : n);
    }
}
