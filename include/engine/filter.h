/* Which records of a log are asked for. Empty texts and the extremes ask for all. */
#ifndef ENGINE_FILTER_H
#define ENGINE_FILTER_H

#include "base/bytes.h"

#define FILTER_TEXT 136

struct record_filter {
    bool backwards;  /* from the newest below `before` down, instead of from `from` up */
    uint64_t before; /* INT64_MAX: from the newest */
    uint64_t since_us;
    uint64_t until_us; /* records before that time */
    bool has_outcome;
    uint8_t outcome;           /* enum outcome of ledger */
    char actor[FILTER_TEXT];   /* "gateway:litellm-1", or only the name */
    char key[FILTER_TEXT];     /* "acme/openai", or only the name */
    char gateway[FILTER_TEXT]; /* what it did and what was done to it */
    char type[FILTER_TEXT];    /* how the type begins: "lease." */
    char lease[ID_HEX_LENGTH + 1];
};

#endif
