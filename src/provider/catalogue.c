/* The catalogue's lines, each read by the row of a table. What is wrong is refused with its line:
 * the text comes with the program, but a typing error in it must not pass the tests. */
#include "catalogue.h"

#include <string.h>

#include "base/sections.h"

struct reader {
    struct catalogue *c;
    struct provider *p; /* NULL before the first heading */
    unsigned line;
    struct err *e;
};

#define REFUSE(r, why) fail((r)->e, BAD_INPUT, why, (r)->line)

/* A copy that ends in NUL and lives as long as the catalogue. */
static status keep(struct reader *r, struct span s, const char **ret_text)
{
    char *to = r->c->pool + r->c->used;

    if (s.n == 0)
        return REFUSE(r, "a word is missing");
    if (s.n >= CATALOGUE_POOL - r->c->used)
        return REFUSE(r, "the catalogue is too long");
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    r->c->used += s.n + 1;
    *ret_text = to;
    return OK;
}

static status keep_word(struct reader *r, struct span *rest, const char **ret_text)
{
    struct span word;

    (void)sections_word(rest, &word);
    return keep(r, word, ret_text);
}

/* What is behind the words that were taken. */
static struct span remaining(struct span rest)
{
    while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
        rest = span_of(rest.p + 1, rest.n - 1);
    return rest;
}

static int field_index(const struct provider *p, struct span name)
{
    for (size_t i = 0; i < p->field_count; i++) {
        if (span_same(span_text(p->field[i].name), name))
            return (int)i;
    }
    return -1;
}

/* {} and {field} in their places, and no other braces. */
static status check_template(struct reader *r, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        const char *end = strchr(at, '}');

        if (*at == '}')
            return REFUSE(r, "a brace has no partner");
        if (*at != '{')
            continue;
        if (end == NULL)
            return REFUSE(r, "a brace has no partner");
        if (end > at + 1 && field_index(r->p, span_of(at + 1, (size_t)(end - at - 1))) < 0)
            return REFUSE(r, "a template names no field");
        at = end;
    }
    return OK;
}

static status read_pair(struct reader *r, struct span value, struct provider_text *rows,
                        size_t *count, size_t most)
{
    struct provider_text *t = &rows[*count];

    if (*count == most)
        return REFUSE(r, "there are too many of these");
    status st = keep_word(r, &value, &t->name);

    if (st == OK)
        st = keep(r, remaining(value), &t->text);
    if (st == OK)
        st = check_template(r, t->text);
    *count += st == OK;
    return st;
}

static status read_code(struct reader *r, struct span value)
{
    const char *text;
    uint64_t code = 0;
    status st = keep(r, value, &text);

    if (st == OK && !number_parse(text, 1, UINT16_MAX, &code))
        return REFUSE(r, "a code is a whole number");
    for (size_t i = 0; st == OK && i < r->c->count; i++) {
        if (r->c->row[i].code == code)
            return REFUSE(r, "two providers have one code");
    }
    r->p->code = (uint16_t)code;
    return st;
}

static status read_title(struct reader *r, struct span value)
{
    return keep(r, value, &r->p->title);
}

static status read_field(struct reader *r, struct span value)
{
    struct provider_field *f = &r->p->field[r->p->field_count];
    struct span kind;

    if (r->p->field_count == PROVIDER_FIELDS)
        return REFUSE(r, "there are too many of these");
    status st = keep_word(r, &value, &f->name);

    if (st != OK)
        return st;
    if (field_index(r->p, span_text(f->name)) >= 0)
        return REFUSE(r, "a field is there twice");
    (void)sections_word(&value, &kind);
    f->secret = span_same(kind, span_text("secret"));
    if (!f->secret && !span_same(kind, span_text("shown")))
        return REFUSE(r, "a field is secret or shown");
    r->p->field_count++;
    return keep(r, remaining(value), &f->title);
}

static status read_form(struct reader *r, struct span value)
{
    struct provider_form *form = &r->p->form[r->p->form_count];
    struct span word;

    if (r->p->form_count == PROVIDER_FORMS)
        return REFUSE(r, "there are too many of these");
    while (sections_word(&value, &word)) {
        bool optional = word.p[word.n - 1] == '?';
        int i = field_index(r->p, span_of(word.p, word.n - optional));

        if (i < 0)
            return REFUSE(r, "a form names no field");
        *(optional ? &form->optional : &form->required) |= (uint8_t)(1U << i);
    }
    r->p->form_count++;
    return form->required != 0 ? OK : REFUSE(r, "a form asks for nothing");
}

static status read_bare(struct reader *r, struct span value)
{
    r->p->bare = field_index(r->p, value);
    return r->p->bare >= 0 ? OK : REFUSE(r, "bare names no field");
}

static status read_constant(struct reader *r, struct span value)
{
    size_t none = 0;

    return read_pair(r, value, &r->p->constant, &none, 1);
}

static status read_open(struct reader *r, struct span value)
{
    r->p->open = true;
    return span_same(value, span_text("yes")) ? OK : REFUSE(r, "open is yes or is not there");
}

static status read_header(struct reader *r, struct span value)
{
    return read_pair(r, value, r->p->header, &r->p->header_count, PROVIDER_HEADERS);
}

static status read_envoy(struct reader *r, struct span value)
{
    return read_pair(r, value, r->p->envoy, &r->p->envoy_count, PROVIDER_HEADERS);
}

