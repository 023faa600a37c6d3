/* Every key of the configuration is one row; every object is a table of rows. Rows are constant
 * data without code: the reader (conf_reader.c), the defaults, the unknown-key check, the messages
 * and the reference (conf_reference.c) walk them, and so may whatever else is said about keys.
 *
 * A row says where its value goes (offset and size of the field in the object's struct), so tables
 * nest the way the structs do. What a row cannot say, such as "a TLS port needs a bundle", is the
 * table's `finish`, called when the object's rows are read. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>
#include <sallyport/config/diff.h>

#include <stdbool.h>
#include <stdint.h>

struct conf_path;
struct conf_reader;
struct conf_table;

enum conf_type {
    CONF_BOOL,
    CONF_INT,     /* any integer field: the range says what fits. `words` are taken besides */
    CONF_STRING,  /* struct view */
    CONF_PATH,    /* struct view, resolved against the folder; `words` stay as they are */
    CONF_MODE,    /* uint32_t, permission bits written as an octal string: "0660" */
    CONF_ENUM,    /* an enum, or a bool with two words */
    CONF_FLAGS,   /* uint32_t: a list of words, each a bit */
    CONF_STRINGS, /* struct view *, n */
    CONF_CIDRS,   /* struct cidr *, n */
    CONF_REF,     /* const struct x *: the name of a member of the map `refers_to` */
    CONF_REFS,    /* const struct x **, n */
    CONF_OBJECT,  /* keys of `table`, in the struct at `offset` */
    CONF_LIST,    /* struct x *, n: a list of `table` */
    CONF_MAP,     /* struct x *, n: an object whose keys are names, whose values are `table` */
    CONF_TYPE_COUNT
};

struct conf_word {
    const char *text;
    int64_t value;
    const char *refused; /* known, and not to be had: why. NULL: fine */
};

/* What a string has to look like. */
struct conf_kind {
    const char *expects;       /* "a path that begins with \"/\"" */
    bool (*ok)(struct view v); /* NULL: the table's finish sees to it */
    bool lower;                /* upper case means the same: kept in lower case */
    const char *pattern;       /* what the schema says of it (ECMA-262); NULL: nothing */
};

/* What of a running program a change of a key touches: a part of it (config/diff.h). A row that
 * says nothing is as the row above it, in whose object it stands; at the top of the file that is
 * the process itself, which only a restart changes. */
enum conf_touches {
    CONF_TOUCHES_AS_ABOVE,
    CONF_TOUCHES_NOTHING, /* but by way of the rows that inherit it */
#define X(id, label, text) CONF_TOUCHES_##id,
    CONFIG_PARTS(X)
#undef X
};
static inline enum config_part conf_part_of(enum conf_touches touches)
{
    SP_ASSERT(touches > CONF_TOUCHES_NOTHING);
    return (enum config_part)(touches - CONF_TOUCHES_NOTHING - 1);
}

struct conf_row {
    enum conf_touches touches;
    enum conf_touches opens; /* maps: what a member that is added or removed touches */
    bool at_start;           /* a change takes effect when the program is started anew */
    const char *name;        /* the key */
    enum conf_type type;
    const char *unit;     /* of a number; NULL: none */
    const char *help;     /* one or two sentences for a person */
    size_t offset, size;  /* the field */
    size_t n_offset;      /* lists and maps: the uint32_t count */
    int64_t min, max;     /* numbers: the range. Lists, maps: how many (max 0: any number) */
    int64_t def;          /* numbers, booleans, enums, flags */
    const char *def_text; /* strings: the default */
    const char *def_note; /* what holds without the key, where no value says it */
    const struct conf_word *words;
    size_t n_words;
    const int64_t *numbers; /* NULL, or the only ones allowed */
    size_t n_numbers;
    const struct conf_kind *kind;   /* strings and the elements of lists of strings; maps: keys */
    const struct conf_table *table; /* objects, lists and maps of them, references */
    size_t name_offset;             /* maps: the struct view of the element that takes the key */
    const char *refers_to; /* the map at the top of the file that a reference is looked up in */
    const char *inherits;  /* the object at the top of the file that gives the defaults */
    const char *only_with; /* a boolean of the same object without which the key is an error */
    bool required;         /* with `only_with`: where that is true */
    bool choice;           /* exactly one of the rows so marked has to be there */
    bool optional;         /* an object whose defaults hold only where it is given: else zeroes */
};

/* How an object of the table is written. */
enum conf_form {
    CONF_FORM_OBJECT,
    CONF_FORM_OBJECT_OR_FIRST, /* a value that is no object is the first row's */
    CONF_FORM_FIRST,           /* only the value of the first row */
};

