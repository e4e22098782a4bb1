/*
 * A cell as bytes, and what memory keeps of the place that it is in.
 *
 * A place is a numbered position of the file. Every checksum and MAC covers the number, so content
 * cannot be moved.
 */
#ifndef KEYRING_CELL_H
#define KEYRING_CELL_H

#include "keyring/keyring.h"

#define CELL_TYPES 6                 /* CELL_EMPTY to CELL_REKEY */
#define SEQ_MAX    (UINT64_MAX >> 2) /* more is damage: leaves room to count on */
#define TAG_SIZE   16

/* On disk only. DYING: identity in clear, value already random. SCAR: content was lost. */
enum { CELL_SCAR = 0xFC, CELL_DYING = 0xFD };

enum place_kind {
    PLACE_EMPTY,
    PLACE_LIVE,
    PLACE_TOMBSTONE,
    PLACE_DYING,   /* destruction began */
    PLACE_DAMAGED, /* fails its checksum */
    PLACE_SCAR
};

enum place_stage {
    STAGE_NONE,
    STAGE_BIRTH, /* a new cell waits in births */
    STAGE_DEATH, /* live in the file, no longer for the caller */
    STAGE_PROOF  /* tombstone waits for its MAC */
};

/* One cell place in memory: what the file holds, not what is staged. */
struct place {
    uint64_t seq;          /* live: of the cell; tombstone: of the destruction */
    uint64_t victim_seq;   /* tombstone: of the cell that died */
    uint8_t tag[TAG_SIZE]; /* start of the MAC of the live cell, or of the one that died */
    uint32_t hash;         /* live: of the identity */
    uint32_t staged;       /* position in births or changes */
    uint8_t kind;
    uint8_t type; /* live: of the cell */
    uint8_t stage;
    bool proven; /* tombstone: has a MAC, checked if authenticated */
};

bool keyring_cell_type_lives(uint8_t type);
void keyring_cell_encode(const struct cell *cell, uint64_t seq, uint8_t out[CELL_SIZE]);
void keyring_cell_decode(const uint8_t bytes[CELL_SIZE], struct cell *ret_cell);
/* Turns the bytes of a live cell into those of its tombstone, as yet without seq and checksum. */
void keyring_cell_kill(uint8_t bytes[CELL_SIZE], uint8_t reason, uint64_t time_us);
void keyring_cell_set_reason(uint8_t bytes[CELL_SIZE], uint8_t reason, uint64_t time_us);
void keyring_cell_set_seq(uint8_t bytes[CELL_SIZE], uint64_t seq);
/* The dying form of a tombstone: the same identity, random wherever the value and its MAC were. */
void keyring_cell_dying(uint32_t place, const uint8_t tombstone[CELL_SIZE], uint8_t out[CELL_SIZE]);
void keyring_cell_revive(uint8_t bytes[CELL_SIZE]); /* dying to tombstone */
void keyring_cell_scar(uint64_t seq, uint8_t out[CELL_SIZE]);
/* Writes the checksum, and the MAC if there is a key (else zeros). */
MUST_CHECK status keyring_cell_finish(const struct keyring *k, uint32_t place,
                                      uint8_t bytes[CELL_SIZE], struct err *e);
/* OK, or CORRUPT if the MAC is wrong. */
MUST_CHECK status keyring_cell_check(const struct keyring *k, uint32_t place,
                                     const uint8_t bytes[CELL_SIZE], struct err *e);
/* Fills kind, type, seq, victim_seq, tag and proven (a MAC is there). */
void keyring_cell_inspect(uint32_t place, const uint8_t bytes[CELL_SIZE], struct place *ret_place);
bool keyring_cell_is(const uint8_t bytes[CELL_SIZE], uint8_t type, const struct id *id,
                     uint32_t version);
uint64_t keyring_cell_at(uint32_t place);

#endif
