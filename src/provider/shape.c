/* What an entered key looks like: whose, of which kind, whole or not. */
#include "provider/shape.h"

#include <stdio.h>
#include <string.h>

#include "provider/credential.h"

/* So long a prefix says whose a key is, whatever follows it. */
#define TELLING_PREFIX 4

static const char *const characters[] = {
    [ALPHABET_TOKEN] = "A-Z a-z 0-9 _ -",
    [ALPHABET_ALNUM] = "A-Z a-z 0-9",
    [ALPHABET_LOWER] = "a-z 0-9",
    [ALPHABET_UPPER] = "A-Z 0-9",
    [ALPHABET_HEX] = "0-9 a-f",
    [ALPHABET_BASE64] = "A-Z a-z 0-9 + / =",
    [ALPHABET_DOTTED] = "A-Z a-z 0-9 _ - .",
};

static bool in_alphabet(uint8_t alphabet, uint8_t c)
{
    bool digit = c >= '0' && c <= '9';
    bool lower = c >= 'a' && c <= 'z';
    bool upper = c >= 'A' && c <= 'Z';

    switch (alphabet) {
    case ALPHABET_TOKEN: return digit || lower || upper || c == '_' || c == '-';
    case ALPHABET_ALNUM: return digit || lower || upper;
    case ALPHABET_LOWER: return digit || lower;
    case ALPHABET_UPPER: return digit || upper;
    case ALPHABET_HEX: return digit || (c >= 'a' && c <= 'f');
    case ALPHABET_BASE64: return digit || lower || upper || c == '+' || c == '/' || c == '=';
    case ALPHABET_DOTTED: return digit || lower || upper || c == '_' || c == '-' || c == '.';
    default: return false;
    }
}

static bool has_prefix(const struct provider_shape *s, struct span text)
{
    size_t n = strlen(s->prefix);

    return n <= text.n && span_same(span_text(s->prefix), span_of(text.p, n));
}

static bool fits(const struct provider_shape *s, struct span text)
{
    size_t n = strlen(s->prefix);

    if (!has_prefix(s, text) || text.n - n < s->least || text.n - n > s->most)
        return false;
    for (; n < text.n; n++) {
        if (!in_alphabet(s->alphabet, text.p[n]))
            return false;
    }
    return true;
}

/* How sure text is to be of s: the length of the prefix, and a little more if the rest fits. */
static size_t likeness(const struct provider_shape *s, struct span text)
{
    size_t n = strlen(s->prefix);
    bool whole = fits(s, text);

    return n > 0 && has_prefix(s, text) && (whole || n >= TELLING_PREFIX) ? 2 * n + whole : 0;
}

/* The likest shape of all providers, p's own before others that are as like. */
static size_t likest(const struct provider *p, struct span text, struct advice *a)
{
    const struct provider *other;
    size_t best = 0;

    for (size_t i = 0; (other = provider_at(i)) != NULL; i++) {
        for (size_t k = 0; k < other->shape_count; k++) {
            size_t n = likeness(&other->shape[k], text);

            if (n < best || n == 0 || (n == best && other != p))
                continue;
            best = n;
            a->provider = other;
            a->shape = &other->shape[k];
        }
    }
    return best;
}

/* Is s what p's field looks like in a key of that scope? */
static bool is_expected(const struct provider_shape *s, size_t field, uint8_t scope)
{
    return s->field == field && (s->scope == SCOPE_ADMIN) == (scope == SCOPE_ADMIN);
}

/* How much of the beginning of text is that of s. */
static size_t common(const struct provider_shape *s, struct span text)
{
    return has_prefix(s, text) ? strlen(s->prefix) : 0;
}

/* Of what does not fit, the shape that begins most like it says best what is wrong. */
static struct advice advise_own(const struct provider *p, uint8_t scope, size_t field,
                                struct span text)
{
    struct advice a = { .kind = ADVICE_FITS, .provider = p, .field = &p->field[field] };

    for (size_t i = 0; i < p->shape_count; i++) {
        const struct provider_shape *s = &p->shape[i];

        if (!is_expected(s, field, scope))
            continue;
        if (fits(s, text)) {
            a.kind = ADVICE_FITS;
            a.shape = s;
            return a;
        }
        if (a.shape == NULL || common(s, text) > common(a.shape, text))
            a.shape = s;
        a.kind = ADVICE_UNUSUAL;
    }
    return a;
}

static struct advice advise_field(const struct provider *p, uint8_t scope, size_t field,
                                  struct span text)
{
    struct advice like = { .kind = ADVICE_FITS };
    struct advice own = advise_own(p, scope, field, text);

    like.field = own.field;
    if (own.kind == ADVICE_FITS && own.shape != NULL)
        return own;
    if (likest(p, text, &like) == 0)
        return own;
    if (like.shape->scope == SCOPE_ADMIN && scope != SCOPE_ADMIN) {
        like.kind = ADVICE_ADMIN;
        return like;
    }
    /* Where nothing is known anything goes: that is what the generic provider is for. */
    if (like.provider == p || p->shape_count == 0)
        return own;
    like.kind = ADVICE_FOREIGN;
    return like;
}

struct advice provider_advise(const struct provider *p, uint8_t scope, struct span value)
{
    struct advice worst = { .kind = ADVICE_FITS, .provider = p };
    struct credential_walk w;
    struct credential_field f;
    bool more = true;
    status st = credential_walk(p, value, &w, NULL);

    while (st == OK && (st = credential_next(&w, &f, &more, NULL)) == OK && more) {
        for (size_t i = 0; i < p->field_count; i++) {
            struct advice a;

            if (!span_same(f.name, span_text(p->field[i].name)))
                continue;
            a = advise_field(p, scope, i, f.raw);
            if (a.kind > worst.kind)
                worst = a;
        }
    }
    return worst;
}

void shape_format(const struct provider_shape *s, char out[SHAPE_TEXT])
{
    const char *alphabet =
        s->alphabet < sizeof characters / sizeof characters[0] ? characters[s->alphabet] : NULL;
    const char *and = s->prefix[0] != '\0' ? " and " : "";

    if (s->least == s->most)
        snprintf(out, SHAPE_TEXT, "%.40s%s%u of %s", s->prefix, and, s->least,
                 alphabet != NULL ? alphabet : "?");
    else
        snprintf(out, SHAPE_TEXT, "%.40s%s%u to %u of %s", s->prefix, and, s->least, s->most,
                 alphabet != NULL ? alphabet : "?");
}
