/* The reference of every key, out of the rows. */
#include "config_rows.h"

#define INDENT "    "

static void print_table(const struct conf_table *t, const char *prefix, FILE *out);

/* Words of at most `width` columns a line. */
static void print_wrapped(const char *text, size_t width, FILE *out)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column > 0 && column + 1 + len > width) {
            (void)fputs("\n", out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column == 0 ? INDENT : " ", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
    (void)fputs("\n", out);
}

static void print_value(const struct conf_row *row, FILE *out)
{
    char expects[CONF_TEXT_MAX], dflt[CONF_TEXT_MAX];

    (void)fprintf(out, INDENT "%s", conf_row_expects(row, expects, sizeof(expects)));
    if (conf_row_default(row, dflt, sizeof(dflt))[0] != '\0')
        (void)fprintf(out, "; default: %s", dflt);
    if (row->required)
        (void)fputs("; required", out);
    if (row->choice)
        (void)fputs("; exactly one of these", out);
    if (row->only_with != NULL)
        (void)fprintf(out, "; only with \"%s\": true", row->only_with);
    (void)fputs("\n", out);
}

/* What stands behind the name where there are several: any name, or any index. */
static const char *any_element(const struct conf_row *row)
{
    if (row->type == CONF_MAP)
        return "/*";
    return row->type == CONF_LIST ? "/0" : "";
}

static void print_row(const struct conf_row *row, const char *prefix, FILE *out)
{
    char path[CONF_TEXT_MAX];

    (void)fprintf(out, "%s/%s\n", prefix, row->name);
    print_value(row, out);
    print_wrapped(row->help, 92, out);
    if (row->inherits != NULL) {
        (void)fprintf(out, INDENT "The keys are those of /%s.\n\n", row->inherits);
        return;
    }
    (void)fputs("\n", out);
    (void)snprintf(path, sizeof(path), "%s/%s%s", prefix, row->name, any_element(row));
    if (row->type == CONF_OBJECT || row->type == CONF_LIST || row->type == CONF_MAP)
        print_table(row->table, path, out);
}

static void print_table(const struct conf_table *t, const char *prefix, FILE *out)
{
    if (t->form == CONF_FORM_FIRST)
        return; /* only the value: nothing more to say than the map did */
    for (size_t i = 0; i < t->n_rows; i++)
        print_row(&t->rows[i], prefix, out);
}

void config_print_reference(FILE *out)
{
    (void)fputs("Keys of the configuration, as JSON pointers: \"*\" is any name, \"0\" any index.\n"
                "In every object, a key that begins with \"" CONF_COMMENT "\" is a comment.\n\n",
                out);
    print_table(&conf_config_table, "", out);
}
