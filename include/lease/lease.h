/*
 * The live leases, in memory only: the lease.issued record is the lease, and this table is rebuilt
 * from records at start. Nothing needs to be written for a lease to expire. One thread.
 */
#ifndef LEASE_LEASE_H
#define LEASE_LEASE_H

#include "base/bytes.h"
#include "base/status.h"

struct lease {
    struct id id;
    struct id tenant;
    struct id engagement;
    struct id key;
    struct id gateway;
    uint8_t certificate[32]; /* SHA-256 of the SubjectPublicKeyInfo it was issued to */
    uint32_t version;
    uint64_t issued_us;
    uint64_t expires_us;
    uint64_t max_expires_us; /* with all renewals */
};

/* The token a gateway holds: lower-case hex of lease id and the keeper's MAC. */
#define LEASE_TOKEN_LENGTH 64
void lease_token_format(const struct id *lease, const uint8_t mac[static 16],
                        char out[LEASE_TOKEN_LENGTH + 1]);
bool lease_token_parse(const char *text, struct id *ret_lease, uint8_t ret_mac[static 16]);

struct leases;

MUST_CHECK status leases_new(struct leases **ret_leases, struct err *e);
void leases_free(struct leases *l);
/* Adds a copy, or replaces the lease of the same id. */
MUST_CHECK status leases_set(struct leases *l, const struct lease *lease, struct err *e);
/* A live lease at now_us; NULL if unknown or expired. The pointer dies with the next change. */
const struct lease *leases_find(const struct leases *l, const struct id *id, uint64_t now_us);
void leases_remove(struct leases *l, const struct id *id);

/* Ends all leases that match; zero members of pattern match everything. *ret_count: how many. */
MUST_CHECK status leases_end(struct leases *l, const struct lease *pattern, size_t *ret_count,
                             struct err *e);
/* Drops what expired by now_us. */
MUST_CHECK status leases_expire(struct leases *l, uint64_t now_us, struct err *e);
size_t leases_count(const struct leases *l);
/* How many are live at now_us of a tenant, or of one gateway (else NULL) with that tenant. */
size_t leases_live(const struct leases *l, const struct id *tenant, const struct id *gateway,
                   uint64_t now_us);
/* Live leases in no order; start with *cursor = 0. */
const struct lease *leases_next(const struct leases *l, size_t *cursor);

#endif
