/* What documents of policy were asked about a lease, and what they said. */
#ifndef ENGINE_JUDGED_H
#define ENGINE_JUDGED_H

#include "base/bytes.h"

/* One of them. */
struct judged_document {
    bool there;                     /* it was asked */
    uint8_t hash[32];               /* of its text */
    char rule[NAME_MAX_LENGTH + 1]; /* that decided; may be empty */
    const char *limit;              /* that is reached; NULL: none */
};

/* What was asked, as far as policy was, for the record of it. */
struct judged {
    bool asked;
    uint16_t provider;
    uint8_t class;
    uint8_t scope;
    uint64_t ttl_s; /* what grants give of what was asked */
    char key[2 * NAME_MAX_LENGTH + 2];
    struct judged_document tenant;
    struct judged_document vault;
};

#endif
