/* catalogue_parse: a text is a catalogue whose rows are whole, or is refused with a line. */
#include <stdlib.h>
#include <string.h>

#include "provider/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_pool(const struct catalogue *c, const char *text)
{
    return text >= c->pool && text < c->pool + c->used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct catalogue c;
    struct err e = { 0 };
    status st = catalogue_parse(span_of(data, size), &c, &e);

    if (st != OK) {
        if (st != BAD_INPUT || (e.detail == 0 && size > 0))
            abort();
        return 0;
    }
    for (size_t i = 0; i < c.count; i++) {
        const struct provider *p = &c.row[i];

        if (p->code == 0 || !in_pool(&c, p->name) || !in_pool(&c, p->title) ||
            p->field_count == 0 || p->form_count == 0 || p->bare >= (int)p->field_count)
            abort();
        for (size_t k = 0; k < p->shape_count; k++) {
            if (p->shape[k].field >= p->field_count || p->shape[k].least > p->shape[k].most)
                abort();
        }
    }
    return 0;
}
