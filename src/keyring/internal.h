/*
 * What the files of this module share: the layout of the file and the keyring in memory.
 *
 *   two superblocks | slot places | cell places (whole chunks)
 *
 * For the bytes of each see super.c, slot.c and cell.c.
 */
#ifndef KEYRING_INTERNAL_H
#define KEYRING_INTERNAL_H

#include "cell.h"
#include "disk.h"
#include "keyring/keyring.h"

#define KEYRING_FILE "keyring"
#define SPARE_FILE   "keyring.next"

#define SUPER_SIZE      4096
#define SUPER_COPIES    2
#define SLOT_PLACES     (LIMIT_SLOTS + 2) /* two to spare: a full table can still roll */
#define SLOTS_AT        ((uint64_t)SUPER_COPIES * SUPER_SIZE)
#define CELLS_AT        (SLOTS_AT + (uint64_t)SLOT_PLACES * SLOT_SIZE)
#define CELL_CHUNK      1024 /* the file grows by that many */
#define CELL_PLACES_MAX ((uint32_t)1 << 22)

struct birth {
    uint32_t place;
    uint32_t hash;
    uint8_t bytes[CELL_SIZE];
};

/* A tombstone to come: of a live cell, or the same again with a MAC. */
struct change {
    uint32_t place;
    uint8_t bytes[CELL_SIZE];
};

struct super {
    struct keyring_info info;
    uint64_t generation;
    uint32_t places;   /* the file is at least this long */
    uint32_t live;     /* cells alive at cell_seq */
    uint64_t cell_seq; /* digest is over the cells alive after this change */
    uint8_t digest[SHA256_SIZE];
    uint64_t slot_seq;
    uint64_t slots[SLOT_PLACES]; /* seq of the slot in each place, 0: none */
};

struct keyring {
    struct disk *disk; /* apart, so that a failed read through a const keyring is final too */
    const struct secret *mac_key; /* borrowed; NULL while locked */

    int dir_fd;             /* of the two names; -1 in a successor */
    struct disk *spare;     /* the other file, empty; NULL while a successor has it for its disk */
    struct keyring *origin; /* successor: the keyring whose place it is to take */
    uint64_t keep_seq;      /* tombstones after this are kept: a successor has to hear of them */

    struct super super;
    unsigned super_copy; /* that super was read from or written to */
    uint64_t reuse_seq;  /* tombstones up to here are in no superblock's digest */

    struct slot slots[SLOT_PLACES];
    uint64_t slot_seqs[SLOT_PLACES];
    uint8_t slot_kinds[SLOT_PLACES]; /* enum place_kind */
    uint64_t slot_seq;

    struct place *places;
    uint32_t place_count;
    uint32_t place_cap;
    uint32_t empty_from;       /* no empty place before */
    uint32_t reuse_from;       /* no reusable tombstone before */
    size_t counts[CELL_TYPES]; /* as the caller sees them */
    size_t scars;

    uint32_t *index; /* 1 + place, 0: free */
    uint32_t index_cap;
    uint32_t index_count;
    uint64_t index_seed;

    uint64_t edition;     /* what is read may differ from what was read at another one */
    uint64_t seq;         /* last given out */
    uint64_t durable_seq; /* last that a finished commit used */
    struct birth *births;
    size_t birth_count;
    size_t birth_cap;
    struct change *deaths;
    size_t death_count;
    size_t death_cap;
    struct change *proofs;
    size_t proof_count;
    size_t proof_cap;
};

/* keyring.c: memory, and its end with all that it holds open. */
MUST_CHECK status keyring_new(struct keyring **ret_keyring, struct err *e);
void keyring_free(struct keyring *k);

/* index.c: identities to places. Holds what the caller sees, staged changes included. */
uint32_t keyring_index_hash(const struct keyring *k, uint8_t type, const struct id *id,
                            uint32_t version);
MUST_CHECK status keyring_index_reserve(struct keyring *k, uint32_t more, struct err *e);
void keyring_index_add(struct keyring *k, uint32_t place, uint32_t hash);
void keyring_index_remove(struct keyring *k, uint32_t place, uint32_t hash);
/* NOT_FOUND without a reason, as callers often ask on purpose. */
MUST_CHECK status keyring_index_find(const struct keyring *k, uint8_t type, const struct id *id,
                                     uint32_t version, uint32_t *ret_place,
                                     uint8_t ret_bytes[CELL_SIZE], struct err *e);

/* place.c: the cell places. */
/* Reads a place as the caller sees it and checks that it is what memory knows. */
MUST_CHECK status keyring_place_load(const struct keyring *k, uint32_t place,
                                     uint8_t ret_bytes[CELL_SIZE], struct err *e);
/* Room for so many places in an empty file. */
MUST_CHECK status keyring_place_begin(struct keyring *k, uint32_t count, struct err *e);
MUST_CHECK status keyring_place_take(struct keyring *k, uint32_t *ret_place, struct err *e);
MUST_CHECK status keyring_place_scan(struct keyring *k, struct err *e);
MUST_CHECK status keyring_place_authenticate(struct keyring *k, struct err *e);
/* Scars what was damaged, proves the tombstones that a living successor explains. */
MUST_CHECK status keyring_place_settle(struct keyring *k, struct err *e);

/* slot.c */
MUST_CHECK status keyring_slot_scan(struct keyring *k, struct err *e);
MUST_CHECK status keyring_slot_authenticate(struct keyring *k, struct err *e);
MUST_CHECK status keyring_slot_settle(struct keyring *k, struct err *e);
/* The slots of a keyring that has none, not yet synced. BAD_INPUT, LIMIT, IO. */
MUST_CHECK status keyring_slot_write_all(struct keyring *k, const struct slot *slots, size_t count,
                                         struct err *e);

/* super.c */
MUST_CHECK status keyring_super_read(struct keyring *k, struct err *e);
MUST_CHECK status keyring_super_authenticate(const struct keyring *k, struct err *e);
/* The same superblock with today's state, into the other copy; durable. */
MUST_CHECK status keyring_super_write(struct keyring *k, uint64_t anchor_size, struct err *e);
void keyring_super_digest(const struct keyring *k, uint64_t seq, uint8_t ret[SHA256_SIZE],
                          uint32_t *ret_live);

/* commit.c */
MUST_CHECK status keyring_stage_death(struct keyring *k, uint32_t place,
                                      const uint8_t live[CELL_SIZE], uint8_t reason,
                                      uint64_t time_us, struct err *e);
/* Refuses a keyring that failed before: IO. */
MUST_CHECK status keyring_usable(const struct keyring *k, struct err *e);

#endif
