/*
 * The scanner of record fields. It promises that what it accepts every strict JSON reader
 * accepts and reads alike: no nesting, no fractions, no escaped NUL, no half of a surrogate
 * pair, no repeated name. It allocates nothing and never looks beyond the given bytes.
 */
#include "fragment.h"

#include <string.h>

#include "text.h"

#define NAME_LENGTH_MAX 32
#define DIGITS_MAX      15
#define SMALLEST_FIELD  6 /* ,"a":1 */
#define FIELDS_MAX      (LIMIT_RECORD / SMALLEST_FIELD)

static bool take(struct in *i, char c)
{
    if (i->n == 0 || i->p[0] != (uint8_t)c)
        return false;
    i->p++;
    i->n--;
    return true;
}

/* Takes what is wanted if it comes next and nothing otherwise. */
static bool take_word(struct in *i, struct span want)
{
    if (i->n < want.n || !span_same(span_of(i->p, want.n), want))
        return false;
    in_raw(i, want.n);
    return true;
}

/* The XXXX of a \uXXXX escape. */
static bool take_code_unit(struct in *i, uint16_t *ret_unit)
{
    struct span digits = in_raw(i, 4);
    uint8_t unit[2];

    if (i->bad || !hex_parse((const char *)digits.p, digits.n, unit, sizeof(unit)))
        return false;
    *ret_unit = (uint16_t)(unit[0] << 8 | unit[1]);
    return true;
}

