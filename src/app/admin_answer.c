/* Answers, and problems as RFC 9457 has them. */
#include "admin_answer.h"

#include <stdarg.h>

void admin_answer_init(struct admin_answer *a, struct arena *arena, struct admin_text *text)
{
    *a = (struct admin_answer){
        .status = 200,
        .content_type = "application/json",
        .out = text->out,
        .json = json_writer_to(text->out),
        .arena = arena,
        .text = text,
    };
}

void admin_answer_field(struct admin_answer *a, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct view value = arena_copy(a->arena, view_of(text));
    if (value.p == NULL || http_fields_add(&a->fields, a->arena, http_field_id_of(view_of(name)),
                                           view_of(name), value) != SP_OK)
        a->nomem = true;
}

static void begin_problem(struct admin_answer *a, unsigned status, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/* 3.1.1: without a "type" of its own a problem is no more than its status says ("about:blank"). */
static void begin_problem(struct admin_answer *a, unsigned status, const char *fmt, va_list args)
{
    char detail[1024];

    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    admin_text_reset(a->text);
    a->status = status;
    a->content_type = "application/problem+json";
    a->json = json_writer_to(a->out);
    json_object(&a->json, NULL);
    json_number(&a->json, "status", status);
    json_string(&a->json, "title", http_status_reason(status));
    json_string(&a->json, "detail", detail);
}

void admin_problem_begin(struct admin_answer *a, unsigned status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    begin_problem(a, status, fmt, args);
    va_end(args);
}

void admin_problem(struct admin_answer *a, unsigned status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    begin_problem(a, status, fmt, args);
    va_end(args);
    json_end(&a->json);
}
