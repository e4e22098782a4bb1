/*
 * The journal file: two alternating headers of 4096 bytes, then a ring of 128-byte entries, the
 * entry of sequence number s in place s mod 65,536. All integers big-endian.
 *
 *   header   magic 8 | version 2 | generation 8 | start 8 | hash before start 32 | end 8 | time 8
 *            | held 1 | zeros | SHA-256 of all that
 *   entry    seq 8 | time 8 | type 2 | outcome 1 | reason 1 | subject 16 | tenant 16 |
 *            engagement 16 | version 4 | number 8 | position in its append 4 | size of it 4 |
 *            checksum 8 | hash 32
 *
 * Must:
 *  1. An append is all or nothing: opening cuts the chain back to the last whole append.
 *  2. What was cut off is zeroed before anything else is written, so it cannot be taken for a
 *     later entry.
 *  3. Entries missing before end, or before an intact later append, are no torn write: CORRUPT.
 *  4. A place of the ring is used again only after a header that no longer needs it is durable.
 */
#include "keyring/journal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "disk.h"

#define JOURNAL_FILE  "journal"
#define HEADER_SIZE   4096
#define HEADER_COPIES 2
#define ENTRIES_AT    ((uint64_t)HEADER_COPIES * HEADER_SIZE)
#define ENTRY_SIZE    128
#define RING          65536
#define CHUNK         1024 /* entries of room made at once */
#define VERSION       1
#define NUMBER_MAX    (UINT64_MAX >> 2)

enum { AT_CHECKSUM = 88, AT_HASH = 96 };

_Static_assert(AT_HASH + SHA256_SIZE == ENTRY_SIZE, "an entry is full");
_Static_assert(512 % ENTRY_SIZE == 0, "no entry crosses a sector");

static const char magic[8] = "SRJOURNL"; /* no NUL: all eight bytes are used */

struct header {
    uint64_t generation;
    uint64_t start;            /* seq of the first entry that waits */
    uint8_t prev[SHA256_SIZE]; /* hash of the entry before it */
    uint64_t end;              /* all entries before were durable */
    uint64_t time_us;
    bool held; /* the clock jumped, and nobody has confirmed it */
};

struct link {
    struct journal_entry entry;
    uint8_t hash[SHA256_SIZE];
};

struct journal {
    struct disk disk;
    struct header header; /* the one in use, as it is on disk */
    unsigned copy;
    uint64_t time_us;
    uint64_t room;      /* entries that the file has room for, at most RING */
    struct link *links; /* those that wait, oldest first */
    size_t count;
    size_t cap;
};

static void header_encode(const struct header *h, uint8_t bytes[HEADER_SIZE])
{
    struct out o;

    out_init(&o, bytes, HEADER_SIZE - SHA256_SIZE);
    out_raw(&o, SPAN(magic));
    out_u16(&o, VERSION);
    out_u64(&o, h->generation);
    out_u64(&o, h->start);
    out_raw(&o, SPAN(h->prev));
    out_u64(&o, h->end);
    out_u64(&o, h->time_us);
    out_u8(&o, h->held);
    sha256(span_of(bytes, HEADER_SIZE - SHA256_SIZE), bytes + HEADER_SIZE - SHA256_SIZE);
}

static bool header_decode(const uint8_t bytes[HEADER_SIZE], struct header *ret_header)
{
    struct in in = in_of(span_of(bytes, HEADER_SIZE - SHA256_SIZE));
    struct span head = in_raw(&in, sizeof(magic));
    struct header h = { .generation = 0 };
    uint8_t sum[SHA256_SIZE];

    sha256(span_of(bytes, HEADER_SIZE - SHA256_SIZE), sum);
    if (!span_same(head, SPAN(magic)) || in_u16(&in) != VERSION ||
        !span_same(SPAN(sum), span_of(bytes + HEADER_SIZE - SHA256_SIZE, SHA256_SIZE)))
        return false;
    h.generation = in_u64(&in);
    h.start = in_u64(&in);
    in_copy(&in, h.prev, sizeof(h.prev));
    h.end = in_u64(&in);
    h.time_us = in_u64(&in);
    h.held = in_u8(&in) != 0;
    if (h.generation > NUMBER_MAX || h.start > NUMBER_MAX || h.end < h.start ||
        h.end - h.start > RING)
        return false;
    *ret_header = h;
    return true;
}

/* Position and size of the append that an entry belongs to. */
struct batch {
    uint32_t position;
    uint32_t size;
};

