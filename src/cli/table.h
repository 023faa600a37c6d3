/* Columns on a terminal: as wide as what stands in them, two blanks between. */
#pragma once

#include <sallyport/base/compiler.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 12

enum table_tint { TABLE_PLAIN, TABLE_YELLOW, TABLE_RED };

struct table {
    bool coloured;        /* by its maker; false: tints are not shown */
    enum table_tint tint; /* of the cells that are added next */
    size_t n_columns;
    bool right[TABLE_COLUMNS];
    size_t width[TABLE_COLUMNS];
    struct table_text {
        char *text; /* owned */
        enum table_tint tint;
    } * cells; /* owned, row after row; the first row is the headings */
    size_t n, cap;
};

/* `headings` are separated by "|"; one that begins with ">" stands at the right. */
void table_init(struct table *t, const char *headings);
void table_cell(struct table *t, const char *fmt, ...) SP_PRINTF(2, 3);
/* Are colours welcome there? Not where it is no terminal, and not with NO_COLOR
 * (https://no-color.org). */
bool table_may_colour(FILE *out);
/* Nothing when there are only headings. Frees everything. */
void table_print(struct table *t, FILE *out);
