/* Headings and "name = value" lines, one at a time. */
#include "base/sections.h"

#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = span_of(s.p + 1, s.n - 1);
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct sections sections_of(struct span text)
{
    return (struct sections){ .rest = text };
}

/* Up to the newline, which is taken too; a carriage return before it is no part of the line. */
static struct span take_line(struct sections *s)
{
    const uint8_t *end = memchr(s->rest.p, '\n', s->rest.n);
    size_t n = end == NULL ? s->rest.n : (size_t)(end - s->rest.p);
    struct span line = span_of(s->rest.p, n);

    n += end != NULL;
    s->rest = span_of(s->rest.p + n, s->rest.n - n);
    s->line++;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool has_control(struct span line)
{
    for (size_t i = 0; i < line.n; i++) {
        if ((line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
            return true;
    }
    return false;
}

static status parse_heading(struct span line, struct sections_line *ret, struct err *e)
{
    size_t n = 0;

    if (line.p[line.n - 1] != ']')
        return fail(e, BAD_INPUT, "a heading ends with ]", ret->number);
    line = trim(span_of(line.p + 1, line.n - 2));
    while (n < line.n && !is_blank(line.p[n]))
        n++;
    if (n == 0)
        return fail(e, BAD_INPUT, "a heading has a name", ret->number);
    ret->heading = true;
    ret->name = span_of(line.p, n);
    ret->value = trim(span_of(line.p + n, line.n - n));
    return OK;
}

static status parse_setting(struct span line, struct sections_line *ret, struct err *e)
{
    const uint8_t *equals = memchr(line.p, '=', line.n);

    if (equals == NULL)
        return fail(e, BAD_INPUT, "expected: name = value", ret->number);
    ret->name = trim(span_of(line.p, (size_t)(equals - line.p)));
    ret->value = trim(span_of(equals + 1, line.n - (size_t)(equals + 1 - line.p)));
    return ret->name.n > 0 ? OK : fail(e, BAD_INPUT, "expected: name = value", ret->number);
}

status sections_next(struct sections *s, struct sections_line *ret_line, bool *ret_more,
                     struct err *e)
{
    *ret_line = (struct sections_line){ 0 };
    *ret_more = false;
    while (s->rest.n > 0) {
        struct span line = take_line(s);

        ret_line->number = s->line;
        if (line.n > SECTIONS_LINE)
            return fail(e, BAD_INPUT, "the line is too long", s->line);
        if (has_control(line))
            return fail(e, BAD_INPUT, "the line holds a control character", s->line);
        line = trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        *ret_more = true;
        return line.p[0] == '[' ? parse_heading(line, ret_line, e)
                                : parse_setting(line, ret_line, e);
    }
    ret_line->number = 0;
    return OK;
}

bool sections_word(struct span *rest, struct span *ret_word)
{
    size_t n = 0;

    while (rest->n > 0 && (is_blank(rest->p[0]) || rest->p[0] == ','))
        *rest = span_of(rest->p + 1, rest->n - 1);
    while (n < rest->n && !is_blank(rest->p[n]) && rest->p[n] != ',')
        n++;
    *ret_word = span_of(rest->p, n);
    *rest = span_of(rest->p + n, rest->n - n);
    return n > 0;
}
