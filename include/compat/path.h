/*
 * What a request to the Vault-compatible face names: a namespace, which is one tenant, and what is
 * below it. Pure, and fuzzed, because this is where one tenant could become another:
 *
 *   /v1/[NAMESPACE/]auth/... | sys/... | secret/data/NAME | secret/metadata/[NAME]
 *                    | kv/NAME | strongroom/creds/NAME
 *
 * The namespace is the header X-Vault-Namespace, or the segment before one of the words auth, sys,
 * secret, kv, strongroom. It is one name, spelled whole; if both are given they must be the same.
 * No percent-decoding: names need none. Slashes may be doubled and may end the path.
 */
#ifndef COMPAT_PATH_H
#define COMPAT_PATH_H

#include "base/bytes.h"

enum compat_route {
    COMPAT_NOTHING = 0,
    COMPAT_LOGIN_CERT,
    COMPAT_LOGIN_APPROLE,
    COMPAT_LOOKUP_SELF,
    COMPAT_RENEW_SELF,
    COMPAT_REVOKE_SELF,
    COMPAT_HEALTH,
    COMPAT_INIT,
    COMPAT_SEAL_STATUS,
    COMPAT_LEADER,
    COMPAT_MOUNT,
    COMPAT_LEASE_RENEW,
    COMPAT_LEASE_REVOKE,
    COMPAT_KV2_DATA,
    COMPAT_KV2_METADATA, /* without a name: a list */
    COMPAT_KV1,          /* without a name: a list */
    COMPAT_CREDS
};

#define COMPAT_SEGMENT 72 /* a lease's name is 64 characters */

struct compat_path {
    enum compat_route route;
    char tenant[NAME_MAX_LENGTH + 1]; /* "" without a namespace */
    char name[COMPAT_SEGMENT];        /* of a key or lease; "": the path ends before it */
    const char *mount;                /* of COMPAT_MOUNT: secret, kv, strongroom */
    bool below;                       /* of COMPAT_MOUNT: the namespace stood in the probed path */
    bool misnamed;                    /* it is the namespace that cannot be understood */
};

/* NULL, or a literal that says what is wrong: no such path (404), or out->misnamed (400). What is
 * in out counts only without it. header: NULL for none. */
const char *compat_path_parse(const char *url, const char *header, struct compat_path *out);

/* Words that stand for themselves in a path: a tenant of such a name cannot be told from it. */
bool compat_reserved(const char *tenant);

#endif