struct conf_table {
    const char *noun; /* "bundle": for messages and headings */
    const struct conf_row *rows;
    size_t n_rows;
    size_t size; /* of the struct */
    enum conf_form form;
    /* Checks what no row can say and fills what no key does; NULL: nothing. Called even after
     * errors, with the defaults in place of what was wrong and NULL for what was not found. */
    void (*finish)(struct conf_reader *r, const struct conf_path *at, void *object);
};

/* The parts of a row that belong together. `key` is its name. */
#define CONF_TOUCHES(part)     .touches = CONF_TOUCHES_##part
#define CONF_FIELD(s, field)   .offset = offsetof(s, field), .size = sizeof(((s *)0)->field)
/* Where the field is a pointer. */
#define CONF_POINTER(s, field) .offset = offsetof(s, field), .size = sizeof(void *)
#define CONF_ROW_BOOL(s, key, field, default_, help_) \
    .name = (key), .type = CONF_BOOL, CONF_FIELD(s, field), .def = (default_), .help = (help_)
#define CONF_ROW_INT(s, key, field, min_, max_, default_, unit_, help_)                  \
    .name = (key), .type = CONF_INT, CONF_FIELD(s, field), .min = (min_), .max = (max_), \
    .def = (default_), .unit = (unit_), .help = (help_)
#define CONF_ROW_STRING(s, key, field, kind_, help_) \
    .name = (key), .type = CONF_STRING, CONF_FIELD(s, field), .kind = (kind_), .help = (help_)
#define CONF_ROW_PATH(s, key, field, help_) \
    .name = (key), .type = CONF_PATH, CONF_FIELD(s, field), .help = (help_)
#define CONF_ROW_ENUM(s, key, field, words_, default_, help_)                                      \
    .name = (key), .type = CONF_ENUM, CONF_FIELD(s, field), CONF_WORDS(words_), .def = (default_), \
    .help = (help_)
/* Lists and maps: `field` has the pointer, `n_field` the count. */
#define CONF_ROW_MANY(s, key, type_, field, n_field, help_)                                   \
    .name = (key), .type = (type_), CONF_POINTER(s, field), .n_offset = offsetof(s, n_field), \
    .help = (help_)
#define CONF_ROW_OBJECT(s, key, field, table_, help_) \
    .name = (key), .type = CONF_OBJECT, CONF_FIELD(s, field), .table = (table_), .help = (help_)
#define CONF_ROW_REF(s, key, field, map, table_, help_)                          \
    .name = (key), .type = CONF_REF, CONF_POINTER(s, field), .refers_to = (map), \
    .table = (table_), .help = (help_)
/* An object that only groups keys: its fields are the outer struct's own. */
#define CONF_ROW_GROUP(s, key, table_, help_)                                              \
    .name = (key), .type = CONF_OBJECT, .offset = 0, .size = sizeof(s), .table = (table_), \
    .help = (help_)
#define CONF_WORDS(words_)  .words = (words_), .n_words = SP_COUNT_OF(words_)
#define CONF_ROWS(s, rows_) .rows = (rows_), .n_rows = SP_COUNT_OF(rows_), .size = sizeof(s)

/* A key that begins so is a comment, in every object; one that is so is for editors. */
#define CONF_COMMENT "//"
#define CONF_SCHEMA  "$schema"

/* NULL: no such key. */
const struct conf_row *conf_table_find(const struct conf_table *t, struct view name);
bool conf_key_is_comment(const char *key);

/* May the list or map of the row have n elements? */
bool conf_count_fits(const struct conf_row *row, size_t n);

/* Stores a number in a field of 1 (a bool), 2, 4 or 8 bytes. */
void conf_field_set(void *object, const struct conf_row *row, int64_t value);
int64_t conf_field_get(const void *object, const struct conf_row *row);

/* Fills the defaults of every row, and of the objects below; what a row `inherits` is copied from
 * `root`, an object of `root_table` in which it has been read already. NULL, NULL: no such row. */
void conf_defaults(const struct conf_table *t, void *object, const struct conf_table *root_table,
                   const void *root);

/* "an integer from 1 to 65535 (connections)": what the row expects. Always terminates, cut with
 * "..." if need be; returns dst. */
#define CONF_TEXT_MAX 512
const char *conf_row_expects(const struct conf_row *row, char *dst, size_t cap);
/* The same for one element of a list. */
const char *conf_row_expects_element(const struct conf_row *row, char *dst, size_t cap);
/* The default as it would be written in the file, or `def_note`; "" when there is none. */
const char *conf_row_default(const struct conf_row *row, char *dst, size_t cap);
