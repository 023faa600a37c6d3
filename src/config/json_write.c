#include "json_write.h"

#include "conf_json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_COLUMNS 100
#define INDENT       2
#define LINE_DEPTH   2 /* containers inside one another that may share a line */

static void put_escaped(struct conf_buf *b, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = c == '\0' ? NULL : strchr(from, c);

    if (at != NULL)
        conf_buf_put(b, "\\%c", to[at - from]);
    else
        conf_buf_put(b, "\\u%04x", (unsigned)(unsigned char)c);
}

void json_write_string(struct conf_buf *b, struct view v)
{
    size_t plain = 0;

    conf_buf_add(b, VIEW("\""));
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.p[i];

        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        conf_buf_add(b, (struct view){v.p + plain, i - plain});
        put_escaped(b, v.p[i]);
        plain = i + 1;
    }
    conf_buf_add(b, view_from(v, plain));
    conf_buf_add(b, VIEW("\""));
}

/* The shortest of the spellings that read back as the same number; with a point or an exponent,
 * so that it stays no integer. */
static void put_real(struct conf_buf *b, double value)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (!islessgreater(strtod(text, NULL), value))
            break;
    }
    conf_buf_put(b, strpbrk(text, ".e") == NULL ? "%s.0" : "%s", text);
}

static void put_scalar(struct conf_buf *b, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING:
        json_write_string(b, (struct view){json_string_value(v), json_string_length(v)});
        break;
    case JSON_INTEGER: conf_buf_put(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v)); break;
    case JSON_REAL: put_real(b, json_real_value(v)); break;
    case JSON_TRUE: conf_buf_put(b, "true"); break;
    case JSON_FALSE: conf_buf_put(b, "false"); break;
    case JSON_NULL: conf_buf_put(b, "null"); break;
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
}

static size_t n_children(const json_t *v)
{
    return json_is_object(v) ? json_object_size(v) : json_array_size(v);
}

/* ---- One line ---- */

static bool put_line(struct conf_buf *b, const json_t *v, size_t end);

static bool put_line_object(struct conf_buf *b, const json_t *v, size_t end)
{
    const char *key, *between = "{ ";
    json_t *child;

    json_object_foreach(conf_json_iterable(v), key, child)
    {
        conf_buf_put(b, "%s", between);
        json_write_string(b, view_of(key));
        conf_buf_put(b, ": ");
        if (!put_line(b, child, end))
            return false;
        between = ", ";
    }
    conf_buf_put(b, " }");
    return b->len <= end;
}

static bool put_line_array(struct conf_buf *b, const json_t *v, size_t end)
{
    json_t *child;
    size_t i;

    json_array_foreach(v, i, child)
    {
        conf_buf_put(b, i == 0 ? "[" : ", ");
        if (!put_line(b, child, end))
            return false;
    }
    conf_buf_put(b, "]");
    return b->len <= end;
}

/* False: the text goes beyond `end`, and the rest was left out. */
static bool put_line(struct conf_buf *b, const json_t *v, size_t end)
{
    if (b->nomem)
        return false;
    if (json_is_object(v) && n_children(v) > 0)
        return put_line_object(b, v, end);
    if (json_is_array(v) && n_children(v) > 0)
        return put_line_array(b, v, end);
    if (json_is_object(v) || json_is_array(v))
        conf_buf_put(b, json_is_object(v) ? "{}" : "[]");
    else
        put_scalar(b, v);
    return b->len <= end;
}

void json_write_line(struct conf_buf *b, const json_t *value)
{
    (void)put_line(b, value, SIZE_MAX);
}

/* ---- Several lines ---- */

static bool is_plain(const json_t *v, unsigned depth);

/* A child that may stand on its parent's line: an object only if it is alone there. */
static bool is_plain_child(const json_t *parent, const json_t *child, unsigned depth)
{
    bool alone = n_children(parent) == 1;

    return is_plain(child, depth) && (alone || !json_is_object(child));
}

/* Plain enough for one line? */
static bool is_plain(const json_t *v, unsigned depth)
{
    const char *key;
    json_t *child;
    size_t i;

    if (n_children(v) == 0)
        return true;
    if (depth == 0)
        return false;
    json_array_foreach(v, i, child)
    {
        if (!is_plain_child(v, child, depth - 1))
            return false;
    }
    json_object_foreach(conf_json_iterable(v), key, child)
    {
        if (!is_plain_child(v, child, depth - 1))
            return false;
    }
    return true;
}

static void new_line(struct conf_buf *b, size_t indent)
{
    conf_buf_put(b, "\n");
    conf_buf_spaces(b, indent);
}

static void put_members(struct conf_buf *b, const json_t *v, size_t indent)
{
    const char *key, *between = "{";
    json_t *child;

    json_object_foreach(conf_json_iterable(v), key, child)
    {
        size_t begin;

        conf_buf_put(b, "%s", between);
        new_line(b, indent);
        begin = b->len;
        json_write_string(b, view_of(key));
        conf_buf_put(b, ": ");
        json_write(b, child, indent, indent + b->len - begin);
        between = ",";
    }
}

static void put_elements(struct conf_buf *b, const json_t *v, size_t indent)
{
    json_t *child;
    size_t i;

    json_array_foreach(v, i, child)
    {
        conf_buf_put(b, i == 0 ? "[" : ",");
        new_line(b, indent);
        json_write(b, child, indent, indent);
    }
}

static void put_lines(struct conf_buf *b, const json_t *v, size_t indent)
{
    if (json_is_object(v))
        put_members(b, v, indent + INDENT);
    else
        put_elements(b, v, indent + INDENT);
    new_line(b, indent);
    conf_buf_put(b, json_is_object(v) ? "}" : "]");
}

void json_write(struct conf_buf *b, const json_t *value, size_t indent, size_t column)
{
    size_t begin = b->len;
    size_t room = column < LINE_COLUMNS ? LINE_COLUMNS - column : 0;

    if (n_children(value) == 0) {
        json_write_line(b, value);
        return;
    }
    if (is_plain(value, LINE_DEPTH) && put_line(b, value, begin + room))
        return;
    conf_buf_cut(b, begin);
    put_lines(b, value, indent);
}
