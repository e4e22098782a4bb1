/* What is asked for, what is checked, and what is only said. */
#include "intake.h"

#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli.h"
#include "prompt.h"
#include "provider/credential.h"
#include "provider/shape.h"

#define NOTHING "nothing was stored"

/* --- from a terminal --------------------------------------------------------------------------- */

static int ask(const struct provider_field *f, bool optional, struct secret **ret_text)
{
    AUTO(secret) *first = NULL;
    AUTO(secret) *second = NULL;
    char question[160];
    struct err e = { 0 };
    status st;

    snprintf(question, sizeof(question), "%.80s%s%s: ", f->title, f->secret ? " (not shown)" : "",
             optional ? " (Enter: none)" : "");
    if (f->secret)
        st = prompt_secret(question, LIMIT_PROVIDER_KEY, &first, &e);
    else
        st = prompt_shown(question, LIMIT_PROVIDER_KEY, &first, &e);
    /* What cannot be seen is typed twice. */
    if (st == OK && f->secret && secret_view(first).n > 0)
        st = prompt_secret("Once more: ", LIMIT_PROVIDER_KEY, &second, &e);
    if (st != OK)
        return report_err("provider key", &e);
    if (secret_view(first).n == 0 && !optional)
        return report(EXIT_USAGE, "the %.80s is empty; " NOTHING, f->title);
    if (second != NULL && !secret_equal(secret_view(first), secret_view(second)))
        return report(EXIT_USAGE, "the two do not match; " NOTHING);
    *ret_text = first;
    first = NULL;
    return EXIT_DONE;
}

/* Members of a JSON object, one after the other. */
static void add_member(struct out *o, const char *name, struct span text)
{
    out_text(o, o->n == 0 ? "{\"" : ",\"");
    out_text(o, name);
    out_text(o, "\":\"");
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            out_u8(o, '\\');
        out_u8(o, text.p[i]);
    }
    out_u8(o, '"');
}

/* Forms that are still possible: bits of p->form. */
static uint8_t all_forms(const struct provider *p)
{
    return (uint8_t)((1U << p->form_count) - 1);
}

/* Is field i in one of the forms, and may it be left out in one? */
static bool is_asked(const struct provider *p, uint8_t forms, size_t i, bool *ret_optional)
{
    bool asked = false;

    *ret_optional = false;
    for (size_t k = 0; k < p->form_count; k++) {
        if ((forms >> k & 1) == 0)
            continue;
        asked |= ((p->form[k].required | p->form[k].optional) >> i & 1) != 0;
        *ret_optional |= (p->form[k].required >> i & 1) == 0;
    }
    return asked;
}

static uint8_t narrow(const struct provider *p, uint8_t forms, size_t i, bool given)
{
    for (size_t k = 0; k < p->form_count; k++) {
        uint8_t in = p->form[k].required | p->form[k].optional;
        bool stays = given ? (in >> i & 1) != 0 : (p->form[k].required >> i & 1) == 0;

        if (!stays)
            forms &= (uint8_t) ~(1U << k);
    }
    return forms;
}

static int ask_all(const struct provider *p, struct out *o, struct secret **ret_only,
                   size_t *ret_given)
{
    uint8_t forms = all_forms(p);

    *ret_given = 0;
    for (size_t i = 0; i < p->field_count; i++) {
        AUTO(secret) *text = NULL;
        bool optional;

        if (!is_asked(p, forms, i, &optional))
            continue;
        int code = ask(&p->field[i], optional, &text);

        if (code != EXIT_DONE)
            return code;
        forms = narrow(p, forms, i, secret_view(text).n > 0);
        if (secret_view(text).n == 0)
            continue;
        add_member(o, p->field[i].name, secret_view(text));
        if ((*ret_given)++ == 0 && p->bare == (int)i) {
            *ret_only = text;
            text = NULL;
        }
    }
    out_text(o, "}");
    return o->overflow ? report(EXIT_BOUND, "the credential is too long; " NOTHING)
                       : (int)EXIT_DONE;
}

/* Of several fields a JSON object is made, unless the one that can stand alone is all there is. */
static int ask_fields(const struct provider *p, struct secret **ret_value)
{
    AUTO(secret) *object = NULL;
    AUTO(secret) *only = NULL;
    struct err e = { 0 };
    struct out o;
    size_t given;

    if (secret_new(LIMIT_PROVIDER_KEY, &object, &e) != OK)
        return report_err("provider key", &e);
    out_init(&o, secret_fill(object).p, secret_fill(object).n);
    int code = ask_all(p, &o, &only, &given);

    if (code != EXIT_DONE)
        return code;
    if (only != NULL && given == 1) {
        *ret_value = only;
        only = NULL;
        return EXIT_DONE;
    }
    if (secret_trim(object, o.n, &e) != OK)
        return report_err("provider key", &e);
    *ret_value = object;
    object = NULL;
    return EXIT_DONE;
}

