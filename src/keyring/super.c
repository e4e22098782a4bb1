/*
 * The superblock: what the vault is, and the state that was anchored. Two copies alternate, so
 * a torn write leaves the one before. The checksum tells torn from whole without a key; the MAC
 * tells ours from forged.
 *
 * The digest is over (place, seq, tag) of every cell alive after change cell_seq. A later state
 * still contains what is needed to compute it again: cells that lived then are alive, or are
 * tombstones that carry seq and tag, and such tombstones are not reused before both superblocks
 * have moved on. So a cell copied back, taken away or zeroed behind our back changes the digest,
 * whatever its own MAC says. For slots, few as they are, the superblock just lists them.
 */
#include "internal.h"

#include <string.h>

#define SUPER_VERSION 1
#define AT_MAC        (SUPER_SIZE - SHA256_SIZE - MAC_SIZE)
#define AT_CHECKSUM   (SUPER_SIZE - SHA256_SIZE)
#define DIGEST_GROUP  64
#define DIGEST_ENTRY  (4 + 8 + TAG_SIZE)

static const char magic[8] = "SRKEYRNG"; /* no NUL: all eight bytes are used */

static void encode_info(struct out *o, const struct keyring_info *info)
{
    out_id(o, &info->vault);
    out_raw(o, SPAN(info->region));
    out_u32(o, info->epoch);
    out_u8(o, info->k);
    out_u8(o, info->n);
    out_raw(o, SPAN(info->root_check));
    out_u64(o, info->created_us);
    out_u64(o, info->anchor_size);
}

static void decode_info(struct in *in, struct keyring_info *info)
{
    info->vault = in_id(in);
    in_copy(in, (uint8_t *)info->region, sizeof(info->region));
    info->epoch = in_u32(in);
    info->k = in_u8(in);
    info->n = in_u8(in);
    in_copy(in, info->root_check, sizeof(info->root_check));
    info->created_us = in_u64(in);
    info->anchor_size = in_u64(in);
}

/* Everything but MAC and checksum; bytes are zero before. */
static void encode(const struct super *s, uint8_t bytes[SUPER_SIZE])
{
    struct out o;

    out_init(&o, bytes, AT_MAC);
    out_raw(&o, SPAN(magic));
    out_u16(&o, SUPER_VERSION);
    out_u64(&o, s->generation);
    encode_info(&o, &s->info);
    out_u32(&o, s->places);
    out_u32(&o, s->live);
    out_u64(&o, s->cell_seq);
    out_raw(&o, SPAN(s->digest));
    out_u64(&o, s->slot_seq);
    for (size_t i = 0; i < SLOT_PLACES; i++)
        out_u64(&o, s->slots[i]);
}

static bool decode(const uint8_t bytes[SUPER_SIZE], struct super *ret_super)
{
    struct in in = in_of(span_of(bytes, AT_MAC));
    struct span head = in_raw(&in, sizeof(magic));
    struct super s = { .generation = 0 };
    uint8_t sum[SHA256_SIZE];

    sha256(span_of(bytes, AT_CHECKSUM), sum);
    if (!span_same(head, SPAN(magic)) || in_u16(&in) != SUPER_VERSION ||
        !span_same(SPAN(sum), span_of(bytes + AT_CHECKSUM, SHA256_SIZE)))
        return false;
    s.generation = in_u64(&in);
    decode_info(&in, &s.info);
    s.places = in_u32(&in);
    s.live = in_u32(&in);
    s.cell_seq = in_u64(&in);
    in_copy(&in, s.digest, sizeof(s.digest));
    s.slot_seq = in_u64(&in);
    for (size_t i = 0; i < SLOT_PLACES; i++)
        s.slots[i] = in_u64(&in);
    if (in.bad || s.info.region[LIMIT_REGION] != '\0' || s.places > CELL_PLACES_MAX ||
        s.generation > SEQ_MAX || s.cell_seq > SEQ_MAX || s.slot_seq > SEQ_MAX)
        return false;
    *ret_super = s;
    return true;
}

static status mac(const struct keyring *k, const struct id *vault, const uint8_t *bytes,
                  uint8_t out[MAC_SIZE], struct err *e)
{
    struct label l;

    label_init(&l, "keyring-super");
    label_id(&l, vault);
    return crypto_mac(secret_view(k->mac_key), &l, span_of(bytes, AT_MAC), out, e);
}

