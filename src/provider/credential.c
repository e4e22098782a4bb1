/* A value by its fields: a strict reader of a flat JSON object of strings, in place. */
#include "provider/credential.h"

#include <string.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip(struct span *s, size_t n)
{
    *s = span_of(s->p + n, s->n - n);
}

static void skip_space(struct span *s)
{
    while (s->n > 0 && is_space(s->p[0]))
        skip(s, 1);
}

static bool take(struct span *s, uint8_t c)
{
    skip_space(s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    skip(s, 1);
    return true;
}

/* The character of an escape; 0 for one that is none, and for \u, which has digits. */
static uint8_t simple_escape(uint8_t c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c != 0 ? strchr(from, c) : NULL;

    return at != NULL ? (uint8_t)to[at - from] : 0;
}

/* The four digits of \uXXXX. */
static bool unit_at(struct span s, uint32_t *ret_unit)
{
    uint8_t pair[2];

    if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u' || !hex_parse((const char *)s.p + 2, 4, pair, 2))
        return false;
    *ret_unit = (uint32_t)pair[0] << 8 | pair[1];
    return true;
}

/* A code point, of two units beyond the first plane; 0 for what is none. Moves s. */
static uint32_t take_point(struct span *s)
{
    uint32_t high, low;

    if (!unit_at(*s, &high) || (high >= 0xdc00 && high < 0xe000))
        return 0;
    skip(s, 6);
    if (high < 0xd800 || high >= 0xe000)
        return high;
    if (!unit_at(*s, &low) || low < 0xdc00 || low >= 0xe000)
        return 0;
    skip(s, 6);
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Bytes of the well-formed UTF-8 sequence at the beginning; 0 if there is none. */
static size_t sequence(struct span s)
{
    uint8_t c = s.p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;

    if (c >= 0xf5 || (c >= 0x80 && c < 0xc2) || s.n < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s.p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((c == 0xe0 && s.p[1] < 0xa0) || (c == 0xed && s.p[1] >= 0xa0) ||
        (c == 0xf0 && s.p[1] < 0x90) || (c == 0xf4 && s.p[1] >= 0x90))
        return 0;
    return n;
}

/* A string behind its opening quote; what is between the quotes. NUL is none of its characters. */
static bool take_string(struct span *s, struct span *ret_raw, bool *ret_escaped)
{
    const uint8_t *begin = s->p;

    *ret_escaped = false;
    while (s->n > 0 && s->p[0] != '"') {
        size_t n = sequence(*s);

        if (n == 0 || s->p[0] < 0x20 || s->p[0] == 0x7f)
            return false;
        if (s->p[0] != '\\') {
            skip(s, n);
            continue;
        }
        *ret_escaped = true;
        if (s->n >= 2 && simple_escape(s->p[1]) != 0)
            skip(s, 2);
        else if (take_point(s) == 0)
            return false;
    }
    if (s->n == 0)
        return false;
    *ret_raw = span_of(begin, (size_t)(s->p - begin));
    skip(s, 1);
    return true;
}

static bool plain_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_')
            return false;
    }
    return name.n > 0 && name.n <= CREDENTIAL_NAME;
}

status credential_walk(const struct provider *p, struct span value,
                       struct credential_walk *ret_walk, struct err *e)
{
    struct credential_walk w = { .rest = value };

    *ret_walk = w;
    ret_walk->over = true;
    skip_space(&w.rest);
    if (value.n == 0)
        return fail(e, BAD_INPUT, "the credential is empty", 0);
    w.object = p->object && w.rest.n > 0 && w.rest.p[0] == '{';
    if (w.object) {
        skip(&w.rest, 1);
    } else if (p->bare < 0) {
        return fail(e, BAD_INPUT, "this provider's credential is a JSON object", 0);
    } else {
        w.name[0] = span_text(p->field[p->bare].name);
        w.rest = value;
    }
    *ret_walk = w;
    return OK;
}

static status finish(struct credential_walk *w, struct err *e)
{
    skip_space(&w->rest);
    w->over = true;
    return w->rest.n == 0 ? OK : fail(e, BAD_INPUT, "something follows the JSON object", 0);
}

static status next_member(struct credential_walk *w, struct credential_field *f, struct err *e)
{
    bool escaped;

    if (!take(&w->rest, '"') || !take_string(&w->rest, &f->name, &escaped) || escaped ||
        !plain_name(f->name))
        return fail(e, BAD_INPUT, "the JSON object has a name that is none", 0);
    for (size_t i = 0; i < w->count; i++) {
        if (span_same(w->name[i], f->name))
            return fail(e, BAD_INPUT, "the JSON object has a name twice", 0);
    }
    if (w->count == CREDENTIAL_MEMBERS)
        return fail(e, BAD_INPUT, "the JSON object has too many members", 0);
    w->name[w->count++] = f->name;
    if (!take(&w->rest, ':') || !take(&w->rest, '"') ||
        !take_string(&w->rest, &f->raw, &f->escaped))
        return fail(e, BAD_INPUT, "every member of the JSON object must be a string", 0);
    return OK;
}

status credential_next(struct credential_walk *w, struct credential_field *ret_field,
                       bool *ret_more, struct err *e)
{
    *ret_field = (struct credential_field){ 0 };
    *ret_more = false;
    if (w->over)
        return OK;
    if (!w->object) {
        *ret_field = (struct credential_field){ .name = w->name[0], .raw = w->rest };
        *ret_more = w->over = true;
        return OK;
    }
    if (take(&w->rest, '}'))
        return finish(w, e);
    if (w->count > 0 && !take(&w->rest, ','))
        return fail(e, BAD_INPUT, "the JSON object is not whole", 0);
    status st = next_member(w, ret_field, e);

    *ret_more = st == OK;
    return st;
}

status credential_find(const struct provider *p, struct span value, const char *name,
                       struct credential_field *ret_field, struct err *e)
{
    struct credential_walk w;
    struct credential_field f;
    bool more = true, found = false;
    status st = credential_walk(p, value, &w, e);

    *ret_field = (struct credential_field){ 0 };
    while (st == OK && (st = credential_next(&w, &f, &more, e)) == OK && more) {
        if (!span_same(f.name, span_text(name)))
            continue;
        *ret_field = f;
        found = true;
    }
    if (st == OK && found)
        return OK;
    *ret_field = (struct credential_field){ 0 };
    return st != OK ? st : fail(e, NOT_FOUND, "the credential has no such field", 0);
}

static void put_point(struct out *o, uint32_t c)
{
    if (c < 0x80) {
        out_u8(o, (uint8_t)c);
        return;
    }
    if (c >= 0x10000) {
        out_u8(o, (uint8_t)(0xf0 | c >> 18));
        out_u8(o, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
    } else if (c >= 0x800) {
        out_u8(o, (uint8_t)(0xe0 | c >> 12));
    }
    out_u8(o, c >= 0x800 ? (uint8_t)(0x80 | (c >> 6 & 0x3f)) : (uint8_t)(0xc0 | c >> 6));
    out_u8(o, (uint8_t)(0x80 | (c & 0x3f)));
}

status credential_read(const struct credential_field *f, struct mspan out, size_t *ret_n,
                       struct err *e)
{
    struct span rest = f->raw;
    struct out o;

    *ret_n = 0;
    out_init(&o, out.p, out.n);
    while (f->escaped && rest.n > 0) {
        uint8_t c = rest.p[0];

        if (c != '\\') {
            out_u8(&o, c);
            skip(&rest, 1);
        } else if (rest.n >= 2 && (c = simple_escape(rest.p[1])) != 0) {
            out_u8(&o, c);
            skip(&rest, 2);
        } else {
            uint32_t point = take_point(&rest);

            if (point == 0) {
                explicit_bzero(out.p, out.n);
                return fail(e, BAD_INPUT, "an escape is none", 0);
            }
            put_point(&o, point);
        }
    }
    if (!f->escaped)
        out_raw(&o, rest);
    if (o.overflow) {
        explicit_bzero(out.p, out.n);
        return fail(e, LIMIT, "there is no room for the field", 0);
    }
    *ret_n = o.n;
    return OK;
}

static int field_index(const struct provider *p, struct span name)
{
    for (size_t i = 0; i < p->field_count; i++) {
        if (span_same(span_text(p->field[i].name), name))
            return (int)i;
    }
    return -1;
}

/* Is there a form of which these are the fields? Else: the first that the nearest one lacks. */
static status check_form(const struct provider *p, uint8_t have,
                         const struct provider_field **ret_missing, struct err *e)
{
    int nearest = PROVIDER_FIELDS + 1;

    for (size_t i = 0; i < p->form_count; i++) {
        uint8_t missing = p->form[i].required & (uint8_t)~have;

        if ((have & ~(p->form[i].required | p->form[i].optional)) != 0)
            continue;
        if (missing == 0)
            return OK;
        if (__builtin_popcount(missing) < nearest) {
            nearest = __builtin_popcount(missing);
            *ret_missing = &p->field[__builtin_ctz(missing)];
        }
    }
    if (*ret_missing != NULL)
        return fail(e, BAD_INPUT, "the credential lacks a field", 0);
    return fail(e, BAD_INPUT, "these fields do not go together", 0);
}

status credential_check(const struct provider *p, struct span value,
                        const struct provider_field **ret_missing, struct err *e)
{
    struct credential_walk w;
    struct credential_field f;
    bool more = true, constant = p->constant.name == NULL;
    uint8_t have = 0;
    status st = credential_walk(p, value, &w, e);

    *ret_missing = NULL;
    while (st == OK && (st = credential_next(&w, &f, &more, e)) == OK && more) {
        int i = field_index(p, f.name);

        if (!constant && span_same(f.name, span_text(p->constant.name)))
            constant = !f.escaped && span_same(f.raw, span_text(p->constant.text));
        else if (i < 0 && !p->open)
            return fail(e, BAD_INPUT, "the credential has a member that is none of its fields", 0);
        if (i >= 0 && f.raw.n == 0)
            return fail(e, BAD_INPUT, "a field is empty: leave it out", 0);
        if (i >= 0)
            have |= (uint8_t)(1U << i);
    }
    if (st != OK)
        return st;
    if (!constant)
        return fail(e, BAD_INPUT, "this is a JSON object of another kind", 0);
    return check_form(p, have, ret_missing, e);
}
