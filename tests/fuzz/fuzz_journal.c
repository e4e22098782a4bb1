/*
 * A journal file that somebody worked on; input as for fuzz_keyring, with flag 1 making entry
 * checksums and header checksums right again. Opening must never crash; what it gives is in
 * order, and the file can be added to and opened again.
 */
#include "../unit/keyring_rig.h"
#include "crypto/crypto.h"

#define HEADERS    8192
#define ENTRY      128
#define IMAGE_SIZE ((size_t)HEADERS + 1024 * ENTRY)

static char dir[64], path[RIG_PATH_SIZE];
static uint8_t *image;

#define must(what)   \
    do {             \
        if (!(what)) \
            abort(); \
    } while (0)

static void leave(void)
{
    free(image);
    rig_dir_remove(dir);
}

static void append(struct journal *j, size_t count)
{
    struct journal_entry entries[8] = { { .seq = 0 } };

    for (size_t i = 0; i < count; i++)
        entries[i] = (struct journal_entry){ .time_us = i + 1, .type = 3, .subject = rig_id(4) };
    must(journal_append(j, entries, count, NULL) == OK);
}

static void prepare(void)
{
    struct journal *j = NULL;
    size_t n;

    rig_dir_make(dir);
    (void)snprintf(path, sizeof(path), "%s/journal", dir);
    must(journal_open(dir, &j, NULL) == OK);
    append(j, 3);
    append(j, 1);
    must(journal_drop(j, 2, NULL) == OK);
    append(j, 5);
    journal_close(j);
    image = rig_file(path, &n);
    must(n == IMAGE_SIZE);
    (void)atexit(leave);
}

static void mend(uint8_t *file, size_t at)
{
    size_t header = at / 4096 * 4096, entry = at / ENTRY * ENTRY;
    uint8_t sum[32];

    if (at < HEADERS) {
        sha256(span_of(file + header, 4064), sum);
        memcpy(file + header + 4064, sum, sizeof(sum));
    } else {
        sha256(span_of(file + entry, 88), sum);
        memcpy(file + entry + 88, sum, 8);
        /* Chained to the one before, as the first of the file is not. */
        if (entry > HEADERS) {
            sha256_two(span_of(file + entry - 32, 32), span_of(file + entry, 96), sum);
            memcpy(file + entry + 96, sum, 32);
        }
    }
}

static size_t patch(uint8_t *file, const uint8_t *data, size_t n)
{
    struct in in = in_of(span_of(data, n));
    uint8_t flags = in_u8(&in);
    size_t length = IMAGE_SIZE;

    if ((flags & 2) != 0)
        length = in_u32(&in) % (IMAGE_SIZE + 1);
    while (in.n > 4 && !in.bad) {
        size_t at = in_u32(&in) % IMAGE_SIZE;
        size_t want = in_u8(&in);
        struct span bytes = in_raw(&in, want < in.n ? want : in.n);

        for (size_t i = 0; i < bytes.n && at + i < IMAGE_SIZE; i++)
            file[at + i] = bytes.p[i];
        if ((flags & 1) != 0)
            mend(file, at);
    }
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t file[IMAGE_SIZE];
    struct journal *j = NULL;
    struct journal_entry entry;
    size_t cursor = 0, count;
    uint64_t seq = 0, length;

    if (image == NULL)
        prepare();
    memcpy(file, image, sizeof(file));
    length = patch(file, data, n);
    rig_file_write(path, file, (size_t)length);
    if (journal_open(dir, &j, NULL) != OK)
        return 0;
    while (journal_next(j, &cursor, &entry)) {
        must(cursor == 1 || entry.seq == seq + 1);
        must(entry.time_us <= journal_time(j));
        seq = entry.seq;
    }
    count = journal_count(j);
    must(cursor == count);
    append(j, 2);
    must(journal_note_time(j, UINT64_MAX, NULL) == OK);
    journal_close(j);
    j = NULL;
    must(journal_open(dir, &j, NULL) == OK);
    must(journal_count(j) == count + 2 && journal_time(j) == UINT64_MAX);
    must(journal_drop(j, count + 2, NULL) == OK);
    journal_close(j);
    return 0;
}
