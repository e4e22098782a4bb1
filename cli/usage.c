/* What gateways reported, summed up: as a table, as JSON, or as CSV (RFC 4180). */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "commands.h"
#include "table.h"
#include "when.h"

#define PATH_SIZE 1024
#define DAY_TEXT  10
#define MICRO     1000000

static const struct column columns[] = {
    { "DAY", "day", COLUMN_TEXT },
    { "TENANT", "tenant", COLUMN_TEXT },
    { "KEY", "key", COLUMN_TEXT },
    { "GATEWAY", "gateway", COLUMN_TEXT },
    { "MODEL", "model", COLUMN_TEXT },
    { "CLASS", "class", COLUMN_TEXT },
    { "REQUESTS", "requests", COLUMN_TEXT },
    { "FAILURES", "failures", COLUMN_TEXT },
    { "INPUT", "input_tokens", COLUMN_TEXT },
    { "OUTPUT", "output_tokens", COLUMN_TEXT },
    { "COST", "cost", COLUMN_TEXT },
    { "REPORTS", "reports", COLUMN_TEXT },
    { "INFERRED", "inferred", COLUMN_TEXT },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))
#define TOLD_APART   5 /* columns that are there only if they are */

struct asked {
    char path[PATH_SIZE];
    size_t used;
};

/* RFC 3986: what is not unreserved is escaped. */
static int add(struct asked *a, const char *name, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    const size_t spare = 4;

    if (value == NULL)
        return EXIT_DONE;
    if (strlen(name) + spare < sizeof(a->path) - a->used)
        a->used += (size_t)snprintf(a->path + a->used, sizeof(a->path) - a->used,
                                    "%c%s=", strchr(a->path, '?') == NULL ? '?' : '&', name);
    for (; *value != '\0' && a->used < sizeof(a->path) - spare; value++)
        a->used += (size_t)snprintf(a->path + a->used, sizeof(a->path) - a->used,
                                    strchr(plain, *value) == NULL ? "%%%02X" : "%c",
                                    (unsigned char)*value);
    return *value == '\0' ? EXIT_DONE : report(EXIT_USAGE, "--%s is too long", name);
}

static int add_option(const struct cli *c, struct asked *a, enum option_id option)
{
    return add(a, option_row(option)->name, cli_option(c, option));
}

static int add_day(const struct cli *c, struct asked *a, enum option_id option)
{
    const char *text = cli_option(c, option);
    char formatted[TIME_TEXT_LENGTH + 1];
    uint64_t us = 0;

    if (text == NULL)
        return EXIT_DONE;
    if (!when_parse(text, clock_wall_us(), &us))
        return report(EXIT_USAGE, "--%s is a UTC day, such as 2026-11-21, or 7d",
                      option_row(option)->name);
    time_format(us, formatted);
    formatted[DAY_TEXT] = '\0';
    return add(a, option_row(option)->name, formatted);
}

static int ask(struct cli *c, json_t **ret_reply)
{
    struct asked a = { .path = "/v1/usage", .used = strlen("/v1/usage") };
    const char *tenant = NULL;
    int code = EXIT_DONE;

    if (cli_argument(c, 0) != NULL)
        code = cli_name(c, 0, "a tenant", &tenant);
    if (code == EXIT_DONE)
        code = add(&a, "tenant", tenant);
    if (code == EXIT_DONE)
        code = add_option(c, &a, OPT_KEY);
    if (code == EXIT_DONE)
        code = add_option(c, &a, OPT_GATEWAY);
    if (code == EXIT_DONE)
        code = add_option(c, &a, OPT_MODEL);
    if (code == EXIT_DONE)
        code = add_option(c, &a, OPT_BY);
    if (code == EXIT_DONE)
        code = add_day(c, &a, OPT_SINCE);
    if (code == EXIT_DONE)
        code = add_day(c, &a, OPT_UNTIL);
    return code == EXIT_DONE ? https_call(c, METHOD_GET, a.path, NULL, ret_reply) : code;
}

/* The cost in units, for people. */
static void add_cost(json_t *rows)
{
    size_t i = 0;
    json_t *row = NULL;
    char text[32];

    json_array_foreach(rows, i, row)
    {
        json_int_t micro = json_integer_value(json_object_get(row, "cost_micro"));

        snprintf(text, sizeof(text), "%lld.%06lld", (long long)(micro / MICRO),
                 (long long)(micro % MICRO));
        json_object_set_new(row, "cost", json_string(text));
    }
}

/* What is told apart is in every row, or in none. */
static size_t shown(const json_t *rows, struct column out[static COLUMN_COUNT])
{
    const json_t *first = json_array_get(rows, 0);
    size_t count = 0;

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (i >= TOLD_APART || json_object_get(first, columns[i].member) != NULL)
            out[count++] = columns[i];
    }
    return count;
}

/* --- CSV ------------------------------------------------------------------------------------- */

static void print_field(const char *text, bool last)
{
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        print("%s", text);
    } else {
        print("\"");
        for (const char *p = text; *p != '\0'; p++)
            print("%s%c", *p == '"' ? "\"" : "", *p);
        print("\"");
    }
    print("%s", last ? "\r\n" : ",");
}

static void print_csv(const json_t *rows, const struct column *shown_columns, size_t count)
{
    size_t i = 0;
    const json_t *row = NULL;
    char number[32];

    for (size_t k = 0; k < count; k++)
        print_field(shown_columns[k].member, k + 1 == count);
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < count; k++) {
            const json_t *value = json_object_get(row, shown_columns[k].member);
            const char *text = json_string_value(value);

            snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
            print_field(text != NULL ? text : json_is_integer(value) ? number : "", k + 1 == count);
        }
    }
}

int usage_show(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct column out[COLUMN_COUNT];
    int code = EXIT_DONE;

    if (cli_json(c) && option_given(&c->options, OPT_CSV))
        return report(EXIT_USAGE, "--json and --csv are two forms: choose one");
    code = ask(c, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *rows = json_object_get(reply, "rows");

    if (cli_json(c)) {
        table_print_json(reply);
        return EXIT_DONE;
    }
    add_cost(rows);
    size_t count = shown(rows, out);

    if (option_given(&c->options, OPT_CSV))
        print_csv(rows, out, count);
    else
        table_print(rows, out, count, "No usage was reported in these days.");
    return EXIT_DONE;
}
