/* The text of the catalogue, and what is read from it. */
#ifndef PROVIDER_CATALOGUE_H
#define PROVIDER_CATALOGUE_H

#include "provider/provider.h"

#define CATALOGUE_ROWS 32
#define CATALOGUE_POOL 16384

struct catalogue {
    struct provider row[CATALOGUE_ROWS];
    size_t count;
    char pool[CATALOGUE_POOL]; /* every text, with its NUL */
    size_t used;
};

extern const struct span catalogue_text; /* providers/catalogue as it was at build */

/* BAD_INPUT with the line as detail; c holds nothing of use then. */
MUST_CHECK status catalogue_parse(struct span text, struct catalogue *c, struct err *e);

#endif
