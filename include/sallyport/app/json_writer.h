/* Writes one JSON document to a stream, member after member, indented by two blanks; commas, quotes
 * and escapes are its business.
 *
 *     json_object(&j, NULL);
 *     json_text(&j, "version", VIEW("0.1.0"));
 *     json_array(&j, "ports");
 *     json_number(&j, NULL, 443);
 *     json_end(&j);
 *     json_end(&j);                  the outermost end writes the newline
 *
 * `name` is the member's in an object, NULL in an array and at the top. Errors of the stream stay
 * in the stream. Foreign bytes may stand anywhere: see text.h. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* jansson, which config and cli use, has functions of these names too. In one program a symbol is
 * one, and the linker would not say a word: ours have others. No file can use both. */
#define json_object json_writer_object
#define json_array  json_writer_array
#define json_string json_writer_string
#define json_null   json_writer_null

#define JSON_WRITER_DEPTH 32

struct json_writer {
    FILE *out;     /* borrowed */
    bool compact;  /* one line without blanks: a line of a stream */
    bool keyed;    /* json_key() was the last call */
    uint8_t depth; /* open objects and arrays; more than JSON_WRITER_DEPTH is a bug */
    bool array[JSON_WRITER_DEPTH], filled[JSON_WRITER_DEPTH];
};

static inline struct json_writer json_writer_to(FILE *out)
{
    return (struct json_writer){.out = out};
}

void json_object(struct json_writer *j, const char *name);
void json_array(struct json_writer *j, const char *name);
/* Ends the innermost object or array. */
void json_end(struct json_writer *j);

void json_text(struct json_writer *j, const char *name, struct view value);
/* NULL: null. */
void json_string(struct json_writer *j, const char *name, const char *value);
void json_printf(struct json_writer *j, const char *name, const char *fmt, ...) SP_PRINTF(3, 4);
void json_number(struct json_writer *j, const char *name, uint64_t value);
void json_signed(struct json_writer *j, const char *name, int64_t value);
/* With three digits behind the point. */
void json_decimal(struct json_writer *j, const char *name, double value);
void json_bool(struct json_writer *j, const char *name, bool value);
void json_null(struct json_writer *j, const char *name);
/* A value that is JSON already, as it is. */
void json_raw(struct json_writer *j, const char *name, struct view value);
/* The moment as RFC 3339 in UTC, with milliseconds. */
void json_time(struct json_writer *j, const char *name, int64_t wall_ms);
/* The same for a key that is no C string: an object's member named by foreign bytes. The next call
 * with name NULL writes its value. */
void json_key(struct json_writer *j, struct view name);
