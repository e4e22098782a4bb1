/* Headers and variables from their templates. */
#include <string.h>

#include "provider/credential.h"

/* One {field} or {} of a template, into what is left of out. */
static status put_field(const struct provider *p, struct span name, struct span value,
                        struct out *o, struct err *e)
{
    struct mspan room = { o->p + o->n, o->cap - o->n };
    struct credential_field f = { .raw = value };
    char text[CREDENTIAL_NAME + 1] = "";
    size_t n = 0;
    status st = OK;

    if (name.n > CREDENTIAL_NAME)
        return fail(e, BAD_INPUT, "a template names no field", 0);
    if (name.n > 0) {
        memcpy(text, name.p, name.n);
        st = credential_find(p, value, text, &f, e);
    }
    if (st == OK)
        st = credential_read(&f, room, &n, e);
    o->n += n;
    return st;
}

static status put_template(const struct provider *p, const char *template, struct span value,
                           struct out *o, struct err *e)
{
    const char *open;
    status st = OK;

    while (st == OK && (open = strchr(template, '{')) != NULL) {
        const char *close = strchr(open, '}');

        if (close == NULL)
            return fail(e, BAD_INPUT, "a brace has no partner", 0);
        out_raw(o, span_of(template, (size_t)(open - template)));
        if (!o->overflow)
            st = put_field(p, span_of(open + 1, (size_t)(close - open - 1)), value, o, e);
        template = close + 1;
    }
    out_text(o, template);
    if (st == OK && o->overflow)
        return fail(e, LIMIT, "there is no room for the credential", 0);
    return st;
}

/* A line break in a header would begin another one. */
static status check_use(enum render_use use, struct span s, struct err *e)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == 0 || (use == RENDER_HEADER && (s.p[i] < 0x20 || s.p[i] > 0x7e)))
            return fail(e, BAD_INPUT, "the credential holds a character that cannot go there", 0);
    }
    if (use == RENDER_HEADER && (s.n == 0 || s.p[0] == ' ' || s.p[s.n - 1] == ' '))
        return fail(e, BAD_INPUT, "the credential holds a character that cannot go there", 0);
    return OK;
}

status provider_render(const struct provider *p, const char *template, enum render_use use,
                       struct span value, struct mspan out, size_t *ret_n, struct err *e)
{
    struct out o;

    *ret_n = 0;
    out_init(&o, out.p, out.n);
    status st = put_template(p, template, value, &o, e);

    if (st == OK)
        st = check_use(use, span_of(o.p, o.n), e);
    if (st == OK)
        *ret_n = o.n;
    else
        explicit_bzero(out.p, out.n);
    return st;
}
