/* How long the body is and whether the connection goes on: RFC 9112 6 and 9.3. The rules that keep
 * two recipients from seeing two different messages in the same bytes are here. */
#include "http1_internal.h"
#include "message_rules.h"

#include <sallyport/http/http_syntax.h>

/* Not exactly "chunked": a coding of which we know nothing (RFC 9112 6.1: 501), or something that
 * other recipients may read as chunked? */
static enum http_error coding_error(struct view value)
{
    struct view rest = value, coding;
    bool chunked = false, other = false;

    while (http_list_next(&rest, &coding)) {
        if (chunked || !http_is_token(coding))
            return HTTP_ERROR_BAD_TRANSFER_ENCODING;
        chunked = view_eq_nocase(coding, VIEW("chunked"));
        other = other || !chunked;
    }
    return other ? HTTP_ERROR_TE_UNSUPPORTED : HTTP_ERROR_BAD_TRANSFER_ENCODING;
}

static enum http_error check_transfer_encoding(const struct http_head *head)
{
    const struct http_field *field = http_fields_get(&head->fields, HTTP_FIELD_TRANSFER_ENCODING);

    /* RFC 9112 6.1: Transfer-Encoding in an HTTP/1.0 message: "MUST treat the message as if the
     * framing is faulty". */
    if (head->version == HTTP_VERSION_1_0 || http_fields_next(&head->fields, field) != NULL)
        return HTTP_ERROR_BAD_TRANSFER_ENCODING;
    return view_eq_nocase(field->value, VIEW("chunked")) ? HTTP_ERROR_NONE
                                                         : coding_error(field->value);
}

enum http_error http1_parse_framing(struct http_head *head)
{
    bool has_length = http_fields_has(&head->fields, HTTP_FIELD_CONTENT_LENGTH);
    bool has_coding = http_fields_has(&head->fields, HTTP_FIELD_TRANSFER_ENCODING);

    /* RFC 9112 6.3, item 3: "ought to be handled as an error". */
    if (has_length && has_coding)
        return HTTP_ERROR_LENGTH_AND_CHUNKED;
    if (has_coding) {
        head->body = HTTP_BODY_UNSIZED;
        return check_transfer_encoding(head);
    }
    head->body = has_length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    return has_length ? message_content_length(&head->fields, &head->content_length)
                      : HTTP_ERROR_NONE;
}

struct http1_connection http1_connection_options(const struct http_fields *fields)
{
    const struct http_field *field = http_fields_get(fields, HTTP_FIELD_CONNECTION);
    struct http1_connection found = {0};

    for (; field != NULL; field = http_fields_next(fields, field)) {
        struct view rest = field->value, option;

        while (http_list_next(&rest, &option)) {
            found.close = found.close || view_eq_nocase(option, VIEW("close"));
            found.keep_alive = found.keep_alive || view_eq_nocase(option, VIEW("keep-alive"));
            found.upgrade = found.upgrade || view_eq_nocase(option, VIEW("upgrade"));
        }
    }
    return found;
}

bool http1_persists(enum http_version version, struct http1_connection options)
{
    return !options.close && (version == HTTP_VERSION_1_1 || options.keep_alive);
}