static void entry_encode(const struct journal_entry *entry, struct batch batch,
                         const uint8_t prev[SHA256_SIZE], uint8_t bytes[ENTRY_SIZE])
{
    uint8_t sum[SHA256_SIZE];
    struct out o;

    out_init(&o, bytes, ENTRY_SIZE);
    out_u64(&o, entry->seq);
    out_u64(&o, entry->time_us);
    out_u16(&o, entry->type);
    out_u8(&o, entry->outcome);
    out_u8(&o, entry->reason);
    out_id(&o, &entry->subject);
    out_id(&o, &entry->tenant);
    out_id(&o, &entry->engagement);
    out_u32(&o, entry->version);
    out_u64(&o, entry->number);
    out_u32(&o, batch.position);
    out_u32(&o, batch.size);
    sha256(span_of(bytes, AT_CHECKSUM), sum);
    out_raw(&o, span_of(sum, AT_HASH - AT_CHECKSUM));
    sha256_two(span_of(prev, SHA256_SIZE), span_of(bytes, AT_HASH), bytes + AT_HASH);
}

/* Whether these are the bytes of an entry at all, whatever it is chained to. */
static bool entry_decode(const uint8_t bytes[ENTRY_SIZE], struct journal_entry *ret_entry,
                         struct batch *ret_batch)
{
    struct in in = in_of(span_of(bytes, ENTRY_SIZE));
    struct journal_entry entry = { .seq = in_u64(&in) };
    struct batch batch;
    uint8_t sum[SHA256_SIZE];

    entry.time_us = in_u64(&in);
    entry.type = in_u16(&in);
    entry.outcome = in_u8(&in);
    entry.reason = in_u8(&in);
    entry.subject = in_id(&in);
    entry.tenant = in_id(&in);
    entry.engagement = in_id(&in);
    entry.version = in_u32(&in);
    entry.number = in_u64(&in);
    batch.position = in_u32(&in);
    batch.size = in_u32(&in);
    sha256(span_of(bytes, AT_CHECKSUM), sum);
    if (!span_same(span_of(sum, AT_HASH - AT_CHECKSUM), in_raw(&in, AT_HASH - AT_CHECKSUM)) ||
        batch.position >= batch.size || batch.position > entry.seq)
        return false;
    *ret_entry = entry;
    *ret_batch = batch;
    return true;
}

static uint64_t entry_at(uint64_t seq)
{
    return ENTRIES_AT + seq % RING * ENTRY_SIZE;
}

/* Where the next entry is chained to. */
static const uint8_t *last_hash(const struct journal *j)
{
    return j->count == 0 ? j->header.prev : j->links[j->count - 1].hash;
}

static status links_reserve(struct journal *j, size_t count, struct err *e)
{
    size_t cap = j->cap == 0 ? 64 : j->cap;
    struct link *links;

    if (count <= j->cap)
        return OK;
    while (cap < count)
        cap *= 2;
    links = calloc(cap, sizeof(*links));
    if (links == NULL)
        return fail(e, NO_MEMORY, "no memory for the journal", 0);
    if (j->count > 0)
        memcpy(links, j->links, j->count * sizeof(*links));
    free(j->links);
    j->links = links;
    j->cap = cap;
    return OK;
}

static status header_write(struct journal *j, const struct header *h, struct err *e)
{
    unsigned copy = (j->copy + 1) % HEADER_COPIES;
    uint8_t bytes[HEADER_SIZE] = { 0 };
    status st;

    header_encode(h, bytes);
    st = keyring_disk_write(&j->disk, (uint64_t)copy * HEADER_SIZE, SPAN(bytes), e);
    if (st == OK)
        st = keyring_disk_sync(&j->disk, e);
    if (st != OK)
        return st;
    j->header = *h;
    j->copy = copy;
    return OK;
}

static status header_read(struct journal *j, struct err *e)
{
    bool found = false;

    for (unsigned copy = 0; copy < HEADER_COPIES; copy++) {
        uint8_t bytes[HEADER_SIZE];
        struct header h;
        status st = keyring_disk_read(&j->disk, (uint64_t)copy * HEADER_SIZE,
                                      (struct mspan){ .p = bytes, .n = HEADER_SIZE }, e);

        if (st != OK)
            return st;
        if (!header_decode(bytes, &h) || (found && h.generation < j->header.generation))
            continue;
        j->header = h;
        j->copy = copy;
        found = true;
    }
    j->time_us = j->header.time_us;
    return found ? OK : fail(e, CORRUPT, "no header of the journal is intact", 0);
}

/* The bytes of an entry in the ring as read; NULL where the file has no room for it. */
static const uint8_t *ring_view(const struct journal *j, const uint8_t *ring, uint64_t seq)
{
    return seq % RING < j->room ? ring + seq % RING * ENTRY_SIZE : NULL;
}