/* What follows a backslash. */
static bool take_escape(struct in *i)
{
    uint16_t unit = 0;

    switch (in_u8(i)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    case 'u': break;
    default: return false;
    }
    /* Readers disagree about an escaped NUL, and about surrogates that are not a pair. */
    if (!take_code_unit(i, &unit) || unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return false;
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    return take_word(i, span_text("\\u")) && take_code_unit(i, &unit) && unit >= 0xdc00 &&
           unit <= 0xdfff;
}

/* One character that is no plain one, or an escape. */
static bool take_special(struct in *i)
{
    size_t length = text_character(span_of(i->p, i->n));

    if (length == 0 || i->p[0] < 0x20)
        return false;
    if (take(i, '\\'))
        return take_escape(i);
    in_raw(i, length);
    return true;
}

static bool take_string(struct in *i, struct span *ret_inside)
{
    const uint8_t *start = NULL;

    if (!take(i, '"'))
        return false;
    start = i->p;
    for (;;) {
        size_t run = text_plain_run(span_of(i->p, i->n));

        i->p += run;
        i->n -= run;
        if (i->n == 0)
            return false;
        if (i->p[0] == '"')
            break;
        if (!take_special(i))
            return false;
    }
    *ret_inside = span_of(start, (size_t)(i->p - start));
    return take(i, '"');
}

static bool take_name(struct in *i, struct span *ret_name)
{
    size_t n = 0;

    if (!take(i, '"'))
        return false;
    while (n < i->n && (i->p[n] == '_' || (i->p[n] >= 'a' && i->p[n] <= 'z')))
        n++;
    if (n == 0 || n > NAME_LENGTH_MAX)
        return false;
    *ret_name = in_raw(i, n);
    return take(i, '"');
}

static bool take_number(struct in *i, struct span *ret_digits)
{
    const uint8_t *start = i->p;
    size_t n = 0;

    while (n < i->n && i->p[n] >= '0' && i->p[n] <= '9')
        n++;
    if (n == 0 || n > DIGITS_MAX || (n > 1 && start[0] == '0'))
        return false;
    *ret_digits = in_raw(i, n);
    return true;
}

static bool take_value(struct in *i, struct span *ret_value)
{
    const uint8_t *start = i->p;

    if (i->n == 0)
        return false;
    if (i->p[0] == '"')
        return take_string(i, ret_value);
    if (i->p[0] >= '0' && i->p[0] <= '9')
        return take_number(i, ret_value);
    if (!take_word(i, span_text("true")) && !take_word(i, span_text("false")))
        return false;
    *ret_value = span_of(start, (size_t)(i->p - start));
    return true;
}

bool fragment_next(struct in *rest, struct fragment_field *ret_field)
{
    struct fragment_field field;

    if (!take(rest, ',') || !take_name(rest, &field.name) || !take(rest, ':') ||
        !take_value(rest, &field.value))
        return false;
    *ret_field = field;
    return true;
}

/* Where a name stands in its fragment. Small, because there may be many. */
struct place {
    uint16_t at;
    uint16_t n;
};

/* Whether name is another one than those before it in the fragment. */
static bool is_new(const uint8_t *fragment, const struct place *places, size_t count,
                   struct span name)
{
    for (size_t k = 0; k < count; k++) {
        if (places[k].n == name.n && fragment[places[k].at] == name.p[0] &&
            span_same(span_of(fragment + places[k].at, name.n), name))
            return false;
    }
    return true;
}

bool fragment_check(struct span fragment, bool (*taken)(struct span name),
                    struct fragment_field *first, size_t want)
{
    struct place places[FIELDS_MAX];
    struct fragment_field field;
    struct in rest = in_of(fragment);
    size_t count = 0;

    /* The size bound is what bounds the table, so it is tested and not assumed. */
    if (fragment.n > LIMIT_RECORD)
        return false;
    for (; rest.n > 0; count++) {
        if (!fragment_next(&rest, &field) || !is_new(fragment.p, places, count, field.name) ||
            (taken != NULL && taken(field.name)))
            return false;
        places[count].at = (uint16_t)(field.name.p - fragment.p);
        places[count].n = (uint16_t)field.name.n;
        if (count < want)
            first[count] = field;
    }
    return count >= want;
}

bool fragment_object(struct span line, const struct fragment_member *members, size_t count,
                     struct span *ret_values)
{
    struct in rest;

    if (line.n < 2 || line.p[0] != '{' || line.p[line.n - 1] != '}')
        return false;
    rest = in_of(span_of(line.p + 1, line.n - 2));
    for (size_t i = 0; i < count; i++) {
        struct span name;

        if ((i > 0 && !take(&rest, ',')) || !take_name(&rest, &name) ||
            !span_same(name, span_text(members[i].name)) || !take(&rest, ':'))
            return false;
        if (members[i].text ? !take_string(&rest, &ret_values[i])
                            : !take_number(&rest, &ret_values[i]))
            return false;
    }
    return rest.n == 0;
}

static void put_character(struct out *o, uint32_t c)
{
    if (c < 0x80) {
        out_u8(o, (uint8_t)c);
    } else if (c < 0x800) {
        out_u8(o, (uint8_t)(0xc0 | c >> 6));
        out_u8(o, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        out_u8(o, (uint8_t)(0xe0 | c >> 12));
        out_u8(o, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        out_u8(o, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        out_u8(o, (uint8_t)(0xf0 | c >> 18));
        out_u8(o, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        out_u8(o, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        out_u8(o, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

/* The escape after its backslash. */
static void put_escape(struct in *i, struct out *o)
{
    static const char letter[] = "bfnrt";
    static const char meant[] = "\b\f\n\r\t";
    uint8_t c = in_u8(i);
    uint16_t unit = 0;
    uint16_t low = 0;

    for (size_t k = 0; letter[k] != '\0'; k++) {
        if (c == (uint8_t)letter[k]) {
            out_u8(o, (uint8_t)meant[k]);
            return;
        }
    }
    if (c != 'u') {
        out_u8(o, c); /* a quote, a slash or a backslash */
        return;
    }
    if (!take_code_unit(i, &unit))
        o->overflow = true;
    if (unit < 0xd800 || unit > 0xdfff)
        put_character(o, unit);
    else if (take_word(i, span_text("\\u")) && take_code_unit(i, &low))
        put_character(o, 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (low & 0x3ffu));
    else
        o->overflow = true;
}

void fragment_unescape(struct span value, struct out *o)
{
    struct in i = in_of(value);

    while (i.n > 0 && !o->overflow) {
        if (take(&i, '\\'))
            put_escape(&i, o);
        else
            out_u8(o, in_u8(&i));
    }
}
