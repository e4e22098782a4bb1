/* The journal: order, chain, drop, time, and what a changed file is worth. */
#include "crypto/crypto.h"
#include "keyring_rig.h"

#define ENTRY 128
#define AT    8192

struct desk {
    char dir[64];
    char file[RIG_PATH_SIZE];
    struct journal *j;
    struct err e;
};

static void desk_open(struct desk *d)
{
    journal_close(d->j);
    d->j = NULL;
    assert_ok(journal_open(d->dir, &d->j, &d->e), &d->e);
}

static void desk_make(struct desk *d)
{
    *d = (struct desk){ .j = NULL };
    rig_dir_make(d->dir);
    snprintf(d->file, sizeof(d->file), "%s/journal", d->dir);
    desk_open(d);
}

static void desk_end(struct desk *d)
{
    journal_close(d->j);
    rig_dir_remove(d->dir);
}

static struct journal_entry entry(uint32_t n)
{
    return (struct journal_entry){ .time_us = 1000 + n,
                                   .type = (uint16_t)(n % 400),
                                   .outcome = (uint8_t)(n % 3),
                                   .reason = (uint8_t)(n % 6),
                                   .subject = rig_id(n),
                                   .tenant = rig_id(n + 1),
                                   .engagement = rig_id(n + 2),
                                   .version = n,
                                   .number = (uint64_t)n << 33 };
}

static void append(struct desk *d, uint32_t first, size_t count)
{
    struct journal_entry *entries = calloc(count, sizeof(*entries));

    assert_non_null(entries);
    for (size_t i = 0; i < count; i++)
        entries[i] = entry(first + (uint32_t)i);
    assert_ok(journal_append(d->j, entries, count, &d->e), &d->e);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(entries[i].seq, first + i);
    free(entries);
}

/* Entries first to end wait, as appended with n = seq. */
static void expect(struct desk *d, uint32_t first, uint32_t end)
{
    struct journal_entry got;
    size_t cursor = 0;

    assert_int_equal(journal_count(d->j), end - first);
    for (uint32_t n = first; n < end; n++) {
        struct journal_entry want = entry(n);

        assert_true(journal_next(d->j, &cursor, &got));
        assert_true(got.seq == n && got.time_us == want.time_us && got.type == want.type &&
                    got.outcome == want.outcome && got.reason == want.reason &&
                    id_same(&got.subject, &want.subject) && id_same(&got.tenant, &want.tenant) &&
                    id_same(&got.engagement, &want.engagement) && got.version == want.version &&
                    got.number == want.number);
    }
    assert_false(journal_next(d->j, &cursor, &got));
}

static void entries_come_back_in_order(void **state)
{
    struct desk d;

    (void)state;
    desk_make(&d);
    expect(&d, 0, 0);
    append(&d, 0, 1);
    append(&d, 1, 5);
    append(&d, 6, 1);
    expect(&d, 0, 7);
    desk_open(&d);
    expect(&d, 0, 7);
    append(&d, 7, 2);
    desk_open(&d);
    expect(&d, 0, 9);
    assert_ok(journal_append(d.j, NULL, 0, &d.e), &d.e);
    expect(&d, 0, 9);
    desk_end(&d);
}

static void dropped_entries_are_gone_and_the_chain_goes_on(void **state)
{
    struct desk d;

    (void)state;
    desk_make(&d);
    append(&d, 0, 10);
    assert_status(journal_drop(d.j, 11, NULL), BAD_INPUT);
    assert_ok(journal_drop(d.j, 0, &d.e), &d.e);
    assert_ok(journal_drop(d.j, 4, &d.e), &d.e);
    expect(&d, 4, 10);
    desk_open(&d);
    expect(&d, 4, 10);
    append(&d, 10, 3);
    assert_ok(journal_drop(d.j, 9, &d.e), &d.e);
    desk_open(&d);
    expect(&d, 13, 13);
    append(&d, 13, 2);
    desk_open(&d);
    expect(&d, 13, 15);
    desk_end(&d);
}

static void the_ring_goes_round(void **state)
{
    struct desk d;
    uint32_t n = 0;
    struct stat st;

    (void)state;
    desk_make(&d);
    while (n < 200000) {
        append(&d, n, 6500);
        n += 6500;
        if (journal_count(d.j) > 50000)
            assert_ok(journal_drop(d.j, journal_count(d.j) - 3, &d.e), &d.e);
    }
    expect(&d, n - (uint32_t)journal_count(d.j), n);
    desk_open(&d);
    expect(&d, n - (uint32_t)journal_count(d.j), n);
    assert_int_equal(stat(d.file, &st), 0);
    assert_int_equal(st.st_size, AT + 65536 * ENTRY);
    desk_end(&d);
}

