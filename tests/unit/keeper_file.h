/* The keyring file in other hands, while the keeper is away. */
#ifndef TEST_KEEPER_FILE_H
#define TEST_KEEPER_FILE_H

#include <sys/stat.h>

#include "keeper_rig.h"

#define SLOTS_AT    8192 /* two superblocks */
#define AT_CHECKSUM 1984

static inline void file_of(const struct rig *r, char path[128])
{
    snprintf(path, 128, "%s/keyring", r->keyring);
}

static inline uint8_t *file_read(const struct rig *r, size_t *ret_n)
{
    char path[128];
    struct stat st;

    file_of(r, path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    uint8_t *bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    *ret_n = (size_t)st.st_size;
    return bytes;
}

static inline void file_write(const struct rig *r, const uint8_t *bytes, size_t n)
{
    char path[128];

    file_of(r, path);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static inline struct slot slot_of(const struct rig *r, const struct id *id)
{
    struct keyring *ring = NULL;
    struct slot slot;

    assert_int_equal(keyring_open(r->keyring, true, &ring, NULL), OK);
    assert_int_equal(keyring_slot(ring, id, &slot, NULL), OK);
    keyring_close(ring);
    return slot;
}

/* The place of a live slot in the file's bytes. */
static inline size_t place_of(const uint8_t *bytes, const struct id *id)
{
    const uint8_t *at = bytes + SLOTS_AT;
    size_t place = 0;

    while (place < LIMIT_SLOTS + 2 && (at[0] != 1 || memcmp(at + 10, id->b, sizeof(id->b)) != 0)) {
        place++;
        at += SLOT_SIZE;
    }
    assert_true(place < LIMIT_SLOTS + 2);
    return place;
}

/* Writes `now` over `was`, which occurs in the slot, and mends the checksum: what is left to notice
 * it is cryptography. */
static inline void swap(const struct rig *r, const struct id *id, struct span was, struct span now)
{
    size_t n = 0;
    uint8_t *bytes = file_read(r, &n);
    size_t place = place_of(bytes, id);
    uint8_t *slot = bytes + SLOTS_AT + place * SLOT_SIZE;
    uint8_t number[4] = { 0, 0, 0, (uint8_t)place };
    uint8_t *at = memmem(slot, AT_CHECKSUM, was.p, was.n);

    assert_non_null(at);
    assert_int_equal(was.n, now.n);
    memcpy(at, now.p, now.n);
    sha256_two(SPAN(number), span_of(slot, AT_CHECKSUM), slot + AT_CHECKSUM);
    file_write(r, bytes, n);
    free(bytes);
}

static inline void close_keeper(struct rig *r)
{
    keeper_free(r->k);
    r->k = NULL;
}

static inline void open_keeper(struct rig *r)
{
    rig_open(r);
    r->ack = 0;
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
}

#endif
