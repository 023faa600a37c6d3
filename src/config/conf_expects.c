/* What a row expects and what holds without it, in words: for messages and for the reference. */
#include "conf_table.h"
#include "conf_text.h"

#include <inttypes.h>

#define QUOTE_MAX 200

/* ", " between, " or " before the last. */
static const char *joint(size_t i, size_t n)
{
    if (i == 0)
        return "";
    return i + 1 == n ? " or " : ", ";
}

/* The words that can be had. */
static void put_words(struct conf_text *t, const struct conf_row *row)
{
    size_t n = 0, i = 0;

    for (size_t w = 0; w < row->n_words; w++)
        n += row->words[w].refused == NULL;
    for (size_t w = 0; w < row->n_words; w++) {
        if (row->words[w].refused != NULL)
            continue;
        conf_text_put(t, "%s\"%s\"", joint(i, n), row->words[w].text);
        i++;
    }
}

static void put_integer(struct conf_text *t, const struct conf_row *row)
{
    for (size_t i = 0; i < row->n_numbers; i++)
        conf_text_put(t, "%s%" PRId64, joint(i, row->n_numbers), row->numbers[i]);
    if (row->n_numbers == 0 && row->max == INT64_MAX)
        conf_text_put(t, "an integer of at least %" PRId64, row->min);
    else if (row->n_numbers == 0)
        conf_text_put(t, "an integer from %" PRId64 " to %" PRId64, row->min, row->max);
    if (row->unit != NULL)
        conf_text_put(t, " (%s)", row->unit);
}

static void put_element(struct conf_text *t, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_FLAGS: put_words(t, row); break;
    case CONF_CIDRS:
        conf_text_put(t, "a network such as \"10.0.0.0/8\" without host bits, or an address");
        break;
    case CONF_REFS: conf_text_put(t, "the name of a %s", row->table->noun); break;
    case CONF_STRINGS:
        conf_text_put(t, "%s", row->kind != NULL ? row->kind->expects : "a string");
        break;
    case CONF_LIST:
    case CONF_MAP:
    case CONF_BOOL:
    case CONF_INT:
    case CONF_STRING:
    case CONF_PATH:
    case CONF_MODE:
    case CONF_ENUM:
    case CONF_REF:
    case CONF_OBJECT:
    case CONF_TYPE_COUNT: break;
    }
}

static void put_list(struct conf_text *t, const struct conf_row *row)
{
    conf_text_put(t, "a list");
    if (row->type == CONF_LIST)
        conf_text_put(t, " of %ss", row->table->noun);
    if (row->min > 0 && row->max > 0)
        conf_text_put(t, " (%" PRId64 " to %" PRId64 ")", row->min, row->max);
    else if (row->min > 0)
        conf_text_put(t, " (at least %" PRId64 ")", row->min);
    else if (row->max > 0)
        conf_text_put(t, " (at most %" PRId64 ")", row->max);
}

static void put_row(struct conf_text *t, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_BOOL: conf_text_put(t, "true or false"); break;
    case CONF_INT: put_integer(t, row); break;
    case CONF_STRING:
        conf_text_put(t, "%s", row->kind != NULL ? row->kind->expects : "a string");
        break;
    case CONF_PATH: conf_text_put(t, "a path"); break;
    case CONF_MODE: conf_text_put(t, "permission bits as an octal string such as \"0660\""); break;
    case CONF_ENUM: put_words(t, row); break;
    case CONF_FLAGS:
    case CONF_STRINGS:
    case CONF_CIDRS:
    case CONF_REFS:
        put_list(t, row);
        conf_text_put(t, ", each ");
        put_element(t, row);
        break;
    case CONF_REF: conf_text_put(t, "the name of a %s", row->table->noun); break;
    case CONF_LIST: put_list(t, row); break;
    case CONF_OBJECT:
        if (row->table->form == CONF_FORM_OBJECT_OR_FIRST) {
            put_row(t, &row->table->rows[0]);
            conf_text_put(t, ", or ");
        }
        conf_text_put(t, "an object");
        break;
    case CONF_MAP:
        conf_text_put(t, row->min > 0 ? "an object that is not empty" : "an object");
        break;
    case CONF_TYPE_COUNT: break;
    }
    if (row->n_words > 0 && (row->type == CONF_INT || row->type == CONF_PATH)) {
        conf_text_put(t, " or ");
        put_words(t, row);
    }
}

const char *conf_row_expects(const struct conf_row *row, char *dst, size_t cap)
{
    struct conf_text t;

    conf_text_init(&t, dst, cap);
    put_row(&t, row);
    return dst;
}

const char *conf_row_expects_element(const struct conf_row *row, char *dst, size_t cap)
{
    struct conf_text t;

    conf_text_init(&t, dst, cap);
    put_element(&t, row);
    return dst;
}

static const char *word_of(const struct conf_row *row, int64_t value)
{
    for (size_t i = 0; i < row->n_words; i++)
        if (row->words[i].value == value)
            return row->words[i].text;
    return NULL;
}

static void put_flags(struct conf_text *t, const struct conf_row *row)
{
    const char *between = "";

    conf_text_put(t, "[");
    for (size_t i = 0; i < row->n_words; i++) {
        if ((row->words[i].value & row->def) == 0)
            continue;
        conf_text_put(t, "%s\"%s\"", between, row->words[i].text);
        between = ", ";
    }
    conf_text_put(t, "]");
}

static void put_number(struct conf_text *t, const struct conf_row *row)
{
    const char *word = word_of(row, row->def);

    if (word != NULL)
        conf_text_put(t, "\"%s\"", word);
    else
        conf_text_put(t, "%" PRId64, row->def);
}

const char *conf_row_default(const struct conf_row *row, char *dst, size_t cap)
{
    struct conf_text t;

    conf_text_init(&t, dst, cap);
    if (row->def_note != NULL) {
        conf_text_put(&t, "%s", row->def_note);
        return dst;
    }
    if (row->required)
        return dst;
    switch (row->type) {
    case CONF_BOOL: conf_text_put(&t, row->def != 0 ? "true" : "false"); break;
    case CONF_INT:
    case CONF_ENUM: put_number(&t, row); break;
    case CONF_MODE: conf_text_put(&t, "\"0%" PRIo64 "\"", (uint64_t)row->def); break;
    case CONF_FLAGS: put_flags(&t, row); break;
    case CONF_STRING:
    case CONF_PATH:
        if (row->def_text != NULL)
            conf_text_quote(&t, view_of(row->def_text), QUOTE_MAX);
        break;
    case CONF_STRINGS:
    case CONF_CIDRS:
    case CONF_REF:
    case CONF_REFS:
    case CONF_OBJECT:
    case CONF_LIST:
    case CONF_MAP:
    case CONF_TYPE_COUNT: break;
    }
    return dst;
}
