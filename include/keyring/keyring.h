/*
 * The keyring file: the only place where deletion means something. Fixed-size cells (tenant
 * seeds, data keys, engagements, system keys) and slots, two alternating superblocks. It is
 * the latest state only and never part of a backup's history.
 *
 * A cell is never changed in place: the new cell is written and synced, then the old one is
 * overwritten with random bytes, synced, turned into a tombstone, synced. A crash at any of
 * these steps leaves the old or the new cell, never neither; opening finishes what was begun.
 * Destroying needs no key. Values are sealed; this module never sees one in the clear.
 *
 * One process at a time holds the file (flock). All functions: one thread. Beside it lies the
 * spare, `keyring.next`, open and locked as well and empty: see successor.h.
 */
#ifndef KEYRING_KEYRING_H
#define KEYRING_KEYRING_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "crypto/crypto.h"
#include "keyring/slot.h"

enum cell_type {
    CELL_EMPTY = 0,
    CELL_TENANT_SEED = 1, /* id = tenant, version from 1, epoch of the root */
    CELL_DATA_KEY = 2,    /* id = key, parent = tenant, engagement, version; epoch: of the seed */
    CELL_ENGAGEMENT = 3,  /* id = engagement, parent = tenant, due_us (0 while active); epoch:
                             seconds that were left when its purge was put on hold, else 0 */
    CELL_SYSTEM = 4,      /* id = purpose, see enum system_key */
    CELL_REKEY = 5,       /* one, id and version 0: a root rotation was begun */
    CELL_TOMBSTONE = 0xFE
};

#define CELL_SIZE 256

struct cell {
    uint8_t type;
    uint8_t was;    /* tombstone: the type it had */
    uint8_t reason; /* tombstone: enum destroy_reason */
    uint32_t epoch; /* of the wrapping key, or as the type says */
    struct id id;
    struct id parent;
    struct id engagement;
    uint32_t version;
    uint64_t created_us;
    uint64_t due_us;                 /* engagement: when its keys die; tombstone: when it died */
    uint8_t sealed[SEALED_KEY_SIZE]; /* zero for engagements, rekey and tombstones */
};

enum destroy_reason {
    DESTROY_REPLACED = 1, /* a newer cell took its place */
    DESTROY_REVOKED = 2,
    DESTROY_GRACE_OVER = 3,
    DESTROY_PURGED = 4,
    DESTROY_UNANSWERED = 5 /* its creation was never answered */
};

/* In clear in the superblock. */
struct keyring_info {
    struct id vault;
    char region[LIMIT_REGION + 1];
    uint32_t epoch;         /* root key epoch, from 1 */
    uint8_t k;              /* shares needed */
    uint8_t n;              /* shares dealt */
    uint8_t root_check[32]; /* EXP(root, "root-check"): proves a reconstructed root key */
    uint64_t created_us;
    uint64_t anchor_size; /* records in all logs when this superblock was written */
};

struct keyring;

/* A new keyring in directory dir (made 0700 if missing) holding info and the given slots and
 * cells, all MACed with mac_key and durable when it returns; left open and authenticated.
 * BAD_INPUT if it is given something that is not a slot or a cell.
 * CONFLICT if one exists, DENIED on a copy-on-write file system (btrfs, ZFS, bcachefs, f2fs,
 * overlay, network) unless allow_cow, IO. */
MUST_CHECK status keyring_create(const char *dir, bool allow_cow, const struct keyring_info *info,
                                 const struct slot *slots, size_t slot_count,
                                 const struct cell *cells, size_t cell_count,
                                 const struct secret *mac_key, struct keyring **ret_keyring,
                                 struct err *e);
/* Opens, locks the file, picks the newer intact superblock, finishes interrupted changes. Then
 * makes the spare if it is missing and wipes what an interrupted succession left in it.
 * NOT_FOUND if there is none, CONFLICT if another process has it, CORRUPT, DENIED, IO. */
