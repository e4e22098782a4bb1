/* The catalogue that came with the program, and providers by name and code. */
#include "provider/provider.h"

#include <pthread.h>
#include <string.h>

#include "catalogue.h"

static struct catalogue catalogue;
static struct err broken;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_catalogue(void)
{
    if (catalogue_parse(catalogue_text, &catalogue, &broken) != OK)
        catalogue.count = 0;
}

static const struct catalogue *the_catalogue(void)
{
    (void)pthread_once(&once, read_catalogue);
    return &catalogue;
}

status provider_start(struct err *e)
{
    (void)the_catalogue();
    if (broken.code == OK)
        return OK;
    return fail(e, BUG, "the catalogue of providers is broken", broken.detail);
}

const struct provider *provider_of(uint16_t code)
{
    const struct catalogue *c = the_catalogue();

    for (size_t i = 0; i < c->count; i++) {
        if (c->row[i].code == code)
            return &c->row[i];
    }
    return NULL;
}

const struct provider *provider_at(size_t i)
{
    return i < the_catalogue()->count ? &catalogue.row[i] : NULL;
}

uint16_t provider_parse(const char *name)
{
    const struct provider *p;

    for (size_t i = 0; (p = provider_at(i)) != NULL; i++) {
        if (strcmp(p->name, name) == 0)
            return p->code;
    }
    return 0;
}

const char *provider_name(uint16_t code)
{
    const struct provider *p = provider_of(code);

    return p != NULL ? p->name : "unknown";
}
