/*
 * Slots: 2048 bytes each, big-endian, field after field, then zeros, then
 *
 *   1984 checksum: SHA-256(place | 0..1983)    2016 MAC over 0..2015
 *
 * A slot is several sectors, so its end is marked first: the first sector becomes a notice of
 * its own (state dying, own checksum at 480), synced; then the rest is overwritten, synced, and
 * zeroed, synced; then the first sector is zeroed. Whatever a crash leaves is either whole,
 * under notice, or was never finished, and a place in which the superblock lists a slot is not
 * written to before the superblock has moved on. So what is damaged without being listed is
 * debris, and what is damaged and listed is damage.
 */
#include "internal.h"

#include <string.h>

#define SLOT_FORMAT 2
#define SECTOR      512

enum { STATE_LIVE = 1, STATE_DYING = 2 };
enum {
    AT_SEQ = 2,
    AT_NOTICE_CHECKSUM = SECTOR - SHA256_SIZE,
    AT_CHECKSUM = SLOT_SIZE - MAC_SIZE - SHA256_SIZE,
    AT_MAC = SLOT_SIZE - MAC_SIZE
};

_Static_assert(SLOTS_AT % SECTOR == 0 && SLOT_SIZE % SECTOR == 0, "a slot is whole sectors");

static const uint8_t zeros[SLOT_SIZE];

static uint64_t slot_at(unsigned place)
{
    return SLOTS_AT + (uint64_t)place * SLOT_SIZE;
}

static void encode(const struct slot *s, uint64_t seq, uint8_t bytes[SLOT_SIZE])
{
    struct out o;

    out_init(&o, bytes, AT_CHECKSUM);
    out_u8(&o, STATE_LIVE);
    out_u8(&o, SLOT_FORMAT);
    out_u64(&o, seq);
    out_id(&o, &s->id);
    out_u8(&o, s->kind);
    out_u8(&o, s->user_verification);
    out_u8(&o, s->x);
    out_u8(&o, s->used);
    out_u32(&o, s->generation);
    out_u32(&o, s->epoch);
    out_raw(&o, span_text(s->label));
    out_raw(&o, span_of(zeros, sizeof(s->label) - strlen(s->label)));
    out_raw(&o, SPAN(s->aaguid));
    out_u16(&o, s->credential_id_length);
    out_raw(&o, span_of(s->credential_id, s->credential_id_length));
    out_raw(&o, span_of(zeros, sizeof(s->credential_id) - s->credential_id_length));
    out_raw(&o, SPAN(s->cose_public));
    out_raw(&o, SPAN(s->salt));
    out_raw(&o, SPAN(s->salt_next));
    out_raw(&o, SPAN(s->public_key));
    out_raw(&o, SPAN(s->sealed_private));
    out_raw(&o, SPAN(s->sealed_share));
    out_u64(&o, s->created_us);
}

static bool valid(const struct slot *s)
{
    return (s->kind == SLOT_FIDO2 || s->kind == SLOT_RECOVERY) && !id_is_zero(&s->id) &&
           s->x != 0 && s->used <= 1 && s->credential_id_length <= LIMIT_CREDENTIAL_ID &&
           s->label[SLOT_LABEL] == '\0';
}

