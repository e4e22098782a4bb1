/* libcurl and jansson allocate with the allocator that wipes, because the reply to a lease carries
 * a provider key. */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <jansson.h>

#include "secret/wiping.h"

/* Hands the allocator to both libraries; before any other use of them. Aborts if they refuse. */
void memory_start(void);

/* AUTO(json_t) *x = NULL; */
void json_t_cleanup(json_t **json);
/* AUTO(wiped) *text = NULL; for text that jansson or wiping_malloc made. */
struct wiped;
void wiped_cleanup(struct wiped **p);

#endif
