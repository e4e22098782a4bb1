/* Every cell is made twice, once for its width: nothing is kept in between. */
#include "table.h"

#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "report.h"

#define CELL_MAX   512
#define COLUMN_MAX 16

static void format_grants(const json_t *grants, char out[static CELL_MAX])
{
    size_t used = 0;
    size_t i = 0;
    const json_t *grant = NULL;

    out[0] = '\0';
    json_array_foreach(grants, i, grant)
    {
        const char *key = json_string_value(json_object_get(grant, "key"));
        json_int_t ttl = json_integer_value(json_object_get(grant, "max_ttl_s"));
        const char *gap = i > 0 ? " " : "";
        int n = 0;

        if (key == NULL)
            continue;
        if (ttl > 0)
            n = snprintf(out + used, CELL_MAX - used, "%s%.160s=%lld", gap, key, (long long)ttl);
        else
            n = snprintf(out + used, CELL_MAX - used, "%s%.160s", gap, key);
        if (n < 0 || (size_t)n >= CELL_MAX - used)
            return;
        used += (size_t)n;
    }
}

static void format_cell(const json_t *item, const struct column *column, char out[static CELL_MAX])
{
    const json_t *value = json_object_get(item, column->member);
    const char *text = json_string_value(value);

    if (column->kind == COLUMN_GRANTS && json_array_size(value) > 0)
        format_grants(value, out);
    else if (text != NULL && column->kind == COLUMN_TIME && strlen(text) >= 20)
        snprintf(out, CELL_MAX, "%.19sZ", text);
    else if (text != NULL && column->kind == COLUMN_SHORT)
        snprintf(out, CELL_MAX, "%.12s", text);
    else if (text != NULL)
        snprintf(out, CELL_MAX, "%.500s", text);
    else if (json_is_integer(value))
        snprintf(out, CELL_MAX, "%lld", (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        snprintf(out, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
    else
        snprintf(out, CELL_MAX, "-");
    text_tame(out);
}

static void print_row(const char *text, size_t width, bool last)
{
    if (last)
        print("%s\n", text);
    else
        print("%-*s  ", (int)width, text);
}

void table_print_titles(const struct column *columns, size_t count, const size_t *width)
{
    for (size_t k = 0; k < count; k++)
        print_row(columns[k].title, width[k], k + 1 == count);
}

void table_print_rows(const json_t *items, const struct column *columns, size_t count,
                      const size_t *width)
{
    char cell[CELL_MAX];
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(items, i, item)
    {
        for (size_t k = 0; k < count; k++) {
            format_cell(item, &columns[k], cell);
            print_row(cell, width[k], k + 1 == count);
        }
    }
}

void table_print(const json_t *items, const struct column *columns, size_t count,
                 const char *nothing)
{
    size_t width[COLUMN_MAX] = { 0 };
    char cell[CELL_MAX];
    size_t i = 0;
    const json_t *item = NULL;

    if (json_array_size(items) == 0) {
        say("%s", nothing);
        return;
    }
    for (size_t k = 0; k < count; k++)
        width[k] = strlen(columns[k].title);
    json_array_foreach(items, i, item)
    {
        for (size_t k = 0; k < count; k++) {
            format_cell(item, &columns[k], cell);
            if (strlen(cell) > width[k])
                width[k] = strlen(cell);
        }
    }
    table_print_titles(columns, count, width);
    table_print_rows(items, columns, count, width);
}

void table_print_one(const json_t *item, const struct column *columns, size_t count)
{
    size_t width = 0;
    char cell[CELL_MAX];

    for (size_t k = 0; k < count; k++) {
        if (strlen(columns[k].title) > width)
            width = strlen(columns[k].title);
    }
    for (size_t k = 0; k < count; k++) {
        if (json_object_get(item, columns[k].member) == NULL)
            continue;
        format_cell(item, &columns[k], cell);
        print("%-*s  %s\n", (int)width, columns[k].title, cell);
    }
}

static void print_json(const json_t *reply, size_t flags)
{
    AUTO(wiped) *text = (struct wiped *)json_dumps(reply, flags);

    if (text == NULL) {
        (void)report(EXIT_OTHER, "no memory");
        return;
    }
    print_span(span_text((const char *)text));
    print_span(span_text("\n"));
}

void table_print_json(const json_t *reply)
{
    print_json(reply, JSON_INDENT(2));
}

void table_print_json_line(const json_t *reply)
{
    print_json(reply, JSON_COMPACT);
}
