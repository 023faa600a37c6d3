/* The reference of every key as Markdown, out of the rows: a section for each object, named by its
 * JSON pointer, with a table of its keys. docs/manual/configuration.md holds what this prints. */
#include "config_rows.h"

#include <ctype.h>

/* What is printed deeper: the pointer of an object, in its parent's order. */
struct section {
    const struct section *up;
    const char *name;
    const char *element; /* "/\*" behind a map, "/0" behind a list */
};

static void print_pointer(const struct section *s, FILE *out)
{
    if (s == NULL)
        return;
    print_pointer(s->up, out);
    (void)fprintf(out, "/%s%s", s->name, s->element);
}

/* What a browser calls the section: letters, digits, "_" and "-" of its heading stay. */
static void print_anchor(const struct section *s, FILE *out)
{
    if (s == NULL)
        return;
    print_anchor(s->up, out);
    for (const char *p = s->name; *p != '\0'; p++)
        if (isalnum((unsigned char)*p) || *p == '_' || *p == '-')
            (void)fputc(*p, out);
    (void)fputs(s->element[0] != '\0' && s->element[1] == '0' ? "0" : "", out);
}

/* Prose inside a cell of a table. */
static void print_prose(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '*' || *text == '<')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static struct section section_of(const struct section *up, const struct conf_row *row)
{
    const char *element = row->type == CONF_MAP ? "/*" : row->type == CONF_LIST ? "/0" : "";

    return (struct section){.up = up, .name = row->name, .element = element};
}

/* The keys of an object that has a section of its own; NULL: none, or they are told elsewhere. */
static const struct conf_table *table_below(const struct conf_row *row)
{
    bool nests = row->type == CONF_OBJECT || row->type == CONF_LIST || row->type == CONF_MAP;

    if (!nests || row->inherits != NULL || row->table->form == CONF_FORM_FIRST)
        return NULL;
    return row->table;
}

static void print_key(const struct conf_row *row, const struct section *up, FILE *out)
{
    struct section below = section_of(up, row);

    if (table_below(row) == NULL) {
        (void)fprintf(out, "| `%s` | ", row->name);
        return;
    }
    (void)fprintf(out, "| [`%s`](#", row->name);
    print_anchor(&below, out);
    (void)fputs(") | ", out);
}

static void print_default(const struct conf_row *row, FILE *out)
{
    char text[CONF_TEXT_MAX];

    (void)conf_row_default(row, text, sizeof(text));
    if (row->required)
        (void)fputs("required", out);
    else if (row->choice)
        (void)fputs("exactly one of these", out);
    else if (row->def_note != NULL)
        print_prose(text, out);
    else if (text[0] != '\0')
        (void)fprintf(out, "`%s`", text);
}

static void print_row(const struct conf_row *row, const struct section *up, FILE *out)
{
    char expects[CONF_TEXT_MAX];

    print_key(row, up, out);
    print_prose(conf_row_expects(row, expects, sizeof(expects)), out);
    (void)fputs(" | ", out);
    print_default(row, out);
    (void)fputs(" | ", out);
    print_prose(row->help, out);
    if (row->inherits != NULL)
        (void)fprintf(out, " The keys are those of [/%s](#%s).", row->inherits, row->inherits);
    if (row->only_with != NULL)
        (void)fprintf(out, " Only with `\"%s\": true`.", row->only_with);
    (void)fputs(" |\n", out);
}

static void print_section(const struct conf_table *t, const struct section *at, FILE *out)
{
    (void)fputs("| key | value | default | |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < t->n_rows; i++)
        print_row(&t->rows[i], at, out);
    for (size_t i = 0; i < t->n_rows; i++) {
        struct section below = section_of(at, &t->rows[i]);

        if (table_below(&t->rows[i]) == NULL)
            continue;
        (void)fputs("\n### ", out);
        print_pointer(&below, out);
        (void)fputs("\n\n", out);
        print_section(t->rows[i].table, &below, out);
    }
}

void config_print_markdown(FILE *out)
{
    (void)fputs("### The object at the top\n\n", out);
    print_section(&conf_config_table, NULL, out);
}
