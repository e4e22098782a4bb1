/*
 * One cell as bytes, 256 of them, big-endian:
 *
 *     0 type   1 was   2 reason   3 format   4 epoch   8 id   24 parent   40 engagement
 *    56 version   60 zero   64 created   72 due   80 seq   88 sealed value (120)
 *   208 checksum: SHA-256(place | 0..207), first 16   224 MAC over 0..223, or zeros
 *
 * A tombstone has, in the room of the value, 88 seq of the cell that died and 96 the start of its
 * MAC, so that the superblock's digest of an earlier state can still be checked. A dying cell is
 * its tombstone with random bytes in 112..207 and for the MAC: one write, within one sector, that
 * both ends the value and says whose it was.
 */
#include "internal.h"

#include <string.h>

#define CELL_FORMAT 1

enum {
    AT_WAS = 1,
    AT_REASON = 2,
    AT_FORMAT = 3,
    AT_ZERO = 60,
    AT_DUE = 72,
    AT_SEQ = 80,
    AT_SEALED = 88,
    AT_VICTIM_TAG = 96,
    AT_RANDOM = 112,
    AT_CHECKSUM = 208,
    AT_MAC = 224
};

#define CHECKSUM_SIZE (AT_MAC - AT_CHECKSUM)

_Static_assert(AT_CHECKSUM - AT_SEALED == SEALED_KEY_SIZE, "the value fills its room");
_Static_assert(AT_MAC + MAC_SIZE == CELL_SIZE, "a cell is full");
_Static_assert(AT_RANDOM - AT_VICTIM_TAG == TAG_SIZE, "the tag fills its room");
_Static_assert(512 % CELL_SIZE == 0 && CELLS_AT % 4096 == 0, "no cell crosses a sector");

static const uint8_t zeros[CELL_SIZE];

static void put_bytes(uint8_t *bytes, size_t at, struct span from)
{
    struct out o;

    out_init(&o, bytes + at, CELL_SIZE - at);
    out_raw(&o, from);
}

static void put_u64(uint8_t *bytes, size_t at, uint64_t v)
{
    struct out o;

    out_init(&o, bytes + at, CELL_SIZE - at);
    out_u64(&o, v);
}

static uint64_t get_u64(const uint8_t *bytes, size_t at)
{
    struct in in = in_of(span_of(bytes + at, CELL_SIZE - at));

    return in_u64(&in);
}

void keyring_cell_encode(const struct cell *cell, uint64_t seq, uint8_t out[CELL_SIZE])
{
    struct out o;

    out_init(&o, out, CELL_SIZE);
    out_u8(&o, cell->type);
    out_u8(&o, cell->was);
    out_u8(&o, cell->reason);
    out_u8(&o, CELL_FORMAT);
    out_u32(&o, cell->epoch);
    out_id(&o, &cell->id);
    out_id(&o, &cell->parent);
    out_id(&o, &cell->engagement);
    out_u32(&o, cell->version);
    out_u32(&o, 0);
    out_u64(&o, cell->created_us);
    out_u64(&o, cell->due_us);
    out_u64(&o, seq);
    out_raw(&o, SPAN(cell->sealed));
    out_raw(&o, span_of(zeros, CELL_SIZE - AT_CHECKSUM));
}

void keyring_cell_decode(const uint8_t bytes[CELL_SIZE], struct cell *ret_cell)
{
    struct in in = in_of(span_of(bytes, CELL_SIZE));
    struct cell cell = { .type = in_u8(&in), .was = in_u8(&in) };

    cell.reason = in_u8(&in);
    (void)in_u8(&in);
    cell.epoch = in_u32(&in);
    cell.id = in_id(&in);
    cell.parent = in_id(&in);
    cell.engagement = in_id(&in);
    cell.version = in_u32(&in);
    (void)in_u32(&in);
    cell.created_us = in_u64(&in);
    cell.due_us = in_u64(&in);
    (void)in_u64(&in);
    if (cell.type != CELL_TOMBSTONE)
        in_copy(&in, cell.sealed, sizeof(cell.sealed));
    *ret_cell = cell;
}

void keyring_cell_set_reason(uint8_t bytes[CELL_SIZE], uint8_t reason, uint64_t time_us)
{
    bytes[AT_REASON] = reason;
    put_u64(bytes, AT_DUE, time_us);
}

void keyring_cell_kill(uint8_t bytes[CELL_SIZE], uint8_t reason, uint64_t time_us)
{
    bytes[AT_WAS] = bytes[0];
    bytes[0] = CELL_TOMBSTONE;
    keyring_cell_set_reason(bytes, reason, time_us);
    put_u64(bytes, AT_SEALED, get_u64(bytes, AT_SEQ));
    put_bytes(bytes, AT_VICTIM_TAG, span_of(bytes + AT_MAC, TAG_SIZE));
    put_bytes(bytes, AT_RANDOM, span_of(zeros, CELL_SIZE - AT_RANDOM));
}

void keyring_cell_set_seq(uint8_t bytes[CELL_SIZE], uint64_t seq)
{
    put_u64(bytes, AT_SEQ, seq);
}

