/*
 * Operators, recovery cards and the root key that they share: what waits in memory, and who changes
 * it.
 */
#ifndef KEEPER_OPERATORS_H
#define KEEPER_OPERATORS_H

#include "keys.h"
#include "wire/message.h"

struct keeper;
struct session;

/* Shares of an unlock that is not complete. */
struct given {
    struct id slot;
    uint8_t x;
    struct secret *share;
    struct secret *next_secret; /* of the hardware key, for the roll; NULL of a card */
};
struct quorum {
    uint64_t since_us; /* monotonic: when the first was given */
    size_t count;
    struct given given[LIMIT_SLOTS];
};

#define SESSIONS   16
#define CANDIDATES 8

/* The slot of a hardware key that was enrolled and waits for its operator.add. */
struct candidate {
    uint64_t since_us; /* monotonic; 0: none */
    struct slot slot;
};

/* Who approved an operation so far. */
#define APPROVALS 16
struct approval {
    uint64_t since_us; /* monotonic; 0: none */
    uint8_t operation[32];
    size_t count;
    uint8_t xs[LIMIT_SLOTS];
};

struct rekey;

/* A tenant that moves to a new seed. */
struct tenant_work {
    bool search; /* there may be one */
    bool moving;
    struct cell newer; /* seed of the one that moves */
    size_t cursor;
};

/* approval.c */
void approvals_drop(struct keeper *k);
void approvals_forget(struct keeper *k); /* enrolments that wait, too */
/* How many different operators or cards must approve an operation of this code. */
uint8_t approvals_need(const struct keeper *k, uint8_t code);
/* DENIED unless enough have. */
MUST_CHECK status approvals_check(struct keeper *k, uint8_t code,
                                  const uint8_t operation[static 32], struct err *e);
void approvals_consume(struct keeper *k, const uint8_t operation[static 32]);

/* enrol.c */
/* A slot for a hardware key: everything but its share and its x. */
MUST_CHECK status enrol_slot(const struct id *vault, const struct session *session,
                             const struct wire_enrolment *m, uint64_t now_us, struct slot *ret_slot,
                             struct err *e);
/* A new recovery card and its code, 32 bytes. */
MUST_CHECK status enrol_card(const struct id *vault, uint64_t now_us, struct slot *ret_slot,
                             struct secret **ret_code, struct err *e);
/* The slot of an enrolment that waits; NULL if there is none. */
const struct slot *enrol_candidate(struct keeper *k, const struct id *slot);
/* One hardware key is one slot: its credential would open two otherwise. */
bool enrol_known(const struct keeper *k, const struct slot *wanted);
/* All slots of the keyring; slots has room for LIMIT_SLOTS + 2. */
#define SLOTS_ROOM (LIMIT_SLOTS + 2)
size_t keeper_all_slots(const struct keeper *k, struct slot slots[static SLOTS_ROOM]);

/* rekey.c: the rotations, in slices; see keeper_work */
void rekey_look(struct keeper *k);             /* something may have been asked for */
void rekey_look_for_tenants(struct keeper *k); /* a tenant may have got a second seed */
bool rekey_ready(const struct keeper *k);
void rekey_abandon(struct keeper *k);
uint8_t rekey_asked(const struct keeper *k); /* enum rekey_what */
void rekey_progress(const struct keeper *k, uint32_t *ret_done, uint32_t *ret_total);
/* The cell that asks for a rotation of the root. */
enum { REKEY_DATABASE = 1 }; /* flag: a new database key too */
struct cell rekey_cell(const struct keeper *k, uint8_t quorum, uint64_t flags);

/* seed.c: a tenant's seed of an epoch, or with 0 the newest. NOT_FOUND without a reason. */
MUST_CHECK status seed_find(const struct keeper *k, const struct id *tenant, uint32_t epoch,
                            struct cell *ret_seed, struct err *e);

#endif