static status read_variable(struct reader *r, struct span value)
{
    return read_pair(r, value, r->p->variable, &r->p->variable_count, PROVIDER_VARIABLES);
}

static status read_file(struct reader *r, struct span value)
{
    return keep(r, value, &r->p->file);
}

static const char *const alphabets[] = {
    [ALPHABET_TOKEN] = "token",  [ALPHABET_ALNUM] = "alnum", [ALPHABET_LOWER] = "lower",
    [ALPHABET_UPPER] = "upper",  [ALPHABET_HEX] = "hex",     [ALPHABET_BASE64] = "base64",
    [ALPHABET_DOTTED] = "dotted"
};
#define ALPHABETS (sizeof alphabets / sizeof alphabets[0])

const char *alphabet_name(uint8_t alphabet)
{
    return alphabet > 0 && alphabet < ALPHABETS ? alphabets[alphabet] : "unknown";
}

/* LEAST..MOST */
static status read_range(struct reader *r, char *text, struct provider_shape *s)
{
    char *dots = strstr(text, "..");
    uint64_t least = 0, most = 0;

    if (dots == NULL)
        return REFUSE(r, "a range is LEAST..MOST");
    *dots = '\0';
    if (!number_parse(text, 1, UINT16_MAX, &least) ||
        !number_parse(dots + 2, least, UINT16_MAX, &most))
        return REFUSE(r, "a range is LEAST..MOST");
    s->least = (uint16_t)least;
    s->most = (uint16_t)most;
    return OK;
}

static status read_shape(struct reader *r, struct span value)
{
    struct provider_shape *s = &r->p->shape[r->p->shape_count];
    const char *scope, *alphabet;
    struct span word;
    char range[32] = "";

    if (r->p->shape_count == PROVIDER_SHAPES)
        return REFUSE(r, "there are too many of these");
    (void)sections_word(&value, &word);
    int field = field_index(r->p, word);
    status st = keep_word(r, &value, &scope);

    if (st == OK)
        st = keep_word(r, &value, &s->prefix);
    if (st == OK)
        st = keep_word(r, &value, &alphabet);
    if (st != OK)
        return st;
    (void)sections_word(&value, &word);
    if (field < 0 || word.n >= sizeof range || remaining(value).n > 0)
        return REFUSE(r, "a shape is FIELD SCOPE PREFIX ALPHABET LEAST..MOST");
    memcpy(range, word.p, word.n);
    s->field = (uint8_t)field;
    s->scope = scope_parse(scope);
    for (uint8_t i = 1; i < ALPHABETS; i++) {
        if (strcmp(alphabets[i], alphabet) == 0)
            s->alphabet = i;
    }
    if (s->scope == 0 || s->alphabet == 0)
        return REFUSE(r, "a shape has no such scope or alphabet");
    if (strcmp(s->prefix, "-") == 0)
        s->prefix = "";
    r->p->shape_count++;
    return read_range(r, range, s);
}

static const struct {
    const char *name;
    status (*read)(struct reader *r, struct span value);
} settings[] = {
    { "code", read_code },         { "title", read_title },   { "field", read_field },
    { "form", read_form },         { "bare", read_bare },     { "constant", read_constant },
    { "open", read_open },         { "header", read_header }, { "envoy", read_envoy },
    { "variable", read_variable }, { "file", read_file },     { "shape", read_shape },
};

/* A row must be whole before the next begins. */
static status finish_row(struct reader *r)
{
    struct provider *p = r->p;

    if (p == NULL)
        return OK;
    if (p->code == 0 || p->title == NULL || p->field_count == 0 || p->form_count == 0)
        return REFUSE(r, "a provider has a code, a title, fields and a form");
    p->object = p->bare < 0 || p->field_count > 1;
    r->c->count++;
    r->p = NULL;
    return OK;
}

static status begin_row(struct reader *r, const struct sections_line *line)
{
    status st = finish_row(r);

    if (st != OK)
        return st;
    if (r->c->count == CATALOGUE_ROWS)
        return REFUSE(r, "there are too many providers");
    if (!span_same(line->name, span_text("provider")))
        return REFUSE(r, "a heading is [provider NAME]");
    r->p = &r->c->row[r->c->count];
    r->p->bare = -1;
    st = keep(r, line->value, &r->p->name);
    if (st == OK && !name_valid(r->p->name))
        return REFUSE(r, "a provider's name is 1 to 63 of a-z 0-9 - _ .");
    for (size_t i = 0; st == OK && i < r->c->count; i++) {
        if (strcmp(r->c->row[i].name, r->p->name) == 0)
            return REFUSE(r, "two providers have one name");
    }
    return st;
}

static status read_setting(struct reader *r, const struct sections_line *line)
{
    if (r->p == NULL)
        return REFUSE(r, "a setting stands below [provider NAME]");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (span_same(line->name, span_text(settings[i].name)))
            return settings[i].read(r, line->value);
    }
    return REFUSE(r, "there is no such setting");
}

status catalogue_parse(struct span text, struct catalogue *c, struct err *e)
{
    struct sections s = sections_of(text);
    struct reader r = { .c = c, .e = e };
    struct sections_line line;
    bool more = true;
    status st;

    *c = (struct catalogue){ 0 };
    while ((st = sections_next(&s, &line, &more, e)) == OK && more) {
        r.line = line.number;
        st = line.heading ? begin_row(&r, &line) : read_setting(&r, &line);
        if (st != OK)
            return st;
    }
    return st == OK ? finish_row(&r) : st;
}
