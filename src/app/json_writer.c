/* JSON as it is written: the state is which containers are open and whether they hold something. */
#include <sallyport/app/json_writer.h>
#include <sallyport/app/text.h>

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

static void put(struct json_writer *j, const char *text)
{
    (void)fputs(text, j->out);
}

static void new_line(struct json_writer *j)
{
    if (j->compact)
        return;
    (void)putc('\n', j->out);
    for (uint8_t i = 0; i < j->depth; i++)
        put(j, "  ");
}

/* What stands between this value and the one before it. */
static void separate(struct json_writer *j)
{
    if (j->keyed) {
        j->keyed = false;
        return;
    }
    if (j->depth == 0)
        return;
    if (j->filled[j->depth - 1])
        put(j, ",");
    j->filled[j->depth - 1] = true;
    new_line(j);
}

void json_key(struct json_writer *j, struct view name)
{
    SP_ASSERT(j->depth > 0 && !j->array[j->depth - 1]);
    separate(j);
    text_json(j->out, name);
    put(j, j->compact ? ":" : ": ");
    j->keyed = true;
}

static void begin(struct json_writer *j, const char *name)
{
    if (name != NULL)
        json_key(j, view_of(name));
    separate(j);
}

static void open_container(struct json_writer *j, const char *name, bool array)
{
    begin(j, name);
    SP_ASSERT(j->depth < JSON_WRITER_DEPTH);
    put(j, array ? "[" : "{");
    j->array[j->depth] = array;
    j->filled[j->depth++] = false;
}

void json_object(struct json_writer *j, const char *name)
{
    open_container(j, name, false);
}

void json_array(struct json_writer *j, const char *name)
{
    open_container(j, name, true);
}

void json_end(struct json_writer *j)
{
    SP_ASSERT(j->depth > 0);
    bool filled = j->filled[--j->depth];

    if (filled)
        new_line(j);
    put(j, j->array[j->depth] ? "]" : "}");
    if (j->depth == 0)
        put(j, "\n");
}

void json_text(struct json_writer *j, const char *name, struct view value)
{
    begin(j, name);
    text_json(j->out, value);
}

void json_string(struct json_writer *j, const char *name, const char *value)
{
    if (value == NULL)
        json_null(j, name);
    else
        json_text(j, name, view_of(value));
}

void json_printf(struct json_writer *j, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    json_text(j, name, view_of(text));
}

void json_number(struct json_writer *j, const char *name, uint64_t value)
{
    begin(j, name);
    (void)fprintf(j->out, "%" PRIu64, value);
}

void json_signed(struct json_writer *j, const char *name, int64_t value)
{
    begin(j, name);
    (void)fprintf(j->out, "%" PRId64, value);
}

void json_decimal(struct json_writer *j, const char *name, double value)
{
    begin(j, name);
    (void)fprintf(j->out, "%.3f", value);
}

void json_bool(struct json_writer *j, const char *name, bool value)
{
    json_raw(j, name, value ? VIEW("true") : VIEW("false"));
}

void json_null(struct json_writer *j, const char *name)
{
    json_raw(j, name, VIEW("null"));
}

void json_raw(struct json_writer *j, const char *name, struct view value)
{
    begin(j, name);
    (void)fwrite(value.p, 1, value.len, j->out);
}

void json_time(struct json_writer *j, const char *name, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    char text[32];
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%FT%T", &tm) == 0)
        json_null(j, name);
    else
        json_printf(j, name, "%s.%03dZ", text, (int)(wall_ms % 1000));
}