static bool decode(const uint8_t bytes[SLOT_SIZE], uint64_t *ret_seq, struct slot *ret_slot)
{
    struct in in = in_of(span_of(bytes, AT_CHECKSUM));
    struct slot s = { .kind = SLOT_NONE };
    uint64_t seq;

    if (in_u8(&in) != STATE_LIVE || in_u8(&in) != SLOT_FORMAT)
        return false;
    seq = in_u64(&in);
    s.id = in_id(&in);
    s.kind = in_u8(&in);
    s.user_verification = in_u8(&in);
    s.x = in_u8(&in);
    s.used = in_u8(&in);
    s.generation = in_u32(&in);
    s.epoch = in_u32(&in);
    in_copy(&in, (uint8_t *)s.label, sizeof(s.label));
    in_copy(&in, s.aaguid, sizeof(s.aaguid));
    s.credential_id_length = in_u16(&in);
    in_copy(&in, s.credential_id, sizeof(s.credential_id));
    in_copy(&in, s.cose_public, sizeof(s.cose_public));
    in_copy(&in, s.salt, sizeof(s.salt));
    in_copy(&in, s.salt_next, sizeof(s.salt_next));
    in_copy(&in, s.public_key, sizeof(s.public_key));
    in_copy(&in, s.sealed_private, sizeof(s.sealed_private));
    in_copy(&in, s.sealed_share, sizeof(s.sealed_share));
    s.created_us = in_u64(&in);
    if (in.bad || !valid(&s) || seq == 0 || seq > SEQ_MAX)
        return false;
    *ret_seq = seq;
    *ret_slot = s;
    return true;
}

static void checksum(unsigned place, const uint8_t *bytes, size_t n, uint8_t out[SHA256_SIZE])
{
    uint8_t number[4];
    struct out o;

    out_init(&o, number, sizeof(number));
    out_u32(&o, place);
    sha256_two(SPAN(number), span_of(bytes, n), out);
}

static bool checksum_is(unsigned place, const uint8_t *bytes, size_t n)
{
    uint8_t sum[SHA256_SIZE];

    checksum(place, bytes, n, sum);
    return span_same(SPAN(sum), span_of(bytes + n, SHA256_SIZE));
}

static status mac(const struct keyring *k, unsigned place, const uint8_t *bytes,
                  uint8_t out[MAC_SIZE], struct err *e)
{
    struct label l;

    label_init(&l, "keyring-slot");
    label_id(&l, &k->super.info.vault);
    label_u32(&l, place);
    return crypto_mac(secret_view(k->mac_key), &l, span_of(bytes, AT_MAC), out, e);
}

/* Not yet synced. */
static status write_slot(struct keyring *k, unsigned place, const struct slot *slot, struct err *e)
{
    uint8_t bytes[SLOT_SIZE] = { 0 };
    uint64_t seq = k->slot_seq + 1;
    status st;

    if (!valid(slot))
        return fail(e, BAD_INPUT, "not a slot", slot->kind);
    encode(slot, seq, bytes);
    checksum(place, bytes, AT_CHECKSUM, bytes + AT_CHECKSUM);
    st = mac(k, place, bytes, bytes + AT_MAC, e);
    if (st == OK)
        st = keyring_disk_write(k->disk, slot_at(place), SPAN(bytes), e);
    if (st != OK)
        return st;
    k->slot_seq = seq;
    k->slot_seqs[place] = seq;
    k->slot_kinds[place] = PLACE_LIVE;
    k->slots[place] = *slot;
    return OK;
}

static status write_synced(struct keyring *k, unsigned place, size_t at, struct span from,
                           struct err *e)
{
    status st = keyring_disk_write(k->disk, slot_at(place) + at, from, e);

    return st == OK ? keyring_disk_sync(k->disk, e) : st;
}

/* The end of a slot, from its notice to zeros; each step may find the work of the one before. */
static status destroy(struct keyring *k, unsigned place, struct err *e)
{
    static const struct slot none;
    uint8_t notice[SECTOR], noise[SLOT_SIZE - SECTOR];
    status st;

    random_bytes((struct mspan){ .p = notice, .n = sizeof(notice) });
    random_bytes((struct mspan){ .p = noise, .n = sizeof(noise) });
    notice[0] = STATE_DYING;
    notice[1] = SLOT_FORMAT;
    checksum(place, notice, AT_NOTICE_CHECKSUM, notice + AT_NOTICE_CHECKSUM);
    st = write_synced(k, place, 0, SPAN(notice), e);
    if (st == OK)
        st = write_synced(k, place, SECTOR, SPAN(noise), e);
    if (st == OK)
        st = write_synced(k, place, SECTOR, span_of(zeros, SLOT_SIZE - SECTOR), e);
    if (st == OK)
        st = write_synced(k, place, 0, span_of(zeros, SECTOR), e);
    if (st != OK)
        return st;
    k->slot_kinds[place] = PLACE_EMPTY;
    k->slot_seqs[place] = 0;
    k->slots[place] = none;
    return OK;
}