static void a_full_journal_is_a_limit(void **state)
{
    struct desk d;
    struct journal_entry two[2] = { entry(1), entry(2) };

    (void)state;
    desk_make(&d);
    append(&d, 0, 65535);
    assert_status(journal_append(d.j, two, 2, NULL), LIMIT);
    append(&d, 65535, 1);
    assert_status(journal_append(d.j, two, 1, NULL), LIMIT);
    desk_open(&d);
    expect(&d, 0, 65536);
    assert_status(journal_append(d.j, two, 1, NULL), LIMIT);
    assert_ok(journal_drop(d.j, 1, &d.e), &d.e);
    append(&d, 65536, 1);
    desk_open(&d);
    expect(&d, 1, 65537);
    desk_end(&d);
}

static void time_never_goes_back(void **state)
{
    struct desk d;

    (void)state;
    desk_make(&d);
    assert_int_equal(journal_time(d.j), 0);
    assert_ok(journal_note_time(d.j, 500, &d.e), &d.e);
    assert_ok(journal_note_time(d.j, 400, &d.e), &d.e);
    assert_int_equal(journal_time(d.j), 500);
    desk_open(&d);
    assert_int_equal(journal_time(d.j), 500);
    append(&d, 0, 3);
    assert_int_equal(journal_time(d.j), 1002);
    desk_open(&d);
    assert_int_equal(journal_time(d.j), 1002);
    assert_ok(journal_drop(d.j, 3, &d.e), &d.e);
    desk_open(&d);
    assert_int_equal(journal_time(d.j), 1002);
    for (uint64_t t = 2000; t < 2010; t++) {
        assert_ok(journal_note_time(d.j, t, &d.e), &d.e);
        desk_open(&d);
        assert_int_equal(journal_time(d.j), t);
    }
    expect(&d, 3, 3);
    desk_end(&d);
}

static status verdict(struct desk *d)
{
    status st;

    journal_close(d->j);
    d->j = NULL;
    st = journal_open(d->dir, &d->j, NULL);
    return st;
}

static void the_hash_chain_is_the_documented_one(void **state)
{
    struct desk d;
    uint8_t prev[32], hash[32], *bytes;
    size_t n;

    (void)state;
    desk_make(&d);
    append(&d, 0, 2);
    append(&d, 2, 3);
    bytes = rig_file(d.file, &n);
    sha256(span_text("strongroom/v1/journal"), prev);
    for (size_t i = 0; i < 5; i++) {
        const uint8_t *p = bytes + AT + i * ENTRY;

        sha256_two(SPAN(prev), span_of(p, 96), hash);
        assert_memory_equal(hash, p + 96, 32);
        memcpy(prev, hash, 32);
    }
    free(bytes);
    desk_end(&d);
}

/* Any byte of any entry: the chain is broken, unless it is the last append, which then looks
 * like one that was torn and is cut off. Never a changed entry. */
static void a_flipped_byte_in_an_entry_is_corrupt(void **state)
{
    struct desk d;
    uint8_t *bytes;
    size_t n;

    (void)state;
    desk_make(&d);
    append(&d, 0, 3);
    append(&d, 3, 2);
    journal_close(d.j);
    d.j = NULL;
    bytes = rig_file(d.file, &n);
    for (size_t at = AT; at < AT + 5 * ENTRY; at++) {
        status st;

        bytes[at] ^= 0x21;
        rig_file_write(d.file, bytes, n);
        bytes[at] ^= 0x21;
        st = verdict(&d);
        if (at < AT + 3 * ENTRY) {
            assert_status(st, CORRUPT);
        } else if (st == OK) {
            expect(&d, 0, 3);
            append(&d, 3, 1);
            desk_open(&d);
            expect(&d, 0, 4);
        } else {
            assert_status(st, CORRUPT);
        }
    }
    free(bytes);
    desk_end(&d);
}

