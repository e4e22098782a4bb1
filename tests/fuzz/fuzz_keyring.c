/*
 * A keyring file that somebody worked on. Input: a flag byte, then patches (u32 offset, u8 length,
 * bytes) on a small valid file. Flag 1: checksums of what was touched are made right again, so
 * that the damage gets past them. Flag 2: the first patch's offset is where the file ends.
 * Opening must never crash; once authenticated, nothing lives that was not there before, and
 * whatever was opened can still be purged and opened again.
 */
#include "../unit/keyring_rig.h"
#include "crypto/crypto.h"

#define CELLS      8
#define SUPER_END  8192
#define IMAGE_SIZE (RIG_CELLS_AT + (size_t)1024 * CELL_SIZE)

static struct rig rig;
static uint8_t *image;
static size_t image_size;

#define must(what)   \
    do {             \
        if (!(what)) \
            abort(); \
    } while (0)

static void leave(void)
{
    secret_free(rig.key);
    free(image);
    rig_dir_remove(rig.dir);
}

static void prepare(void)
{
    struct keyring_info info = rig_info();
    struct slot slots[2] = { rig_slot(1, 1), rig_slot(2, 1) };
    struct cell cells[CELLS];
    struct id id = rig_id(3);

    must(secret_start((size_t)1024 * 1024, NULL) == OK);
    rig_dir_make(rig.dir);
    (void)snprintf(rig.file, sizeof(rig.file), "%s/keyring", rig.dir);
    rig.key = rig_key(1);
    for (uint32_t i = 0; i < CELLS; i++)
        cells[i] = rig_cell(i % 2 ? CELL_DATA_KEY : CELL_ENGAGEMENT, i + 1, 1);
    must(keyring_create(rig.dir, true, &info, slots, 2, cells, CELLS, rig.key, &rig.k, NULL) == OK);
    must(keyring_destroy(rig.k, CELL_ENGAGEMENT, &id, 1, DESTROY_PURGED, 9, NULL) == OK);
    must(keyring_commit(rig.k, NULL) == OK);
    rig_shut(&rig);
    image = rig_file(rig.file, &image_size);
    must(image_size == IMAGE_SIZE);
    (void)atexit(leave);
}

static void mend(uint8_t *file, size_t at)
{
    uint8_t sum[32], number[4] = { 0 };
    size_t start, place, n, size = 32;

    if (at < SUPER_END) {
        start = at / 4096 * 4096;
        sha256(span_of(file + start, 4064), sum);
        memcpy(file + start + 4064, sum, sizeof(sum));
        return;
    }
    if (at < RIG_CELLS_AT) {
        place = (at - RIG_SLOTS_AT) / SLOT_SIZE;
        start = RIG_SLOTS_AT + place * SLOT_SIZE;
        n = file[start] == 2 ? 480 : 1984; /* under notice: the first sector has its own */
    } else {
        place = (at - RIG_CELLS_AT) / CELL_SIZE;
        start = RIG_CELLS_AT + place * CELL_SIZE;
        n = 208;
        size = 16;
    }
    number[2] = (uint8_t)(place >> 8);
    number[3] = (uint8_t)place;
    sha256_two(SPAN(number), span_of(file + start, n), sum);
    memcpy(file + start + n, sum, size);
}

/* The file that the input describes; returns how much of it there is. */
static size_t patch(uint8_t *file, const uint8_t *data, size_t n)
{
    struct in in = in_of(span_of(data, n));
    uint8_t flags = in_u8(&in);
    size_t length = IMAGE_SIZE;

    if ((flags & 2) != 0)
        length = in_u32(&in) % (IMAGE_SIZE + 1);
    while (in.n > 4 && !in.bad) {
        size_t at = in_u32(&in) % IMAGE_SIZE;
        struct span bytes;
        size_t want = in_u8(&in);

        bytes = in_raw(&in, want < in.n ? want : in.n);
        for (size_t i = 0; i < bytes.n && at + i < IMAGE_SIZE; i++)
            file[at + i] = bytes.p[i];
        if ((flags & 1) != 0)
            mend(file, at);
    }
    return length;
}

/* With the right key: only what was there, as it was. */
static void check_authentic(struct keyring *k)
{
    struct cell cell;
    struct slot slot;
    size_t cursor = 0, n = 0;

    while (keyring_next(k, &cursor, &cell)) {
        bool known = false;

        for (uint32_t i = 1; i <= CELLS; i++) {
            struct cell want = rig_cell(cell.type, i, 1);

            known = known || (id_same(&want.id, &cell.id) &&
                              span_same(SPAN(want.sealed), SPAN(cell.sealed)));
        }
        must(known);
        n++;
    }
    must(n == keyring_count(k, CELL_DATA_KEY) + keyring_count(k, CELL_ENGAGEMENT));
    must(keyring_anchor(k, 3, NULL) == OK);
    for (cursor = 0; keyring_next_slot(k, &cursor, &slot);)
        must(slot.generation == 1);
}

/* Without the key: everything that lives can be destroyed. */
static void purge(struct keyring *k)
{
    struct cell cell;
    size_t cursor = 0;

    while (keyring_next(k, &cursor, &cell))
        must(keyring_destroy(k, cell.type, &cell.id, cell.version, DESTROY_PURGED, 1, NULL) == OK);
    must(keyring_commit(k, NULL) == OK);
    must(keyring_count(k, CELL_DATA_KEY) == 0 && keyring_count(k, CELL_SYSTEM) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t file[IMAGE_SIZE];
    size_t length;

    if (image == NULL)
        prepare();
    memcpy(file, image, sizeof(file));
    length = patch(file, data, n);
    rig_file_write(rig.file, file, length);
    if (keyring_open(rig.dir, true, &rig.k, NULL) != OK)
        return 0;
    if (keyring_authenticate(rig.k, rig.key, NULL) == OK)
        check_authentic(rig.k);
    keyring_forget(rig.k);
    purge(rig.k);
    rig_shut(&rig);
    must(keyring_open(rig.dir, true, &rig.k, NULL) == OK);
    must(keyring_count(rig.k, CELL_ENGAGEMENT) == 0);
    rig_shut(&rig);
    return 0;
}