static status load(const struct keyring *k, unsigned place, uint8_t bytes[SLOT_SIZE], struct err *e)
{
    return keyring_disk_read(k->disk, slot_at(place), (struct mspan){ .p = bytes, .n = SLOT_SIZE },
                             e);
}

static enum place_kind inspect(unsigned place, const uint8_t bytes[SLOT_SIZE], uint64_t *ret_seq,
                               struct slot *ret_slot)
{
    if (span_same(span_of(bytes, SLOT_SIZE), SPAN(zeros)))
        return PLACE_EMPTY;
    if (bytes[0] == STATE_DYING && checksum_is(place, bytes, AT_NOTICE_CHECKSUM))
        return PLACE_DYING;
    if (checksum_is(place, bytes, AT_CHECKSUM) && decode(bytes, ret_seq, ret_slot))
        return PLACE_LIVE;
    return PLACE_DAMAGED;
}

/* The place of a live slot, or SLOT_PLACES. */
static unsigned find(const struct keyring *k, const struct id *id)
{
    unsigned i = 0;

    while (i < SLOT_PLACES && (k->slot_kinds[i] != PLACE_LIVE || !id_same(&k->slots[i].id, id)))
        i++;
    return i;
}

status keyring_slot_scan(struct keyring *k, struct err *e)
{
    k->slot_seq = k->super.slot_seq;
    for (unsigned i = 0; i < SLOT_PLACES; i++) {
        uint8_t bytes[SLOT_SIZE];
        struct slot slot;
        unsigned other;
        uint64_t seq;
        status st = load(k, i, bytes, e);

        if (st != OK)
            return st;
        k->slot_kinds[i] = (uint8_t)inspect(i, bytes, &seq, &slot);
        if (k->slot_kinds[i] == PLACE_DYING)
            st = destroy(k, i, e);
        if (st != OK)
            return st;
        if (k->slot_kinds[i] != PLACE_LIVE)
            continue;
        k->slots[i] = slot;
        k->slot_seqs[i] = seq;
        if (seq > k->slot_seq)
            k->slot_seq = seq;
        /* Two of one id: a replacement was cut short. */
        other = find(k, &slot.id);
        if (other < i)
            st = destroy(k, k->slot_seqs[other] < seq ? other : i, e);
        if (st != OK)
            return st;
    }
    return OK;
}

status keyring_slot_authenticate(struct keyring *k, struct err *e)
{
    for (unsigned i = 0; i < SLOT_PLACES; i++) {
        uint8_t bytes[SLOT_SIZE], want[MAC_SIZE];
        struct slot slot;
        uint64_t seq = 0;
        status st = load(k, i, bytes, e);

        if (st != OK)
            return st;
        if (inspect(i, bytes, &seq, &slot) != (enum place_kind)k->slot_kinds[i] ||
            (k->slot_kinds[i] == PLACE_LIVE && seq != k->slot_seqs[i]))
            return fail(e, CORRUPT, "a slot is not what it was at open", i);
        if (k->slot_kinds[i] == PLACE_DAMAGED && k->super.slots[i] != 0)
            return fail(e, CORRUPT, "a slot is damaged", i);
        if (k->slot_kinds[i] != PLACE_LIVE)
            continue;
        st = mac(k, i, bytes, want, e);
        if (st != OK)
            return st;
        if (!secret_equal(SPAN(want), span_of(bytes + AT_MAC, MAC_SIZE)))
            return fail(e, CORRUPT, "the MAC of a slot is wrong", i);
        if (seq <= k->super.slot_seq && seq != k->super.slots[i])
            return fail(e, CORRUPT, "a slot was put back", i);
    }
    return OK;
}

