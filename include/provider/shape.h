/*
 * Advice on what somebody enters: does it look like such a key? Never a condition for the vault,
 * since providers change what their keys look like without notice.
 */
#ifndef PROVIDER_SHAPE_H
#define PROVIDER_SHAPE_H

#include "provider/provider.h"

enum advice_kind {
    ADVICE_FITS,
    ADVICE_UNUSUAL, /* it does not look like what is known; shape says what was expected */
    ADVICE_ADMIN,   /* it looks like an admin key of provider, and is put as something else */
    ADVICE_FOREIGN  /* it looks like a key of another provider */
};

struct advice {
    enum advice_kind kind;
    const struct provider *provider;    /* whose key it looks like; else the one asked about */
    const struct provider_shape *shape; /* FITS: NULL if nothing is known */
    const struct provider_field *field; /* UNUSUAL: which one */
};

/* Of value, a credential of p that passed credential_check, to be put with scope. Reads in place
 * and remembers nothing of it. */
struct advice provider_advise(const struct provider *p, uint8_t scope, struct span value);

/* "sk-proj- and 40 to 200 of A-Z a-z 0-9 _ -" */
#define SHAPE_TEXT 128
void shape_format(const struct provider_shape *s, char out[SHAPE_TEXT]);

#endif
