/* The reference of every key, out of the rows. */
#include "conf_text.h"
#include "config_rows.h"
#include "json_pointer.h"

#include <sallyport/config/nearest.h>
#include <sallyport/config/schema.h>

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

/* ---- One key ---- */

struct explaining {
    struct view pointer; /* asked for, with a "/" in front; or... */
    struct view name;    /* ...a name alone */
    FILE *out;
    struct nearest near;
    bool found;
};

/* Is the row at `path` (ports, any name, alpn) what the pointer asks for? */
static bool is_meant(struct view path, struct view pointer)
{
    while (path.len > 0 && pointer.len > 0) {
        struct view known = json_pointer_take(&path), asked = json_pointer_take(&pointer);
        bool any = view_eq(known, VIEW("*")) || view_eq(known, VIEW("0"));

        if (!any && !view_eq(known, asked))
            return false;
    }
    return path.len == 0 && (pointer.len == 0 || view_eq(pointer, VIEW("/")));
}

static void print_part(enum conf_touches touches, bool at_start, FILE *out)
{
    static const char *const texts[] = {
#define X(id, label, text) text,
        CONFIG_PARTS(X)
#undef X
    };

    if (touches == CONF_TOUCHES_NOTHING)
        (void)fputs(INDENT "A change touches the objects that start from it.\n", out);
    else
        (void)fprintf(out, INDENT "A change touches: %s%s.\n", texts[conf_part_of(touches)],
                      at_start ? ", at the next start" : "");
}

static void print_keys(const struct conf_table *t, FILE *out)
{
    (void)fputs(INDENT "Keys:", out);
    for (size_t i = 0; i < t->n_rows; i++)
        (void)fprintf(out, "%s%s", i == 0 ? " " : ", ", t->rows[i].name);
    (void)fputs("\n", out);
}

static void explain_row(struct explaining *e, const struct conf_row *row, const char *path,
                        enum conf_touches touches)
{
    (void)fprintf(e->out, "%s%s\n", e->found ? "\n" : "", path);
    print_value(row, e->out);
    print_wrapped(row->help, 92, e->out);
    print_part(touches, row->at_start, e->out);
    if (row->inherits != NULL)
        (void)fprintf(e->out, INDENT "The keys are those of /%s.\n", row->inherits);
    else if (row->type == CONF_OBJECT || row->type == CONF_LIST || row->type == CONF_MAP)
        print_keys(row->table, e->out);
    e->found = true;
}

static void explain_table(struct explaining *e, const struct conf_table *t, const char *prefix,
                          enum conf_touches above)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct conf_row *row = &t->rows[i];
        enum conf_touches touches = row->touches == CONF_TOUCHES_AS_ABOVE ? above : row->touches;
        char path[CONF_TEXT_MAX];
        bool meant;

        (void)snprintf(path, sizeof(path), "%s/%s", prefix, row->name);
        nearest_offer(&e->near, view_of(row->name));
        meant = e->name.len > 0 ? row->inherits == NULL && view_eq(view_of(row->name), e->name)
                                : is_meant(view_of(path), e->pointer);
        (void)snprintf(path, sizeof(path), "%s/%s%s", prefix, row->name, any_element(row));
        if (meant || (e->name.len == 0 && is_meant(view_of(path), e->pointer)))
            explain_row(e, row, path, touches);
        /* By its name a key of an inherited object would be told twice. */
        if ((row->type == CONF_OBJECT || row->type == CONF_LIST || row->type == CONF_MAP) &&
            row->table->form != CONF_FORM_FIRST && (row->inherits == NULL || e->name.len == 0))
            explain_table(e, row->table, path, touches);
    }
}

bool config_explain(struct view key, FILE *out, struct view *nearest)
{
    bool pointer = key.len > 0 && memchr(key.p, '/', key.len) != NULL;
    struct explaining e = {.out = out};
    struct view last = key;

    if (pointer && key.p[0] == '/')
        e.pointer = key;
    else if (!pointer)
        e.name = key;
    nearest_init(&e.near, pointer ? json_pointer_take_last(&last) : key);
    if (key.len > 0 && (e.pointer.len > 0 || e.name.len > 0))
        explain_table(&e, &conf_config_table, "", CONF_TOUCHES_PROCESS);
    *nearest = e.near.best.p == NULL ? VIEW("") : e.near.best;
    return e.found;
}
