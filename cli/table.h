/* Replies for people: lists as columns, single things as lines of name and value. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <jansson.h>
#include <stddef.h>

enum column_kind {
    COLUMN_TEXT,  /* text, number or boolean; "-" if absent or null */
    COLUMN_TIME,  /* RFC 3339 time, shown without the fraction of a second */
    COLUMN_SHORT, /* the first 12 characters */
    COLUMN_GRANTS /* an array of {"key", "max_ttl_s"} */
};

struct column {
    const char *title;
    const char *member;
    enum column_kind kind;
};

#define COLUMNS(array) (array), sizeof(array) / sizeof((array)[0])

/* One line an element, or the text of nothing. */
void table_print(const json_t *items, const struct column *columns, size_t count,
                 const char *nothing);
/* The same in two parts, for lines that come one by one. The widths are the least. */
void table_print_titles(const struct column *columns, size_t count, const size_t *width);
void table_print_rows(const json_t *items, const struct column *columns, size_t count,
                      const size_t *width);
/* One line a member that is there. */
void table_print_one(const json_t *item, const struct column *columns, size_t count);
/* The reply itself, indented, through a buffer that is wiped. */
void table_print_json(const json_t *reply);
void table_print_json_line(const json_t *reply);

#endif
