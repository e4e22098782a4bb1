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

/* Which sums of reported usage are asked for. Empty texts and 0 ask for all. */
enum usage_by { BY_DAY = 1, BY_TENANT = 2, BY_KEY = 4, BY_GATEWAY = 8, BY_MODEL = 16 };
struct usage_filter {
    bool has_since, has_until;
    uint64_t from_day; /* since 1970, UTC */
    uint64_t to_day;   /* exclusive */
    unsigned by;       /* what is told apart, bits of enum usage_by; 0: days */
    char tenant[NAME_MAX_LENGTH + 1];
    char key[NAME_MAX_LENGTH + 1];
    char gateway[NAME_MAX_LENGTH + 1];
    char model[97];
};

#endif
