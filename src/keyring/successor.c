/*
 * One keyring in place of another. The successor is a keyring like any other, in a file that
 * cannot be found: its disk is a draft, for which a sync is nothing, so that building it costs
 * only the writing. One sync makes all of it durable before the names are exchanged.
 *
 * Must:
 *  1. The old keyring is not touched before the exchange of the names is durable.
 *  2. Once an exchange was tried and did not say OK, nobody knows which file has the keyring's
 *     name. Both disks are broken then, and a broken disk is not wiped.
 */
#include "keyring/successor.h"

#include "internal.h"

static status fits(const struct keyring *k, const struct keyring_info *info, struct err *e)
{
    if (info->region[LIMIT_REGION] != '\0')
        return fail(e, BAD_INPUT, "the region is not terminated", 0);
    if (!id_same(&info->vault, &k->super.info.vault))
        return fail(e, BAD_INPUT, "the successor is of another vault", 0);
    return OK;
}

/* As much room as the cells of k need, so that a full disk is noticed before the work. */
static uint32_t places_for(const struct keyring *k)
{
    size_t live = 0;

    for (uint8_t type = 0; type < CELL_TYPES; type++)
        live += k->counts[type];
    return (uint32_t)(live / CELL_CHUNK + 1) * CELL_CHUNK;
}

status keyring_successor(struct keyring *k, const struct keyring_info *info,
                         const struct secret *mac_key, struct keyring **ret_next, struct err *e)
{
    struct keyring *next;
    status st = keyring_usable(k, e);

    if (st == OK && k->mac_key == NULL)
        st = fail(e, LOCKED, "a successor needs the MAC key of today", 0);
    if (st == OK && k->spare == NULL)
        st = fail(e, CONFLICT, "there is a successor", 0);
    if (st == OK)
        st = fits(k, info, e);
    if (st == OK)
        st = keyring_new(&next, e);
    if (st != OK)
        return st;
    next->disk = k->spare;
    next->disk->draft = true;
    next->origin = k;
    next->mac_key = mac_key;
    next->super.info = *info;
    k->spare = NULL;
    k->keep_seq = k->durable_seq;
    st = keyring_place_begin(next, places_for(k), e);
    if (st != OK)
        keyring_abandon(k, &next);
    else
        *ret_next = next;
    return st;
}

void keyring_abandon(struct keyring *k, struct keyring **next)
{
    if (*next == NULL)
        return;
    k->spare = (*next)->disk;
    k->keep_seq = UINT64_MAX;
    k->reuse_from = 0;
    (*next)->disk = NULL;
    keyring_free(*next);
    *next = NULL;
    if (keyring_disk_wipe(k->spare, NULL) != OK)
        k->spare->broken = true;
}

static status settled(const struct keyring *k, struct err *e)
{
    status st = keyring_usable(k, e);

    if (st == OK && k->birth_count + k->death_count + k->proof_count > 0)
        st = fail(e, CONFLICT, "changes are staged", 0);
    return st;
}

/* All that a keyring needs, durable. */
static status complete(struct keyring *next, const struct keyring_info *info,
                       const struct slot *slots, size_t slot_count, struct err *e)
{
    status st;

    next->super.info = *info;
    st = keyring_slot_write_all(next, slots, slot_count, e);
    for (unsigned i = 0; st == OK && i < SUPER_COPIES; i++)
        st = keyring_super_write(next, info->anchor_size, e);
    return st == OK ? keyring_disk_keep(next->disk, e) : st;
}

status keyring_succeed(struct keyring **k, struct keyring **next, const struct keyring_info *info,
                       const struct slot *slots, size_t slot_count, struct err *e)
{
    struct keyring *old = *k, *heir = *next;
    status st = settled(old, e);

    if (st == OK)
        st = settled(heir, e);
    if (st == OK)
        st = fits(old, info, e);
    if (st == OK)
        st = complete(heir, info, slots, slot_count, e); /* 1, 2 */
    if (st == OK)
        st = keyring_disk_exchange(old->dir_fd, KEYRING_FILE, SPARE_FILE, e); /* 3, 4 */
    if (st == OK)
        st = keyring_disk_wipe(old->disk, e); /* 5 to 8 */
    if (st == IO) {
        old->disk->broken = true;
        heir->disk->broken = true;
    }
    if (st != OK)
        return st;
    heir->origin = NULL;
    heir->dir_fd = old->dir_fd;
    heir->spare = old->disk;
    old->dir_fd = -1;
    old->disk = NULL;
    keyring_free(old);
    *k = heir;
    *next = NULL;
    return OK;
}