/* Follows the chain to its end and keeps the whole appends. */
static status chain_read(struct journal *j, const uint8_t *ring, struct err *e)
{
    uint64_t first = j->header.start;
    uint8_t prev[SHA256_SIZE], hash[SHA256_SIZE];
    uint32_t position = 0;
    size_t whole = 0;

    memcpy(prev, j->header.prev, sizeof(prev));
    while (j->count < RING) {
        const uint8_t *bytes = ring_view(j, ring, first + j->count);
        struct batch batch;
        struct link link;
        status st;

        if (bytes == NULL || !entry_decode(bytes, &link.entry, &batch) ||
            link.entry.seq != first + j->count)
            break;
        /* Part of the first append may have been dropped. */
        if (j->count == 0)
            position = batch.position;
        sha256_two(SPAN(prev), span_of(bytes, AT_HASH), hash);
        if (!span_same(SPAN(hash), span_of(bytes + AT_HASH, SHA256_SIZE)) ||
            batch.position != position)
            return fail(e, CORRUPT, "the chain of the journal is broken", (int64_t)link.entry.seq);
        st = links_reserve(j, j->count + 1, e);
        if (st != OK)
            return st;
        memcpy(link.hash, hash, sizeof(hash));
        memcpy(prev, hash, sizeof(hash));
        j->links[j->count++] = link;
        position++;
        if (position == batch.size) {
            whole = j->count;
            position = 0;
        }
    }
    j->count = whole;
    return OK;
}

/* Zeros what a torn append left behind; a later append behind a gap means that entries are gone. */
static status tail_clear(struct journal *j, const uint8_t *ring, struct err *e)
{
    static const uint8_t zeros[ENTRY_SIZE];
    uint64_t end = j->header.start + j->count;
    status st = OK;

    if (end < j->header.end)
        return fail(e, CORRUPT, "entries of the journal are missing", (int64_t)end);
    for (uint64_t seq = end; st == OK && seq < j->header.start + RING; seq++) {
        const uint8_t *bytes = ring_view(j, ring, seq);
        struct journal_entry entry;
        struct batch batch;

        if (bytes == NULL || !entry_decode(bytes, &entry, &batch) || entry.seq != seq)
            continue;
        if (seq - batch.position > end)
            return fail(e, CORRUPT, "the chain of the journal has a gap", (int64_t)end);
        st = keyring_disk_write(&j->disk, entry_at(seq), SPAN(zeros), e);
    }
    return st == OK ? keyring_disk_sync(&j->disk, e) : st;
}

static status load(struct journal *j, struct err *e)
{
    uint8_t *ring;
    uint64_t size;
    status st = keyring_disk_size(&j->disk, &size, e);

    if (st == OK)
        st = header_read(j, e);
    if (st != OK)
        return st;
    if (size < ENTRIES_AT)
        return fail(e, CORRUPT, "the journal is too short", (int64_t)size);
    j->room = (size - ENTRIES_AT) / ENTRY_SIZE;
    if (j->room > RING)
        j->room = RING;
    ring = calloc((size_t)j->room + 1, ENTRY_SIZE);
    if (ring == NULL)
        return fail(e, NO_MEMORY, "no memory to read the journal", 0);
    st = keyring_disk_read(&j->disk, ENTRIES_AT,
                           (struct mspan){ .p = ring, .n = (size_t)j->room * ENTRY_SIZE }, e);
    if (st == OK)
        st = chain_read(j, ring, e);
    if (st == OK)
        st = tail_clear(j, ring, e);
    free(ring);
    for (size_t i = 0; i < j->count; i++) {
        if (j->links[i].entry.time_us > j->time_us)
            j->time_us = j->links[i].entry.time_us;
    }
    return st;
}

static status create(struct journal *j, int dir_fd, struct err *e)
{
    struct header h = { .generation = 0 };
    status st = keyring_disk_create(dir_fd, JOURNAL_FILE, &j->disk, e);

    if (st != OK)
        return st;
    sha256(span_text("strongroom/v1/journal"), h.prev);
    st = keyring_disk_grow(&j->disk, 0, ENTRIES_AT + CHUNK * ENTRY_SIZE, e);
    j->room = CHUNK;
    for (int i = 0; st == OK && i < HEADER_COPIES; i++) {
        h.generation++;
        st = header_write(j, &h, e);
    }
    if (st == OK)
        st = keyring_disk_publish(dir_fd, JOURNAL_FILE, &j->disk, e);
    else
        keyring_disk_discard(dir_fd, JOURNAL_FILE);
    return st;
}

