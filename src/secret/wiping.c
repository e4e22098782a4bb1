/* Each allocation carries its size in front, so that it can be wiped whole whoever frees it. */
#include "secret/wiping.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "secret/secret.h"

union head {
    size_t size;
    max_align_t align;
};

void *wiping_malloc(size_t size)
{
    if (size > SIZE_MAX - sizeof(union head))
        return NULL;
    union head *h = malloc(sizeof(*h) + size);

    if (h == NULL)
        return NULL;
    h->size = size;
    return h + 1;
}

void wiping_free(void *p)
{
    if (p == NULL)
        return;
    union head *h = (union head *)p - 1;

    secret_wipe((struct mspan){ .p = p, .n = h->size });
    free(h);
}

void *wiping_resize(void *p, size_t size)
{
    void *q = wiping_malloc(size);

    if (q == NULL || p == NULL)
        return q;
    size_t old = ((union head *)p - 1)->size;

    memcpy(q, p, old < size ? old : size);
    wiping_free(p);
    return q;
}