static void checksum(uint32_t place, const uint8_t *bytes, uint8_t out[CHECKSUM_SIZE])
{
    uint8_t number[4], hash[SHA256_SIZE];
    struct out o;

    out_init(&o, number, sizeof(number));
    out_u32(&o, place);
    sha256_two(SPAN(number), span_of(bytes, AT_CHECKSUM), hash);
    memcpy(out, hash, CHECKSUM_SIZE);
}

void keyring_cell_dying(uint32_t place, const uint8_t tombstone[CELL_SIZE], uint8_t out[CELL_SIZE])
{
    memcpy(out, tombstone, AT_RANDOM);
    out[0] = CELL_DYING;
    random_bytes((struct mspan){ .p = out + AT_RANDOM, .n = CELL_SIZE - AT_RANDOM });
    checksum(place, out, out + AT_CHECKSUM);
}

void keyring_cell_revive(uint8_t bytes[CELL_SIZE])
{
    bytes[0] = CELL_TOMBSTONE;
    put_bytes(bytes, AT_RANDOM, span_of(zeros, CELL_SIZE - AT_RANDOM));
}

void keyring_cell_scar(uint64_t seq, uint8_t out[CELL_SIZE])
{
    struct cell scar = { .type = CELL_SCAR };

    keyring_cell_encode(&scar, seq, out);
}

static status mac(const struct keyring *k, uint32_t place, const uint8_t *bytes,
                  uint8_t out[MAC_SIZE], struct err *e)
{
    struct label l;

    label_init(&l, "keyring-cell");
    label_id(&l, &k->super.info.vault);
    label_u32(&l, place);
    return crypto_mac(secret_view(k->mac_key), &l, span_of(bytes, AT_MAC), out, e);
}

status keyring_cell_finish(const struct keyring *k, uint32_t place, uint8_t bytes[CELL_SIZE],
                           struct err *e)
{
    checksum(place, bytes, bytes + AT_CHECKSUM);
    put_bytes(bytes, AT_MAC, span_of(zeros, MAC_SIZE));
    return k->mac_key == NULL ? OK : mac(k, place, bytes, bytes + AT_MAC, e);
}

status keyring_cell_check(const struct keyring *k, uint32_t place, const uint8_t bytes[CELL_SIZE],
                          struct err *e)
{
    uint8_t want[MAC_SIZE];
    status st = mac(k, place, bytes, want, e);

    if (st != OK)
        return st;
    return secret_equal(SPAN(want), span_of(bytes + AT_MAC, MAC_SIZE))
               ? OK
               : fail(e, CORRUPT, "the MAC of a cell is wrong", place);
}

bool keyring_cell_type_lives(uint8_t type)
{
    return type > CELL_EMPTY && type < CELL_TYPES;
}

void keyring_cell_inspect(uint32_t place, const uint8_t bytes[CELL_SIZE], struct place *ret_place)
{
    struct place p = { .kind = PLACE_DAMAGED };
    uint8_t sum[CHECKSUM_SIZE];

    if (span_same(span_of(bytes, CELL_SIZE), SPAN(zeros))) {
        *ret_place = (struct place){ .kind = PLACE_EMPTY };
        return;
    }
    checksum(place, bytes, sum);
    p.seq = get_u64(bytes, AT_SEQ);
    p.proven = !span_same(span_of(bytes + AT_MAC, MAC_SIZE), span_of(zeros, MAC_SIZE));
    if (!span_same(SPAN(sum), span_of(bytes + AT_CHECKSUM, CHECKSUM_SIZE)) ||
        bytes[AT_FORMAT] != CELL_FORMAT || p.seq == 0 || p.seq > SEQ_MAX) {
        p.seq = 0;
    } else if (keyring_cell_type_lives(bytes[0])) {
        p.kind = PLACE_LIVE;
        p.type = bytes[0];
        memcpy(p.tag, bytes + AT_MAC, TAG_SIZE);
    } else if (bytes[0] == CELL_SCAR) {
        p.kind = PLACE_SCAR;
    } else if ((bytes[0] == CELL_TOMBSTONE || bytes[0] == CELL_DYING) &&
               keyring_cell_type_lives(bytes[AT_WAS])) {
        p.kind = bytes[0] == CELL_DYING ? PLACE_DYING : PLACE_TOMBSTONE;
        p.victim_seq = get_u64(bytes, AT_SEALED);
        memcpy(p.tag, bytes + AT_VICTIM_TAG, TAG_SIZE);
    }
    *ret_place = p;
}

bool keyring_cell_is(const uint8_t bytes[CELL_SIZE], uint8_t type, const struct id *id,
                     uint32_t version)
{
    struct cell cell;

    keyring_cell_decode(bytes, &cell);
    return (cell.type == CELL_TOMBSTONE ? cell.was : cell.type) == type && id_same(&cell.id, id) &&
           cell.version == version;
}

uint64_t keyring_cell_at(uint32_t place)
{
    return CELLS_AT + (uint64_t)place * CELL_SIZE;
}
