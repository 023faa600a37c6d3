/* Answers of the program's own. */
#include "answer.h"

#include "http_date.h"

enum sp_err answer_begin(struct http_head *head, struct arena *arena, uint16_t status)
{
    /* A copy: the session may send the head when the thread's Date is another one already. */
    struct view date = arena_copy(arena, http_date_now());

    *head = (struct http_head){
        .version = HTTP_VERSION_1_1,
        .body = HTTP_BODY_LENGTH,
        .keep_alive = true,
        .status = status,
        .reason = view_of(http_status_reason(status)),
    };
    if (status / 100 == 1 || status == 204 || status == 304)
        head->body = HTTP_BODY_NONE; /* RFC 9110 8.6: no Content-Length either */
    return date.p == NULL ? SP_NOMEM : answer_field(head, arena, HTTP_FIELD_DATE, date);
}

enum sp_err answer_field(struct http_head *head, struct arena *arena, enum http_field_id id,
                         struct view value)
{
    return http_fields_add(&head->fields, arena, id, view_of(http_field_name(id)), value);
}

enum sp_err answer_body(struct http_head *head, struct arena *arena, struct iobuf *body,
                        struct view type, struct view text)
{
    enum sp_err err = SP_OK;

    if (head->body == HTTP_BODY_NONE)
        return SP_OK;
    if (type.len > 0)
        err = answer_field(head, arena, HTTP_FIELD_CONTENT_TYPE, type);
    if (err != SP_OK)
        return err;
    head->content_length = text.len;
    return text.len == 0 ? SP_OK : iobuf_append_view(body, text);
}
