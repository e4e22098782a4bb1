/* Values of keys: whatever a provider's credential holds, it is read in place or refused; what is
 * rendered fits, is fit for a header, and after an error nothing of it is left. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "provider/credential.h"
#include "provider/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool inside(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void render(const struct provider *p, const char *template, struct span value, size_t room)
{
    static uint8_t out[LIMIT_PROVIDER_KEY + 64];
    size_t n = 1;

    memset(out, 0, sizeof out);
    status st =
        provider_render(p, template, RENDER_HEADER, value, (struct mspan){ out, room }, &n, NULL);

    if (st == OK) {
        must(n > 0 && n <= room);
        for (size_t i = 0; i < n; i++)
            must(out[i] >= 0x20 && out[i] < 0x7f);
        return;
    }
    must(n == 0 && (st == BAD_INPUT || st == NOT_FOUND || st == LIMIT));
    for (size_t i = 0; i < room; i++)
        must(out[i] == 0);
}

static void walk(const struct provider *p, struct span value)
{
    uint8_t text[LIMIT_PROVIDER_KEY];
    struct credential_walk w;
    struct credential_field f;
    bool more = true;
    size_t count = 0, n;

    if (credential_walk(p, value, &w, NULL) != OK)
        return;
    while (credential_next(&w, &f, &more, NULL) == OK && more) {
        must(++count <= CREDENTIAL_MEMBERS);
        must(inside(f.raw, value));
        must(credential_read(&f, (struct mspan){ text, sizeof text }, &n, NULL) == OK);
        must(n <= f.raw.n); /* an escape is never shorter than what it stands for */
    }
}

/* The first byte is the provider. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct provider_field *missing;
    const struct provider *p;
    struct span value;

    if (size < 2 || size > LIMIT_PROVIDER_KEY || (p = provider_at(data[0] % 14)) == NULL)
        return 0;
    value = span_of(data + 1, size - 1);
    walk(p, value);
    status st = credential_check(p, value, &missing, NULL);

    must(st == OK || st == BAD_INPUT);
    must(st != OK || missing == NULL);
    (void)provider_advise(p, SCOPE_INFERENCE, value);
    for (size_t i = 0; i < p->header_count; i++) {
        render(p, p->header[i].text, value, LIMIT_PROVIDER_KEY + 64);
        render(p, p->header[i].text, value, 10);
    }
    render(p, "{}", value, LIMIT_PROVIDER_KEY);
    return 0;
}
