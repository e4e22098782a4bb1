/*
 * Leases, in memory only: the lease.issued record is the lease, and this table is rebuilt from
 * records at start. Nothing is written for a lease to expire. One thread.
 *
 * A lease takes 64 bytes and 4 of the hash table; what it has in common with others (tenant, key,
 * gateway, ...) is held once for all of them. Nothing here takes time in proportion to the leases
 * that are live, and nothing stops to grow: ending, counting and walking go by groups of leases
 * that are alike.
 */
#ifndef LEASE_LEASE_H
#define LEASE_LEASE_H

#include "base/bytes.h"
#include "base/status.h"

/* How long one that is over is still known, to whoever reports late what was done with it. */
#define LEASE_RECENT_US ((uint64_t)90 * 1000000)

struct lease {
    struct id id;
    struct id tenant;
    struct id engagement;
    struct id key;
    struct id gateway;
    uint8_t certificate[32]; /* SHA-256 of the SubjectPublicKeyInfo it was issued to */
    uint32_t version;
    uint64_t issued_us;
    uint64_t expires_us;     /* of one that was released or revoked: when that was */
    uint64_t max_expires_us; /* with all renewals; kept in whole seconds after issued_us */
    uint8_t idempotency[16]; /* of the Idempotency-Key it was asked for with; zero: none */
    uint8_t asked[8];        /* with idempotency: what was asked for, as a hash */
};

enum lease_state { LEASE_LIVE, LEASE_EXPIRED, LEASE_RELEASED, LEASE_REVOKED };

/* The token a gateway holds: lower-case hex of lease id and the keeper's MAC. */
#define LEASE_TOKEN_LENGTH 64
void lease_token_format(const struct id *lease, const uint8_t mac[static 16],
                        char out[LEASE_TOKEN_LENGTH + 1]);
bool lease_token_parse(const char *text, struct id *ret_lease, uint8_t ret_mac[static 16]);

struct leases;

MUST_CHECK status leases_new(struct leases **ret_leases, struct err *e);
void leases_free(struct leases *l);
/* Adds a copy, or changes the times of the lease of that id. One that was released or revoked does
 * not come back: nothing happens. NO_MEMORY leaves everything as it was. */
MUST_CHECK status leases_set(struct leases *l, const struct lease *lease, struct err *e);
/* A live lease at now_us, copied to *ret; false if unknown or over. */
bool leases_find(const struct leases *l, const struct id *id, uint64_t now_us, struct lease *ret);
/* The same, and one that has been over for less than LEASE_RECENT_US: *ret_state says how. */
bool leases_recent(const struct leases *l, const struct id *id, uint64_t now_us, struct lease *ret,
                   enum lease_state *ret_state);
/* The newest lease of a certificate with an idempotency key, live or recent. */
bool leases_repeated(const struct leases *l, const uint8_t certificate[static 32],
                     const uint8_t idempotency[static 16], uint64_t now_us, struct lease *ret,
                     enum lease_state *ret_state);
/* It is over, by its holder's wish. Unknown: nothing happens. */
void leases_release(struct leases *l, const struct id *id, uint64_t now_us);

/* Ends all live leases that match: with pattern's id that one, else those of the tenant,
 * engagement, key, gateway, certificate and version in pattern; a zero member matches everything.
 * How many were live, as of the last leases_expire. */
size_t leases_end(struct leases *l, const struct lease *pattern, uint64_t now_us);
/* How many live leases match a pattern without an id. */
size_t leases_matching(const struct leases *l, const struct lease *pattern);

/* Counts off what expired by now_us, to a quarter of a second, and forgets what has been over for
 * long enough: at most max leases at a time. true if there is more to do. */
bool leases_expire(struct leases *l, uint64_t now_us, size_t max);
/* Live leases, as of the last leases_expire. */
size_t leases_count(const struct leases *l);
/* How many are live of a tenant, or of one gateway (else NULL) with that tenant; a look-up. Expires
 * a few first, so it is exact to a quarter of a second unless leases_expire is far behind. */
size_t leases_live(struct leases *l, const struct id *tenant, const struct id *gateway,
                   uint64_t now_us);

/* Where a walk is; begins zeroed, and ends with the next change. */
struct lease_cursor {
    uint32_t group;
    uint32_t row;
};
/* Live leases in no order, of a tenant or (NULL) of all. false at the end. */
bool leases_next(const struct leases *l, const struct id *tenant, uint64_t now_us,
                 struct lease_cursor *cursor, struct lease *ret);
/* Groups of live leases that are alike but for id, times and idempotency, which are zero in *ret.
 * *ret_live: how many, as of the last leases_expire; never 0. */
bool leases_next_group(const struct leases *l, const struct id *tenant, struct lease_cursor *cursor,
                       struct lease *ret, size_t *ret_live);
/* Tenants with live leases. */
bool leases_next_tenant(const struct leases *l, struct lease_cursor *cursor, struct id *ret_tenant);

#endif
