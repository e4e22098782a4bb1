/* Where the slab's memory comes from. */
#ifndef SECRET_MAPPING_H
#define SECRET_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * size bytes (whole pages) that never reach a disk, a core dump or a forked child, with an
 * inaccessible page at either end; zeroed. *ret_hidden: the kernel shows them to no other process,
 * whatever its rights (memfd_secret); otherwise they are ordinary locked memory. NULL with errno.
 */
uint8_t *mapping_new(size_t size, bool *ret_hidden);

#endif
