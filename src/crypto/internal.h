/* What the files of this module share and nobody else sees. */
#ifndef CRYPTO_INTERNAL_H
#define CRYPTO_INTERNAL_H

#include <stdbool.h>
#include <stdlib.h>

#define NONCE_SIZE 12
#define TAG_SIZE   16
#define SALT_SIZE  32

/*
 * For the functions that return nothing: a key of the wrong size is a defect of the caller,
 * and there is no safe answer to it. Never compiled out.
 */
static inline void insist(bool holds)
{
    if (!holds)
        abort();
}

#endif
