/* What the formats have in common, and the way in. */
#include "usage/usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "internal.h"

#define DIGITS_MAX   18 /* that are exact */
#define EXPONENT_MAX 999
#define YEAR_10000_S 253402300800

static const char model_marks[] = "._:/@+-";
static const char id_marks[] = "._:-";

static bool in_form(const char *text, const char *marks)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            strchr(marks, *c) == NULL)
            return false;
    }
    return text[0] != '\0';
}

bool id_form(const char *text)
{
    return in_form(text, id_marks);
}

bool lease_form(const char *text)
{
    uint8_t bytes[32];
    size_t n = strlen(text);

    return (n == 32 || n == 64) && hex_parse(text, n, bytes, n / 2);
}

/* --- numbers --------------------------------------------------------------------------------- */

/* Digits before and behind the point, as one number and how many were behind. */
struct digits {
    uint64_t value;
    int scale;
    int count;
};

static size_t read_digits(struct span text, size_t at, bool behind, struct digits *d)
{
    for (; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
        if (d->count < DIGITS_MAX) {
            d->value = d->value * 10 + (uint64_t)(text.p[at] - '0');
            d->count += d->value > 0;
            d->scale += behind;
        } else if (!behind) {
            d->scale--;
        }
    }
    return at;
}

/* false: something that is no exponent. */
static bool read_exponent(struct span text, size_t at, int *ret_exponent)
{
    bool negative = false;
    int exponent = 0;

    *ret_exponent = 0;
    if (at == text.n)
        return true;
    if (text.p[at] != 'e' && text.p[at] != 'E')
        return false;
    at++;
    if (at < text.n && (text.p[at] == '+' || text.p[at] == '-'))
        negative = text.p[at++] == '-';
    if (at == text.n)
        return false;
    for (; at < text.n; at++) {
        if (text.p[at] < '0' || text.p[at] > '9')
            return false;
        if (exponent <= EXPONENT_MAX)
            exponent = exponent * 10 + (text.p[at] - '0');
    }
    *ret_exponent = negative ? -exponent : exponent;
    return true;
}

static bool shift(uint64_t value, int by, uint64_t max, uint64_t *ret_value)
{
    uint64_t half = 0;

    for (; by > 0 && value > 0; by--) {
        if (value > max / 10)
            return false;
        value *= 10;
    }
    for (; by < 0 && (value > 0 || half > 0); by++) {
        half = by == -1 && value % 10 >= 5;
        value /= 10;
    }
    *ret_value = value + half;
    return *ret_value <= max;
}

bool usage_decimal(struct span text, unsigned scale, uint64_t max, uint64_t *ret_value)
{
    struct digits d = { .value = 0 };
    int exponent = 0;
    size_t begin = 0, at;

    at = read_digits(text, begin, false, &d);
    if (at == begin)
        return false;
    if (at < text.n && text.p[at] == '.') {
        begin = at + 1;
        at = read_digits(text, begin, true, &d);
        if (at == begin)
            return false;
    }
    return read_exponent(text, at, &exponent) &&
           shift(d.value, exponent - d.scale + (int)scale, max, ret_value);
}

/* --- values ---------------------------------------------------------------------------------- */

void model_set(struct usage_item *item, const char *text)
{
    size_t n = strlen(text);

    if (n >= USAGE_MODEL || !in_form(text, model_marks)) {
        text = "other";
        n = strlen(text);
    }
    memset(item->model, 0, sizeof item->model);
    memcpy(item->model, text, n);
}

void take_model(struct walk *w, struct usage_item *item)
{
    char text[USAGE_MODEL];
    bool none = walk_empty(w);

    if (walk_text(w, text, sizeof text))
        model_set(item, text);
    else if (!none)
        model_set(item, "");
}

void id_add(struct usage_item *item, const char *text)
{
    size_t used = strlen(item->ids), n = strlen(text);

    if (n >= USAGE_ID || !id_form(text) || used + n + 2 > sizeof item->ids)
        return;
    if (used > 0)
        item->ids[used++] = ' ';
    memcpy(item->ids + used, text, n + 1);
}

void take_id(struct walk *w, struct usage_item *item)
{
    char text[USAGE_ID];

    if (walk_text(w, text, sizeof text))
        id_add(item, text);
}

bool take_lease(struct walk *w, struct usage_item *item)
{
    return walk_text(w, item->lease, sizeof item->lease) && lease_form(item->lease);
}

bool take_key(struct walk *w, struct usage_item *item)
{
    return walk_text(w, item->key, sizeof item->key) && item->key[0] != '\0';
}

