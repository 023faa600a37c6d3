/* An answer of the program's own: head and body, made in one go. Thread: any that has an arena. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/http/http_message.h>

/* *head becomes a response with this status, a Date and no body. SP_NOMEM: not usable. */
enum sp_err answer_begin(struct http_head *head, struct arena *arena, uint16_t status)
    SP_MUST_CHECK;
/* A field of the table. The value is kept, not copied. */
enum sp_err answer_field(struct http_head *head, struct arena *arena, enum http_field_id id,
                         struct view value) SP_MUST_CHECK;
/* The whole body, copied, and its length. `type` empty: no Content-Type field. */
enum sp_err answer_body(struct http_head *head, struct arena *arena, struct iobuf *body,
                        struct view type, struct view text) SP_MUST_CHECK;
