/* What the keeper knows of heads that are older than its anchor, or newer than its keyring. */
#ifndef KEEPER_ROLLBACK_H
#define KEEPER_ROLLBACK_H

#include "base/bytes.h"

/* The vault's log when the heads were loaded. */
struct found {
    uint64_t anchored; /* records in all logs, as the keyring had it */
    uint64_t size;
    uint8_t root[32];
};

/* What tenants' logs are to be told of. */
struct accepted {
    bool exists;
    uint8_t operation[32];
    uint64_t records, anchored;
};

#endif