/* --- from standard input ----------------------------------------------------------------------- */

/* A JSON file has line breaks, a stored value is one line: what is between strings goes. */
static void remove_space(struct mspan m, size_t *n)
{
    bool in_string = false;
    size_t to = 0;

    for (size_t i = 0; i < *n; i++) {
        uint8_t c = m.p[i];

        if (in_string && c == '\\' && i + 1 < *n) {
            m.p[to++] = c;
            m.p[to++] = m.p[++i];
            continue;
        }
        if (c == '"')
            in_string = !in_string;
        if (in_string || (c != ' ' && c != '\n' && c != '\r' && c != '\t'))
            m.p[to++] = c;
    }
    *n = to;
}

static int read_all(const struct provider *p, struct secret **ret_value)
{
    AUTO(secret) *value = NULL;
    struct err e = { 0 };
    size_t begin = 0;

    if (prompt_stdin_all(LIMIT_PROVIDER_KEY, &value, &e) != OK)
        return report_err("provider key", &e);
    struct span text = secret_view(value);
    size_t n = text.n;

    while (begin < n && (text.p[begin] == ' ' || text.p[begin] == '\n'))
        begin++;
    if (p->object && begin < n && text.p[begin] == '{')
        remove_space(secret_fill(value), &n);
    if (secret_trim(value, n, &e) != OK)
        return report_err("provider key", &e);
    *ret_value = value;
    value = NULL;
    return EXIT_DONE;
}

/* --- what is said of it ------------------------------------------------------------------------ */

static int check(const struct cli *c, const struct provider *p, struct span value)
{
    const struct provider_field *missing;
    struct err e = { 0 };

    if (credential_check(p, value, &missing, &e) == OK || option_given(&c->options, OPT_FORCE))
        return EXIT_DONE;
    if (missing != NULL)
        return report(EXIT_USAGE,
                      "a credential of %s needs %s (%s) too; 'strongroom provider show %s' tells "
                      "its fields. " NOTHING,
                      p->title, missing->name, missing->title, p->name);
    return report(EXIT_USAGE,
                  "%s: %s; 'strongroom provider show %s' tells what it has to be. " NOTHING,
                  p->title, e.why, p->name);
}

static int advise(const struct cli *c, const struct provider *p, uint8_t scope, struct span value)
{
    struct advice a = provider_advise(p, scope, value);
    bool forced = option_given(&c->options, OPT_FORCE);
    char expected[SHAPE_TEXT];

    if (a.kind == ADVICE_ADMIN && !forced)
        return report(EXIT_USAGE,
                      "this looks like an admin key of %s. Store it with --scope admin, and it is "
                      "never leased; or give gateways a key that can only be used for inference. "
                      "(--force takes it as it is.) " NOTHING,
                      a.provider->title);
    if (a.kind == ADVICE_FOREIGN && !forced)
        return report(EXIT_USAGE,
                      "this looks like a key of %s, not of %s. Store it with --provider %s. "
                      "(--force takes it as it is.) " NOTHING,
                      a.provider->title, p->title, a.provider->name);
    if (a.kind != ADVICE_UNUSUAL)
        return EXIT_DONE;
    shape_format(a.shape, expected);
    say("Warning: the %s does not look like those of %s that are known, such as: %s. Was it cut "
        "off, or do they make new ones?",
        a.field->title, p->title, expected);
    return EXIT_DONE;
}

int intake_read(const struct cli *c, const struct provider *p, uint8_t scope,
                struct secret **ret_value)
{
    AUTO(secret) *value = NULL;
    int code;

    if (isatty(STDIN_FILENO) && p->open)
        return report(EXIT_USAGE, "give the JSON file on standard input: < FILE");
    code = isatty(STDIN_FILENO) ? ask_fields(p, &value) : read_all(p, &value);
    if (code == EXIT_DONE)
        code = check(c, p, secret_view(value));
    if (code == EXIT_DONE)
        code = advise(c, p, scope, secret_view(value));
    if (code != EXIT_DONE)
        return code;
    *ret_value = value;
    value = NULL;
    return EXIT_DONE;
}