status journal_open(const char *dir, struct journal **ret_journal, struct err *e)
{
    AUTO(journal) *j = calloc(1, sizeof(*j));
    struct err probe = { .code = OK };
    int dir_fd;
    status st;

    if (j == NULL)
        return fail(e, NO_MEMORY, "no memory for the journal", 0);
    j->disk.fd = -1;
    st = keyring_disk_dir(dir, DISK_DIR_EXISTING, &dir_fd, e);
    if (st != OK)
        return st;
    st = keyring_disk_open(dir_fd, JOURNAL_FILE, DISK_FILE_EXISTING, &j->disk, &probe);
    if (st == NOT_FOUND)
        st = create(j, dir_fd, e);
    else if (st == OK)
        st = load(j, e);
    else
        (void)err_note(e, probe.code, probe.where, probe.why, probe.detail);
    close(dir_fd);
    if (st != OK)
        return st;
    *ret_journal = j;
    j = NULL;
    return OK;
}

void journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    keyring_disk_close(&j->disk);
    free(j->links);
    free(j);
}

void journal_cleanup(struct journal **j)
{
    journal_close(*j);
}

/* Makes room in the file for seqs below end. */
static status room_reserve(struct journal *j, uint64_t end, struct err *e)
{
    uint64_t room = end / CHUNK * CHUNK + CHUNK;
    status st;

    if (room > RING)
        room = RING;
    if (room <= j->room)
        return OK;
    st = keyring_disk_grow(&j->disk, ENTRIES_AT + j->room * ENTRY_SIZE,
                           ENTRIES_AT + room * ENTRY_SIZE, e);
    if (st == OK)
        j->room = room;
    return st;
}

status journal_append(struct journal *j, struct journal_entry *entries, size_t count, struct err *e)
{
    uint64_t first = j->header.start + j->count;
    uint8_t prev[SHA256_SIZE];
    status st;

    if (count > RING - j->count)
        return fail(e, LIMIT, "too many entries wait for an unlock", (int64_t)j->count);
    st = room_reserve(j, first + count, e);
    if (st == OK)
        st = links_reserve(j, j->count + count, e);
    memcpy(prev, last_hash(j), sizeof(prev));
    for (size_t i = 0; st == OK && i < count; i++) {
        struct link *link = &j->links[j->count + i];
        uint8_t bytes[ENTRY_SIZE];

        entries[i].seq = first + i;
        entry_encode(&entries[i],
                     (struct batch){ .position = (uint32_t)i, .size = (uint32_t)count }, prev,
                     bytes);
        memcpy(prev, bytes + AT_HASH, sizeof(prev));
        link->entry = entries[i];
        memcpy(link->hash, prev, sizeof(prev));
        st = keyring_disk_write(&j->disk, entry_at(first + i), SPAN(bytes), e);
    }
    if (st == OK)
        st = keyring_disk_sync(&j->disk, e);
    if (st != OK)
        return st;
    j->count += count;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].time_us > j->time_us)
            j->time_us = entries[i].time_us;
    }
    return OK;
}

bool journal_next(const struct journal *j, size_t *cursor, struct journal_entry *ret_entry)
{
    if (*cursor >= j->count)
        return false;
    *ret_entry = j->links[(*cursor)++].entry;
    return true;
}

size_t journal_count(const struct journal *j)
{
    return j->count;
}

/* A header of today, with the first drop entries gone. */
static status header_update(struct journal *j, size_t drop, uint64_t time_us, struct err *e)
{
    struct header h = j->header;

    h.generation++;
    h.start += drop;
    h.end = j->header.start + j->count;
    h.time_us = time_us;
    if (drop > 0)
        memcpy(h.prev, j->links[drop - 1].hash, sizeof(h.prev));
    return header_write(j, &h, e);
}

status journal_drop(struct journal *j, size_t count, struct err *e)
{
    status st;

    if (count > j->count)
        return fail(e, BAD_INPUT, "more than there are", (int64_t)count);
    if (count == 0)
        return OK;
    st = header_update(j, count, j->time_us, e);
    if (st != OK)
        return st;
    j->count -= count;
    memmove(j->links, j->links + count, j->count * sizeof(*j->links));
    return OK;
}

uint64_t journal_time(const struct journal *j)
{
    return j->time_us;
}

status journal_note_time(struct journal *j, uint64_t time_us, struct err *e)
{
    status st;

    if (time_us <= j->time_us)
        return OK;
    st = header_update(j, 0, time_us, e);
    if (st == OK)
        j->time_us = time_us;
    return st;
}

bool journal_held(const struct journal *j)
{
    return j->header.held;
}

status journal_hold(struct journal *j, bool held, struct err *e)
{
    if (j->header.held == held)
        return OK;
    j->header.held = held; /* a failed write breaks the journal: nothing reads it then */
    return header_update(j, 0, j->time_us, e);
}
