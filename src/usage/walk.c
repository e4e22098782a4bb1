/* See walk.h. Text that is skipped is looked at for its structure alone. */
#include "walk.h"

#include <string.h>

#include "usage/usage.h"

static void skip_space(struct walk *w)
{
    while (w->p < w->end && (*w->p == ' ' || *w->p == '\t' || *w->p == '\n' || *w->p == '\r'))
        w->p++;
}

static bool stumble(struct walk *w)
{
    w->bad = true;
    w->p = w->end;
    return false;
}

static bool take(struct walk *w, char c)
{
    skip_space(w);
    if (w->bad || w->p == w->end || *w->p != (uint8_t)c)
        return false;
    w->p++;
    return true;
}

struct walk walk_of(struct span text)
{
    return (struct walk){ .p = text.p, .end = text.p + text.n };
}

char walk_peek(struct walk *w)
{
    skip_space(w);
    return w->bad || w->p == w->end ? '\0' : (char)*w->p;
}

static bool is_digit(const struct walk *w)
{
    return w->p < w->end && *w->p >= '0' && *w->p <= '9';
}

static bool take_digits(struct walk *w)
{
    if (!is_digit(w))
        return stumble(w);
    while (is_digit(w))
        w->p++;
    return true;
}

static bool take_one_of(struct walk *w, const char *characters)
{
    if (w->p == w->end || *w->p == '\0' || strchr(characters, *w->p) == NULL)
        return false;
    w->p++;
    return true;
}

static bool take_number(struct walk *w, struct span *ret_text)
{
    const uint8_t *begin = w->p;

    take_one_of(w, "-");
    if (!take_one_of(w, "0") && !take_digits(w))
        return false;
    if (take_one_of(w, ".") && !take_digits(w))
        return false;
    if (take_one_of(w, "eE")) {
        take_one_of(w, "+-");
        if (!take_digits(w))
            return false;
    }
    *ret_text = span_of(begin, (size_t)(w->p - begin));
    return true;
}

/* The code unit behind \u. */
static bool take_code(struct walk *w, unsigned *ret_code)
{
    uint8_t code[2];

    if (w->end - w->p < 4 || !hex_parse((const char *)w->p, 4, code, sizeof code))
        return stumble(w);
    w->p += 4;
    *ret_code = (unsigned)(code[0] << 8 | code[1]);
    return true;
}

/* One character of a string, as far as it is ASCII: all others are one that nobody takes. */
static bool take_character(struct walk *w, unsigned *ret_character)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const char *at;
    uint8_t c = *w->p++;

    *ret_character = c;
    if (c < 0x20)
        return stumble(w);
    if (c != '\\')
        return true;
    if (w->p == w->end)
        return stumble(w);
    c = *w->p++;
    if (c == 'u')
        return take_code(w, ret_character);
    at = c == '\0' ? NULL : strchr(letters, c);
    if (at == NULL)
        return stumble(w);
    *ret_character = (uint8_t)meant[at - letters];
    return true;
}

/* Behind the opening quote. out may be NULL. *ret_fits: all of it is in out. */
static bool take_string(struct walk *w, char *out, size_t cap, bool *ret_fits)
{
    size_t n = 0;
    bool fits = cap > 0;

    while (w->p < w->end) {
        unsigned c;

        if (*w->p == '"') {
            w->p++;
            if (cap > 0)
                memset(out + (fits ? n : 0), 0, cap - (fits ? n : 0));
            *ret_fits = fits;
            return true;
        }
        if (!take_character(w, &c))
            return false;
        if (fits && c > 0x1f && c < 0x7f && n + 1 < cap)
            out[n++] = (char)c;
        else
            fits = false;
    }
    return stumble(w);
}

static bool take_word(struct walk *w, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(w->end - w->p) < n || memcmp(w->p, word, n) != 0)
        return stumble(w);
    w->p += n;
    return true;
}

struct list walk_open(struct walk *w, char open)
{
    struct list l = { .close = open == '{' ? '}' : ']' };

    if (walk_peek(w) != open) {
        walk_skip(w);
        l.close = 0;
    } else if (++w->depth > USAGE_DEPTH) {
        stumble(w);
    } else {
        w->p++;
    }
    return l;
}

bool walk_element(struct walk *w, struct list *l)
{
    bool first = !l->begun;

    if (l->close == 0 || w->bad)
        return false;
    l->begun = true;
    if (take(w, l->close)) {
        w->depth--;
        l->close = 0;
        return false;
    }
    return first || take(w, ',') || stumble(w);
}

bool walk_member(struct walk *w, struct list *l, char *name, size_t cap)
{
    bool fits = false;

    if (!walk_element(w, l))
        return false;
    if (!take(w, '"'))
        return stumble(w);
    if (!take_string(w, name, cap, &fits))
        return false;
    return take(w, ':') || stumble(w);
}

bool walk_text(struct walk *w, char *out, size_t cap)
{
    bool fits = false;

    if (walk_peek(w) != '"') {
        walk_skip(w);
        return false;
    }
    w->p++;
    return take_string(w, out, cap, &fits) && fits;
}

bool walk_number(struct walk *w, struct span *ret_text)
{
    char c = walk_peek(w);

    if (c != '-' && (c < '0' || c > '9')) {
        walk_skip(w);
        return false;
    }
    return take_number(w, ret_text);
}

/* Members and elements of a list, one within the other: depth bounds the recursion. */
static void skip_list(struct walk *w, char open)
{
    struct list l = walk_open(w, open);
    char name[1];

    while (open == '{' ? walk_member(w, &l, name, sizeof name) : walk_element(w, &l))
        walk_skip(w);
}

void walk_skip(struct walk *w)
{
    struct span number;
    bool fits;
    char c = walk_peek(w);

    switch (c) {
    case '{':
    case '[': skip_list(w, c); return;
    case '"':
        w->p++;
        (void)take_string(w, NULL, 0, &fits);
        return;
    case 't': (void)take_word(w, "true"); return;
    case 'f': (void)take_word(w, "false"); return;
    case 'n': (void)take_word(w, "null"); return;
    default:
        if (c == '\0' || !take_number(w, &number))
            stumble(w);
    }
}

bool walk_empty(const struct walk *w)
{
    struct walk look = *w;
    char open = walk_peek(&look);

    if (open == 'n' || open == 'f')
        return true;
    if (open != '"' && open != '[' && open != '{')
        return false;
    look.p++;
    return walk_peek(&look) == (open == '"' ? '"' : open == '[' ? ']' : '}');
}