status keyring_super_read(struct keyring *k, struct err *e)
{
    bool found = false;

    for (unsigned copy = 0; copy < SUPER_COPIES; copy++) {
        uint8_t bytes[SUPER_SIZE];
        struct super s;
        status st = keyring_disk_read(k->disk, (uint64_t)copy * SUPER_SIZE,
                                      (struct mspan){ .p = bytes, .n = SUPER_SIZE }, e);

        if (st != OK)
            return st;
        if (!decode(bytes, &s))
            continue;
        if (!found || s.cell_seq < k->reuse_seq)
            k->reuse_seq = s.cell_seq;
        if (!found || s.generation > k->super.generation) {
            k->super = s;
            k->super_copy = copy;
        }
        found = true;
    }
    return found ? OK : fail(e, CORRUPT, "no superblock is intact", 0);
}

status keyring_super_authenticate(const struct keyring *k, struct err *e)
{
    uint8_t bytes[SUPER_SIZE], want[MAC_SIZE];
    struct super s;
    status st = keyring_disk_read(k->disk, (uint64_t)k->super_copy * SUPER_SIZE,
                                  (struct mspan){ .p = bytes, .n = SUPER_SIZE }, e);

    if (st == OK)
        st = mac(k, &k->super.info.vault, bytes, want, e);
    if (st != OK)
        return st;
    if (!secret_equal(SPAN(want), span_of(bytes + AT_MAC, MAC_SIZE)))
        return fail(e, CORRUPT, "the MAC of the superblock is wrong", 0);
    /* What was read at open is used: it must be what was checked just now. */
    if (!decode(bytes, &s) || s.generation != k->super.generation)
        return fail(e, CORRUPT, "the superblock changed", 0);
    return OK;
}

status keyring_super_write(struct keyring *k, uint64_t anchor_size, struct err *e)
{
    unsigned copy = (k->super_copy + 1) % SUPER_COPIES;
    uint8_t bytes[SUPER_SIZE] = { 0 };
    struct super s = k->super;
    status st;

    s.generation++;
    s.info.anchor_size = anchor_size;
    s.places = k->place_count;
    s.cell_seq = k->durable_seq;
    s.slot_seq = k->slot_seq;
    for (size_t i = 0; i < SLOT_PLACES; i++)
        s.slots[i] = k->slot_kinds[i] == PLACE_LIVE ? k->slot_seqs[i] : 0;
    keyring_super_digest(k, s.cell_seq, s.digest, &s.live);
    encode(&s, bytes);
    st = mac(k, &s.info.vault, bytes, bytes + AT_MAC, e);
    if (st != OK)
        return st;
    sha256(span_of(bytes, AT_CHECKSUM), bytes + AT_CHECKSUM);
    st = keyring_disk_write(k->disk, (uint64_t)copy * SUPER_SIZE, SPAN(bytes), e);
    if (st == OK)
        st = keyring_disk_sync(k->disk, e);
    if (st != OK)
        return st;
    k->reuse_seq = k->super.cell_seq; /* the other copy still has that digest */
    k->reuse_from = 0;
    k->super = s;
    k->super_copy = copy;
    return OK;
}

/* The seq of the cell that lived in the place after change seq; 0 if none did. */
static uint64_t alive_at(const struct place *p, uint64_t seq)
{
    if (p->kind == PLACE_LIVE)
        return p->seq <= seq ? p->seq : 0;
    if (p->kind == PLACE_TOMBSTONE && p->seq > seq && p->victim_seq <= seq)
        return p->victim_seq;
    return 0;
}

void keyring_super_digest(const struct keyring *k, uint64_t seq, uint8_t ret[SHA256_SIZE],
                          uint32_t *ret_live)
{
    uint8_t group[DIGEST_GROUP * DIGEST_ENTRY], digest[SHA256_SIZE] = { 0 };
    uint32_t live = 0;
    struct out o;

    /* Groups without a cell are left out: room added at the end changes nothing. */
    for (uint32_t first = 0; first < k->place_count; first += DIGEST_GROUP) {
        out_init(&o, group, sizeof(group));
        for (uint32_t i = first; i < first + DIGEST_GROUP && i < k->place_count; i++) {
            uint64_t cell = alive_at(&k->places[i], seq);

            if (cell == 0)
                continue;
            live++;
            out_u32(&o, i);
            out_u64(&o, cell);
            out_raw(&o, SPAN(k->places[i].tag));
        }
        if (o.n > 0)
            sha256_two(SPAN(digest), span_of(group, o.n), digest);
    }
    memcpy(ret, digest, SHA256_SIZE);
    *ret_live = live;
}