MUST_CHECK status keyring_open(const char *dir, bool allow_cow, struct keyring **ret_keyring,
                               struct err *e);
void keyring_close(struct keyring *k);
void keyring_cleanup(struct keyring **k);

const struct keyring_info *keyring_info(const struct keyring *k);

/* Checks the superblock, every slot, every cell and tombstone against mac_key, which the
 * keyring then borrows until keyring_forget. CORRUPT if anything but a tombstone fails, or if
 * what lived at the last superblock was taken away, or what had died before it was put back.
 * Tombstones without a MAC (written while locked) are counted and listed by
 * keyring_next_unproven until keyring_prove accepts them. */
MUST_CHECK status keyring_authenticate(struct keyring *k, const struct secret *mac_key,
                                       struct err *e);
void keyring_forget(struct keyring *k);
bool keyring_next_unproven(const struct keyring *k, size_t *cursor, struct cell *ret_cell);
/* MACs the unproven tombstone of (was, id, version). NOT_FOUND. Durable at the next commit. */
MUST_CHECK status keyring_prove(struct keyring *k, uint8_t was, const struct id *id,
                                uint32_t version, struct err *e);

/* Places whose content was lost to a write that never finished, and which nothing alive at the
 * last superblock is missing. A number that grows is an alarm. */
size_t keyring_scars(const struct keyring *k);

/* Slots. find: by id. */
bool keyring_next_slot(const struct keyring *k, size_t *cursor, struct slot *ret_slot);
MUST_CHECK status keyring_slot(const struct keyring *k, const struct id *id, struct slot *ret_slot,
                               struct err *e);
/* Adds or, for the same id, replaces a slot: new durable before old is destroyed. Needs
 * keyring_authenticate. LIMIT if all are taken. */
MUST_CHECK status keyring_put_slot(struct keyring *k, const struct slot *slot, struct err *e);
/* Ends a slot; durable. NOT_FOUND. Needs keyring_authenticate. */
MUST_CHECK status keyring_destroy_slot(struct keyring *k, const struct id *id, struct err *e);

/* Cells. Reads see staged changes. NOT_FOUND; CORRUPT if authenticated and the MAC is wrong. */
MUST_CHECK status keyring_cell(const struct keyring *k, uint8_t type, const struct id *id,
                               uint32_t version, struct cell *ret_cell, struct err *e);
uint64_t keyring_edition(const struct keyring *k); /* as long as it is the same, so are cells */
/* All live cells in file order; start with *cursor = 0. */
bool keyring_next(const struct keyring *k, size_t *cursor, struct cell *ret_cell);
size_t keyring_count(const struct keyring *k, uint8_t type);

/*
 * Changes are staged and then made durable together by one commit, which does in order:
 *   1 write all new cells          2 sync
 *   3 overwrite old and destroyed  4 sync    5 write their tombstones   6 sync
 * (steps without work are skipped). put replaces a live cell of the same (type, id, version)
 * and needs keyring_authenticate; destroy does not. An abort forgets what is staged.
 * A failed write or sync is IO and final: the keyring refuses further use; never retry.
 * put is LIMIT, with nothing changed and the keyring still usable, if the disk has no room.
 * An iteration that cannot read a cell ends early and makes the keyring refuse further use.
 */
MUST_CHECK status keyring_put(struct keyring *k, const struct cell *cell, struct err *e);
MUST_CHECK status keyring_destroy(struct keyring *k, uint8_t type, const struct id *id,
                                  uint32_t version, uint8_t reason, uint64_t time_us,
                                  struct err *e);
MUST_CHECK status keyring_commit(struct keyring *k, struct err *e);
void keyring_abort(struct keyring *k);

/* Writes the other superblock with a new anchor; durable. Needs keyring_authenticate. */
MUST_CHECK status keyring_anchor(struct keyring *k, uint64_t records, struct err *e);

/* DENIED with the reason if dir is on a copy-on-write, overlay or network file system. */
MUST_CHECK status keyring_ground_check(const char *dir, struct err *e);

#endif
