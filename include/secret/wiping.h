/*
 * An allocator that wipes what it gives back, for libraries that take one and may carry a secret
 * past us: JSON above all. It is not locked memory: it bounds how long the bytes stay. Not to be
 * mixed with malloc and free: each of these frees only what it gave.
 */
#ifndef SECRET_WIPING_H
#define SECRET_WIPING_H

#include <stddef.h>

/* Uninitialised; NULL without memory. */
void *wiping_malloc(size_t size);
/* Wipes the whole of it; NULL is fine. */
void wiping_free(void *p);
/* A copy of another size, never in place: growing wipes what it leaves. NULL, and p as it was,
 * without memory. */
void *wiping_resize(void *p, size_t size);

#endif
