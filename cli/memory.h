/*
 * An allocator that wipes what it gives back. libcurl and jansson allocate here, because the reply
 * to a lease carries a provider key. It is not locked memory: it bounds how long the key stays.
 */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <jansson.h>
#include <stddef.h>

/* Hands the allocator to both libraries; before any other use of them. Aborts if they refuse. */
void memory_start(void);

void *wiping_malloc(size_t size);
void wiping_free(void *p);

/* AUTO(json_t) *x = NULL; */
void json_t_cleanup(json_t **json);
/* AUTO(wiped) *text = NULL; for text that jansson or wiping_malloc made. */
struct wiped;
void wiped_cleanup(struct wiped **p);

#endif
