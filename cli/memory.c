/* The allocator that wipes, in the hands of the libraries that carry keys. */
#include "memory.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

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
