/* The rows behind the table of leases. All of them begin with the link of slab and index. */
#ifndef LEASE_INTERNAL_H
#define LEASE_INTERNAL_H

#include "index.h"
#include "lease/lease.h"

/* The wheel: a slot is a quarter of a second, and all of them a good hour. What is due later goes
 * round again. */
#define WHEEL_SHIFT 18
#define WHEEL_SLOTS 16384
#define WHEEL_HEAD  0x80000000u /* a link back to a slot instead of a row */

enum row_flag {
    ROW_COUNTED_OFF = 1, /* it is in no count of live leases any more */
    ROW_RELEASED = 2,
    ROW_REVOKED = 4 /* by itself; that of a group stands there */
};
#define ROW_FLAGS 4 /* bits */

struct row {
    uint32_t link;
    uint32_t group;
    uint32_t wheel_before, wheel_after; /* due in the same slot */
    uint32_t group_before, group_after; /* of the same group */
    uint32_t repeat;                    /* its idempotency key, if it came with one */
    uint32_t lifetime_s : 32 - ROW_FLAGS;
    uint32_t flags : ROW_FLAGS;
    struct id id;
    uint64_t issued_us;
    uint64_t expires_us;
};
_Static_assert(sizeof(struct row) == 64, "a lease is one cache line");

struct group {
    uint32_t link;
    uint32_t rows; /* how many name it */
    uint32_t live;
    uint32_t first;                       /* row */
    uint32_t of_tenant, of_gateway;       /* tallies that count it */
    uint32_t tenant_before, tenant_after; /* groups of the same tenant */
    uint64_t ended_us;                    /* 0, or when all of its leases were ended */
    uint32_t version;
    struct id tenant, engagement, key, gateway;
    uint8_t certificate[32];
};

/* Live leases of a tenant, or of a gateway with it. */
struct tally {
    uint32_t link;
    uint32_t groups; /* how many name it */
    uint32_t live;
    uint32_t first; /* group, of a tenant */
    struct id tenant, gateway;
};

/* An idempotency key, with the newest lease of it. */
struct repeat {
    uint32_t link;
    uint32_t row;
    uint8_t key[16];
    uint8_t asked[8];
};

struct leases {
    struct slab rows, groups, tallies, repeats;
    struct index by_id, by_likeness, by_tally, by_repeat;
    uint32_t live;
    uint64_t tick;                   /* the next one to look at */
    uint32_t wheel[WHEEL_SLOTS + 1]; /* the last: taken out of its slot, and not looked at yet */
};

static inline struct row *row_at(const struct leases *l, uint32_t ref)
{
    return slab_row(&l->rows, ref);
}

static inline struct group *group_at(const struct leases *l, uint32_t ref)
{
    return slab_row(&l->groups, ref);
}

static inline struct tally *tally_at(const struct leases *l, uint32_t ref)
{
    return slab_row(&l->tallies, ref);
}

static inline struct repeat *repeat_at(const struct leases *l, uint32_t ref)
{
    return slab_row(&l->repeats, ref);
}

/* group.c */
uint64_t group_hash(const void *group, uint64_t seed);
uint64_t tally_hash(const void *tally, uint64_t seed);
/* The group that leases like this one belong to, found or made; its rows are the caller's to
 * count. */
MUST_CHECK status group_of(struct leases *l, const struct lease *like, uint32_t *ret_ref,
                           struct err *e);
void group_drop_unused(struct leases *l, uint32_t ref);
void group_enter(struct leases *l, uint32_t row); /* the row names its group already */
void group_leave(struct leases *l, uint32_t row);
/* Of a group that was not ended: more or less live leases. */
void group_count(struct leases *l, struct group *g, int change);
/* wheel.c */
void wheel_put(struct leases *l, uint32_t row, uint64_t due_us);
void wheel_take(struct leases *l, uint32_t row);
/* lease.c */
enum lease_state row_state(const struct leases *l, const struct row *row, uint64_t now_us,
                           uint64_t *ret_over_us);
void row_count_off(struct leases *l, struct row *row);
void row_drop(struct leases *l, uint32_t ref);
bool row_revoke(struct leases *l, const struct id *id, uint64_t now_us); /* was it live? */

#endif
