/* Columns on a terminal: as wide as what stands in them, two blanks between. */
#pragma once

#include <sallyport/base/compiler.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 12

struct table {
    size_t n_columns;
    bool right[TABLE_COLUMNS];
    size_t width[TABLE_COLUMNS];
    char **cells; /* owned, row after row; the first row is the headings */
    size_t n, cap;
};

/* `headings` are separated by "|"; one that begins with ">" stands at the right. */
void table_init(struct table *t, const char *headings);
void table_cell(struct table *t, const char *fmt, ...) SP_PRINTF(2, 3);
/* Nothing when there are only headings. Frees everything. */
void table_print(struct table *t, FILE *out);
