/* What the files of this module share. */
#ifndef WIRE_INTERNAL_H
#define WIRE_INTERNAL_H

#include "wire/message.h"

/* A view of at most max bytes; a longer one is an impossible message. */
struct span wire_get_bounded(struct in *i, size_t max);

#endif