static void missing_entries_that_a_header_vouches_for_are_corrupt(void **state)
{
    struct desk d;
    uint8_t *bytes, zero[2 * ENTRY] = { 0 };
    size_t n;

    (void)state;
    desk_make(&d);
    append(&d, 0, 3);
    append(&d, 3, 2);
    assert_ok(journal_note_time(d.j, 5000, &d.e), &d.e);
    journal_close(d.j);
    d.j = NULL;
    bytes = rig_file(d.file, &n);
    memcpy(bytes + AT + 3 * ENTRY, zero, sizeof(zero));
    rig_file_write(d.file, bytes, n);
    assert_status(verdict(&d), CORRUPT);
    free(bytes);
    desk_end(&d);
}

static void a_torn_append_is_cut_off_as_a_whole(void **state)
{
    struct desk d;
    uint8_t *bytes, zero[ENTRY] = { 0 };
    size_t n;

    (void)state;
    desk_make(&d);
    append(&d, 0, 3);
    append(&d, 3, 6);
    journal_close(d.j);
    d.j = NULL;
    bytes = rig_file(d.file, &n);
    for (size_t gone = 3; gone < 9; gone++) {
        uint8_t keep[ENTRY];

        memcpy(keep, bytes + AT + gone * ENTRY, ENTRY);
        memcpy(bytes + AT + gone * ENTRY, zero, ENTRY);
        rig_file_write(d.file, bytes, n);
        memcpy(bytes + AT + gone * ENTRY, keep, ENTRY);
        assert_status(verdict(&d), OK);
        expect(&d, 0, 3);
        /* What was left of it is never taken for something later. */
        append(&d, 3, 1);
        append(&d, 4, 1);
        desk_open(&d);
        expect(&d, 0, 5);
    }
    free(bytes);
    desk_end(&d);
}

static void a_flipped_byte_in_a_header_falls_back_and_two_are_corrupt(void **state)
{
    struct desk d;
    uint8_t *bytes;
    size_t n;

    (void)state;
    desk_make(&d);
    append(&d, 0, 3);
    assert_ok(journal_note_time(d.j, 5000, &d.e), &d.e);
    assert_ok(journal_note_time(d.j, 5001, &d.e), &d.e);
    journal_close(d.j);
    d.j = NULL;
    bytes = rig_file(d.file, &n);
    for (size_t at = 0; at < AT; at += at % 4096 < 100 ? 1 : 37) {
        bytes[at] ^= 0x21;
        rig_file_write(d.file, bytes, n);
        bytes[at] ^= 0x21;
        assert_status(verdict(&d), OK);
        expect(&d, 0, 3);
        assert_true(journal_time(d.j) >= 5000);
    }
    bytes[9] ^= 1;
    bytes[4096 + 9] ^= 1;
    rig_file_write(d.file, bytes, n);
    assert_status(verdict(&d), CORRUPT);
    free(bytes);
    desk_end(&d);
}

static void a_truncated_journal_never_crashes(void **state)
{
    struct desk d;
    uint8_t *bytes;
    size_t n;

    (void)state;
    desk_make(&d);
    append(&d, 0, 40);
    assert_ok(journal_note_time(d.j, 5000, &d.e), &d.e);
    journal_close(d.j);
    d.j = NULL;
    bytes = rig_file(d.file, &n);
    for (size_t length = 0; length < n; length += 97) {
        rig_file_write(d.file, bytes, length);
        assert_status(verdict(&d), length < AT + 40 * ENTRY ? CORRUPT : OK);
    }
    free(bytes);
    desk_end(&d);
}

static void two_cannot_have_one_journal(void **state)
{
    struct desk d;
    struct journal *other = NULL;

    (void)state;
    desk_make(&d);
    assert_status(journal_open(d.dir, &other, NULL), CONFLICT);
    assert_null(other);
    desk_end(&d);
    assert_status(journal_open(d.dir, &other, NULL), NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back_in_order),
        cmocka_unit_test(dropped_entries_are_gone_and_the_chain_goes_on),
        cmocka_unit_test(the_ring_goes_round),
        cmocka_unit_test(a_full_journal_is_a_limit),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(the_hash_chain_is_the_documented_one),
        cmocka_unit_test(a_flipped_byte_in_an_entry_is_corrupt),
        cmocka_unit_test(missing_entries_that_a_header_vouches_for_are_corrupt),
        cmocka_unit_test(a_torn_append_is_cut_off_as_a_whole),
        cmocka_unit_test(a_flipped_byte_in_a_header_falls_back_and_two_are_corrupt),
        cmocka_unit_test(a_truncated_journal_never_crashes),
        cmocka_unit_test(two_cannot_have_one_journal),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