status keyring_slot_settle(struct keyring *k, struct err *e)
{
    status st = OK;

    for (unsigned i = 0; st == OK && i < SLOT_PLACES; i++) {
        if (k->slot_kinds[i] == PLACE_DAMAGED)
            st = destroy(k, i, e);
    }
    return st;
}

/* A place that is empty and that the superblock does not list; SLOT_PLACES if there is none. */
static unsigned place_free(const struct keyring *k)
{
    unsigned i = 0;

    while (i < SLOT_PLACES && (k->slot_kinds[i] != PLACE_EMPTY || k->super.slots[i] != 0))
        i++;
    return i;
}

static unsigned count(const struct keyring *k)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SLOT_PLACES; i++)
        n += k->slot_kinds[i] == PLACE_LIVE;
    return n;
}

bool keyring_next_slot(const struct keyring *k, size_t *cursor, struct slot *ret_slot)
{
    while (*cursor < SLOT_PLACES) {
        size_t i = (*cursor)++;

        if (k->slot_kinds[i] == PLACE_LIVE) {
            *ret_slot = k->slots[i];
            return true;
        }
    }
    return false;
}

status keyring_slot(const struct keyring *k, const struct id *id, struct slot *ret_slot,
                    struct err *e)
{
    unsigned i = find(k, id);

    if (i == SLOT_PLACES)
        return fail(e, NOT_FOUND, "no such slot", 0);
    *ret_slot = k->slots[i];
    return OK;
}

static status slot_usable(const struct keyring *k, struct err *e)
{
    status st = keyring_usable(k, e);

    if (st == OK && k->mac_key == NULL)
        st = fail(e, LOCKED, "changing slots needs the MAC key", 0);
    return st;
}

status keyring_slot_write_all(struct keyring *k, const struct slot *slots, size_t slot_count,
                              struct err *e)
{
    status st = OK;

    if (slot_count > LIMIT_SLOTS)
        return fail(e, LIMIT, "too many slots", (int64_t)slot_count);
    for (unsigned i = 0; st == OK && i < slot_count; i++) {
        if (find(k, &slots[i].id) != SLOT_PLACES)
            st = fail(e, BAD_INPUT, "two slots have one id", i);
        else
            st = write_slot(k, i, &slots[i], e);
    }
    return st;
}

status keyring_put_slot(struct keyring *k, const struct slot *slot, struct err *e)
{
    status st = slot_usable(k, e);
    unsigned old, place;

    if (st != OK)
        return st;
    old = find(k, &slot->id);
    if (old == SLOT_PLACES && count(k) >= LIMIT_SLOTS)
        return fail(e, LIMIT, "all slots are taken", LIMIT_SLOTS);
    place = place_free(k);
    if (place == SLOT_PLACES) {
        st = keyring_super_write(k, k->super.info.anchor_size, e);
        place = place_free(k);
    }
    if (st == OK && place == SLOT_PLACES)
        st = fail(e, LIMIT, "no free slot place", 0);
    if (st == OK)
        st = write_slot(k, place, slot, e);
    if (st == OK)
        st = keyring_disk_sync(k->disk, e);
    if (st == OK && old != SLOT_PLACES)
        st = destroy(k, old, e);
    return st == OK ? keyring_super_write(k, k->super.info.anchor_size, e) : st;
}

status keyring_destroy_slot(struct keyring *k, const struct id *id, struct err *e)
{
    status st = slot_usable(k, e);
    unsigned place = find(k, id);

    if (st != OK)
        return st;
    if (place == SLOT_PLACES)
        return fail(e, NOT_FOUND, "no such slot", 0);
    st = destroy(k, place, e);
    return st == OK ? keyring_super_write(k, k->super.info.anchor_size, e) : st;
}
