/* Each allocation carries its size in front, so that it can be wiped whole whoever frees it. */
#include "memory.h"

#include <curl/curl.h>
#include <malloc.h>
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

static void *wiping_calloc(size_t count, size_t size)
{
    size_t total = 0;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *p = wiping_malloc(total);

    if (p != NULL)
        memset(p, 0, total);
    return p;
}

/* Never grows in place: the library's own would leave the old bytes behind. */
static void *wiping_resize(void *p, size_t size)
{
    void *q = wiping_malloc(size);

    if (q == NULL || p == NULL)
        return q;
    size_t old = ((union head *)p - 1)->size;

    memcpy(q, p, old < size ? old : size);
    wiping_free(p);
    return q;
}

static char *wiping_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = wiping_malloc(size);

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void memory_start(void)
{
    /* What the TLS library frees cannot be reached from here, but the C library overwrites it too,
     * small pieces excepted. */
    (void)mallopt(M_PERTURB, 0x5a);
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiping_malloc, wiping_free, wiping_resize,
                             wiping_strdup, wiping_calloc) != CURLE_OK)
        abort();
}

void json_t_cleanup(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

void wiped_cleanup(struct wiped **p)
{
    wiping_free(*p);
    *p = NULL;
}