bool take_time(struct walk *w, uint64_t *ret_time_us)
{
    char text[TIME_TEXT_LENGTH + 1];
    struct span number;

    if (walk_peek(w) == '"')
        return walk_text(w, text, sizeof text) && time_parse(text, strlen(text), ret_time_us);
    return walk_number(w, &number) &&
           usage_decimal(number, 6, YEAR_10000_S * SECOND_US - 1, ret_time_us);
}

bool take_cost(struct walk *w, uint64_t *ret_nano)
{
    char text[40];
    struct span number;

    if (walk_peek(w) == '"') {
        if (!walk_text(w, text, sizeof text))
            return false;
        number = span_text(text);
    } else if (!walk_number(w, &number)) {
        return false;
    }
    return usage_decimal(number, 9, (uint64_t)USAGE_COST_MAX * NANO, ret_nano);
}

bool take_count(struct walk *w, uint64_t max, uint64_t *ret_count)
{
    char text[24];
    struct span number;

    if (!walk_number(w, &number) || number.n >= sizeof text)
        return false;
    memcpy(text, number.p, number.n);
    text[number.n] = '\0';
    return number_parse(text, 0, max, ret_count);
}

bool take_code(struct walk *w, unsigned *ret_code)
{
    char text[8];
    struct span number;
    uint64_t code;

    if (walk_peek(w) == '"') {
        if (!walk_text(w, text, sizeof text) || !number_parse(text, 100, 599, &code))
            return false;
    } else if (!walk_number(w, &number) || !usage_decimal(number, 0, 599, &code) || code < 100) {
        return false;
    }
    *ret_code = (unsigned)code;
    return true;
}

enum usage_ending ending_of(unsigned code)
{
    if (code == 0)
        return ENDED_BADLY;
    if (code == 429)
        return ENDED_THROTTLED;
    return code < 400 ? ENDED_WELL : code < 500 ? ENDED_CLIENT_ERROR : ENDED_SERVER_ERROR;
}

bool is_content(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(list[i]);

        if (strcmp(name, list[i]) == 0 || (list[i][n - 1] == '.' && strncmp(name, list[i], n) == 0))
            return true;
    }
    return false;
}

struct usage_item *item_new(struct taking *t)
{
    if (t->usage->count == t->cap) {
        t->full = true;
        return NULL;
    }
    return &t->usage->items[t->usage->count++];
}

/* --- the way in ------------------------------------------------------------------------------ */

static void parse(enum usage_format format, struct walk *w, struct taking *t)
{
    switch (format) {
    case USAGE_NATIVE: native_parse(w, t); return;
    case USAGE_LITELLM: litellm_parse(w, t); return;
    case USAGE_TRACES: otlp_parse(w, t, false); return;
    case USAGE_LOGS: otlp_parse(w, t, true); return;
    }
}

static status check(const struct walk *w, const struct taking *t, bool empty, struct err *e)
{
    if (t->full && t->usage->format == USAGE_NATIVE)
        return fail(e, LIMIT, "a body has 1 to 64 reports", 0);
    if (t->full)
        return fail(e, LIMIT, "a body tells of at most 1024 requests: send smaller batches", 0);
    if (w->bad || empty)
        return fail(e, BAD_INPUT, "the body is not valid JSON, or is nested too deeply", 0);
    if (t->usage->format == USAGE_NATIVE && t->usage->count == 0)
        return fail(e, BAD_INPUT, "the body is {\"reports\":[...]} with 1 to 64 of them", 0);
    return OK;
}

status usage_parse(enum usage_format format, struct span body, struct usage **ret_usage,
                   struct err *e)
{
    struct taking t = { .cap = format == USAGE_NATIVE ? USAGE_REPORTS_MAX : USAGE_ITEMS_MAX };
    struct walk w = walk_of(body);
    status st;

    t.usage = calloc(1, sizeof *t.usage + t.cap * sizeof t.usage->items[0]);
    if (t.usage == NULL)
        return fail(e, NO_MEMORY, "no memory for reports", 0);
    t.usage->format = format;
    parse(format, &w, &t);
    if (walk_peek(&w) != '\0')
        w.bad = true;
    st = check(&w, &t, body.n == 0, e);
    if (st != OK)
        usage_free(t.usage);
    else
        *ret_usage = t.usage;
    return st;
}

void usage_free(struct usage *u)
{
    if (u == NULL)
        return;
    explicit_bzero(u, sizeof *u + u->count * sizeof u->items[0]);
    free(u);
}
