/* What a request of the Vault-compatible face shows, besides what every request says. */
#ifndef ENGINE_ASKED_H
#define ENGINE_ASKED_H

#include "base/bytes.h"
#include "identity/identity.h"

/* on: it came over that face. Then who asks is the engine's to find out. */
struct compat_asked {
    bool on;
    bool has_token;
    uint8_t token[32];   /* SHA-256 of the bearer token */
    uint8_t address[16]; /* of the peer; IPv4 as ::ffff:a.b.c.d */
    struct holder shown; /* its certificate, verified; role ROLE_NONE: none */
    uint64_t version;    /* of the key; 0: the current one */
    uint8_t least;       /* the engine's: what the tenant requires; 0: it has not opted in */
};

#endif
