/* A file changed behind our back: refused, never believed, never a crash. */
#include "crypto/crypto.h"
#include "keyring_rig.h"

static int file_open(const struct rig *r)
{
    int fd = open(r->file, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void get(int fd, size_t at, uint8_t *bytes, size_t n)
{
    assert_int_equal(pread(fd, bytes, n, (off_t)at), n);
}

static void set(int fd, size_t at, const uint8_t *bytes, size_t n)
{
    assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
}

/* What opening and authenticating say together. */
static status verdict(struct rig *r)
{
    status st = keyring_open(r->dir, false, &r->k, NULL);

    if (st == OK)
        st = keyring_authenticate(r->k, r->key, NULL);
    return st;
}

static status verdict_of_flip(struct rig *r, int fd, size_t at)
{
    uint8_t old, flipped;
    status st;

    get(fd, at, &old, 1);
    flipped = old ^ 0x5A;
    set(fd, at, &flipped, 1);
    st = verdict(r);
    rig_shut(r);
    set(fd, at, &old, 1);
    return st;
}

/* Offset of the checksum within, and who computes it: place | bytes for slots and cells. */
static void checksum_again(int fd, size_t at, uint32_t place, size_t n, size_t size)
{
    uint8_t bytes[SLOT_SIZE], sum[32];
    uint8_t number[4] = { 0, 0, (uint8_t)(place >> 8), (uint8_t)place };

    get(fd, at, bytes, n);
    sha256_two(SPAN(number), span_of(bytes, n), sum);
    set(fd, at + n, sum, size);
}

/* A torn write of a superblock is ordinary, so one damaged copy is passed over and the other,
 * which has a MAC of its own, is used. It lags behind by one anchor: the caller compares
 * anchor_size with its log. */
static void a_flipped_byte_in_one_superblock_falls_back_to_the_other(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_make(&r, 1, 2);
    assert_ok(keyring_anchor(r.k, 40, &r.e), &r.e);
    assert_ok(keyring_anchor(r.k, 41, &r.e), &r.e);
    rig_shut(&r);
    fd = file_open(&r);
    for (size_t at = 0; at < 8192; at += at % 4096 < 800 || at % 4096 > 4000 ? 1 : 13)
        assert_status(verdict_of_flip(&r, fd, at), OK);
    close(fd);
    rig_reopen(&r);
    assert_int_equal(keyring_info(r.k)->anchor_size, 41);
    rig_end(&r);
}

static void two_damaged_superblocks_are_corrupt(void **state)
{
    struct rig r;
    uint8_t one = 1;
    int fd;

    (void)state;
    rig_make(&r, 1, 2);
    rig_shut(&r);
    fd = file_open(&r);
    set(fd, 3000, &one, 1);
    set(fd, 4096 + 2000, &one, 1);
    close(fd);
    assert_status(verdict(&r), CORRUPT);
    rig_end(&r);
}

/* With a checksum but no MAC of ours: refused, or (not a superblock any more, or older than the
 * other copy) passed over. What it says is never believed. */
static void a_forged_superblock_is_refused(void **state)
{
    struct rig r;
    size_t refused = 0;
    int fd;

    (void)state;
    rig_make(&r, 1, 2);
    assert_ok(keyring_anchor(r.k, 40, &r.e), &r.e);
    assert_ok(keyring_anchor(r.k, 40, &r.e), &r.e);
    rig_shut(&r);
    fd = file_open(&r);
    for (size_t at = 0; at < 4064; at += at < 800 || at > 4000 ? 1 : 13) {
        struct keyring_info want = rig_info();
        uint8_t whole[4096], forged[4096], sum[32];

        get(fd, 0, whole, sizeof(whole)); /* the newer copy */
        memcpy(forged, whole, sizeof(forged));
        forged[at] ^= 0x40;
        sha256(span_of(forged, 4064), sum);
        memcpy(forged + 4064, sum, sizeof(sum));
        set(fd, 0, forged, sizeof(forged));
        if (verdict(&r) == OK) {
            const struct keyring_info *info = keyring_info(r.k);

            assert_int_equal(info->anchor_size, 40);
            assert_true(id_same(&info->vault, &want.vault) && info->k == 1 && info->n == 2);
            assert_string_equal(info->region, "eu");
            assert_memory_equal(info->root_check, want.root_check, 32);
        } else {
            refused++;
        }
        rig_shut(&r);
        set(fd, 0, whole, sizeof(whole));
    }
    assert_true(refused > 900);
    close(fd);
    rig_end(&r);
}

static void a_flipped_byte_in_a_slot_is_refused(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_make(&r, 2, 2);
    rig_shut(&r);
    fd = file_open(&r);
    for (size_t at = 0; at < 2 * SLOT_SIZE; at++)
        assert_status(verdict_of_flip(&r, fd, RIG_SLOTS_AT + at), CORRUPT);
    assert_status(verdict(&r), OK);
    close(fd);
    rig_end(&r);
}

static void a_forged_slot_is_refused(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_make(&r, 2, 2);
    rig_shut(&r);
    fd = file_open(&r);
    /* Every byte of the small fields: state, format, seq, id, kind, verification, x, used, ... */
    for (size_t at = 0; at < 1984; at += at < 64 ? 1 : 5) {
        uint8_t old, flipped;

        get(fd, RIG_SLOTS_AT + at, &old, 1);
        flipped = old ^ 0x01;
        set(fd, RIG_SLOTS_AT + at, &flipped, 1);
        checksum_again(fd, RIG_SLOTS_AT, 0, 1984, 32);
        assert_status(verdict(&r), CORRUPT);
        rig_shut(&r);
        set(fd, RIG_SLOTS_AT + at, &old, 1);
        checksum_again(fd, RIG_SLOTS_AT, 0, 1984, 32);
    }
    close(fd);
    rig_end(&r);
}

static void a_flipped_byte_in_a_cell_of_any_type_is_refused(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_make(&r, 1, 0);
    for (uint8_t type = CELL_TENANT_SEED; type <= CELL_REKEY; type++)
        rig_put(&r, type, type, 1);
    rig_commit(&r);
    assert_ok(keyring_anchor(r.k, 1, &r.e), &r.e);
    rig_shut(&r);
    fd = file_open(&r);
    for (size_t at = 0; at < (size_t)CELL_REKEY * CELL_SIZE; at++)
        assert_status(verdict_of_flip(&r, fd, RIG_CELLS_AT + at), CORRUPT);
    /* Nothing was touched while the verdict was bad: mended, it is as before. */
    assert_status(verdict(&r), OK);
    for (uint8_t type = CELL_TENANT_SEED; type <= CELL_REKEY; type++)
        assert_int_equal(rig_salt(r.k, type, type), 1);
    close(fd);
    rig_end(&r);
}

static void a_forged_cell_is_refused(void **state)
{
    struct rig r;
    size_t cell_at;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    rig_shut(&r);
    cell_at = rig_cell_at(r.file, 2, 1);
    fd = file_open(&r);
    for (size_t at = 0; at < 208; at++) {
        uint8_t old, flipped;

        get(fd, cell_at + at, &old, 1);
        flipped = old ^ 0x10;
        set(fd, cell_at + at, &flipped, 1);
        checksum_again(fd, cell_at, (uint32_t)((cell_at - RIG_CELLS_AT) / CELL_SIZE), 208, 16);
        assert_status(verdict(&r), CORRUPT);
        rig_shut(&r);
        set(fd, cell_at + at, &old, 1);
        checksum_again(fd, cell_at, (uint32_t)((cell_at - RIG_CELLS_AT) / CELL_SIZE), 208, 16);
    }
    close(fd);
    rig_end(&r);
}

/* Born after the last superblock, a damaged cell cannot be told from a write that never
 * finished: it is scarred and counted. With a whole checksum and a wrong MAC it is refused. */
static void a_damaged_cell_that_was_never_anchored_is_a_scar(void **state)
{
    struct rig r;
    size_t cell_at;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    rig_put(&r, CELL_DATA_KEY, 9, 2);
    rig_commit(&r);
    rig_shut(&r);
    cell_at = rig_cell_at(r.file, 9, 2);
    fd = file_open(&r);
    for (size_t at = 224; at < CELL_SIZE; at++)
        assert_status(verdict_of_flip(&r, fd, cell_at + at), CORRUPT);
    assert_status(verdict_of_flip(&r, fd, cell_at + 100), OK);
    close(fd);
    for (int pass = 0; pass < 2; pass++) {
        rig_reopen(&r);
        assert_int_equal(keyring_scars(r.k), 1);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 9), 0);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 3), 1);
    }
    /* Its place is never used again. */
    for (uint32_t n = 100; n < 100 + 1024 - 3; n++)
        rig_put(&r, CELL_DATA_KEY, n, 1);
    rig_commit(&r);
    rig_reopen(&r);
    assert_int_equal(keyring_scars(r.k), 1);
    rig_end(&r);
}

static void two_swapped_cells_are_refused(void **state)
{
    struct rig r;
    uint8_t one[CELL_SIZE], two[CELL_SIZE];
    size_t one_at, two_at;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    rig_shut(&r);
    one_at = rig_cell_at(r.file, 1, 1);
    two_at = rig_cell_at(r.file, 2, 1);
    fd = file_open(&r);
    get(fd, one_at, one, sizeof(one));
    get(fd, two_at, two, sizeof(two));
    set(fd, one_at, two, sizeof(two));
    set(fd, two_at, one, sizeof(one));
    close(fd);
    assert_status(verdict(&r), CORRUPT);
    rig_end(&r);
}

static void a_cell_that_is_zeroed_is_missed(void **state)
{
    struct rig r;
    uint8_t zeros[CELL_SIZE] = { 0 };
    size_t at;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    rig_shut(&r);
    at = rig_cell_at(r.file, 2, 1);
    fd = file_open(&r);
    set(fd, at, zeros, sizeof(zeros));
    close(fd);
    assert_status(verdict(&r), CORRUPT);
    rig_end(&r);
}

static void an_old_cell_copied_back_does_not_replace_its_successor(void **state)
{
    struct rig r;
    uint8_t old[CELL_SIZE];
    size_t at;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    at = rig_cell_at(r.file, 2, 1);
    fd = file_open(&r);
    get(fd, at, old, sizeof(old));
    rig_put(&r, CELL_DATA_KEY, 2, 2);
    rig_commit(&r);
    rig_shut(&r);
    set(fd, at, old, sizeof(old));
    rig_reopen_locked(&r);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 2), 2);
    assert_false(rig_file_has(r.file, old + 88, 120));
    /* As after a crash amid the replacement. */
    assert_ok(keyring_authenticate(r.k, r.key, &r.e), &r.e);
    rig_shut(&r);
    /* Once anchored without it, it is no remnant of a crash any more. */
    rig_reopen(&r);
    assert_ok(keyring_anchor(r.k, 5, &r.e), &r.e);
    rig_shut(&r);
    set(fd, at, old, sizeof(old));
    assert_status(verdict(&r), CORRUPT);
    close(fd);
    rig_end(&r);
}

static void a_destroyed_cell_copied_back_after_an_anchor_is_refused(void **state)
{
    struct rig r;
    uint8_t old[CELL_SIZE];
    size_t at;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    at = rig_cell_at(r.file, 2, 1);
    fd = file_open(&r);
    get(fd, at, old, sizeof(old));
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_PURGED);
    rig_commit(&r);
    assert_ok(keyring_anchor(r.k, 5, &r.e), &r.e);
    rig_shut(&r);
    assert_status(verdict(&r), OK);
    rig_shut(&r);
    set(fd, at, old, sizeof(old));
    close(fd);
    assert_status(verdict(&r), CORRUPT);
    rig_end(&r);
}

static void an_old_slot_copied_back_is_refused(void **state)
{
    struct rig r;
    uint8_t old[SLOT_SIZE], zeros[SLOT_SIZE] = { 0 };
    struct slot rolled = rig_slot(1, 2), got;
    int fd;

    (void)state;
    rig_make(&r, 1, 1);
    fd = file_open(&r);
    get(fd, RIG_SLOTS_AT, old, sizeof(old));
    assert_ok(keyring_put_slot(r.k, &rolled, &r.e), &r.e);
    rig_shut(&r);
    assert_status(verdict(&r), OK);
    rig_shut(&r);
    /* Beside the new one it loses... */
    set(fd, RIG_SLOTS_AT, old, sizeof(old));
    rig_reopen(&r);
    assert_ok(keyring_slot(r.k, &rolled.id, &got, &r.e), &r.e);
    assert_int_equal(got.generation, 2);
    rig_shut(&r);
    /* ...and alone it is refused. */
    set(fd, RIG_SLOTS_AT, old, sizeof(old));
    set(fd, RIG_SLOTS_AT + SLOT_SIZE, zeros, sizeof(zeros));
    assert_status(verdict(&r), CORRUPT);
    close(fd);
    rig_end(&r);
}

static void a_wrong_key_is_refused_and_the_right_one_still_works(void **state)
{
    struct rig r;
    struct secret *wrong = rig_key(2);

    (void)state;
    rig_make(&r, 1, 1);
    rig_reopen_locked(&r);
    assert_status(keyring_authenticate(r.k, wrong, NULL), CORRUPT);
    assert_status(keyring_anchor(r.k, 1, NULL), LOCKED);
    assert_status(keyring_authenticate(r.k, r.key, NULL), OK);
    secret_free(wrong);
    rig_end(&r);
}

static void a_truncated_file_is_corrupt_at_every_length(void **state)
{
    struct rig r;
    uint8_t *bytes;
    size_t n;

    (void)state;
    rig_make(&r, 2, 5);
    rig_shut(&r);
    bytes = rig_file(r.file, &n);
    for (size_t length = 0; length < n; length += length < 9000 ? 211 : 4001) {
        rig_file_write(r.file, bytes, length);
        assert_status(keyring_open(r.dir, false, &r.k, NULL), CORRUPT);
        assert_null(r.k);
    }
    rig_file_write(r.file, bytes, n - 1);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), CORRUPT);
    rig_file_write(r.file, bytes, n);
    assert_status(verdict(&r), OK);
    free(bytes);
    rig_end(&r);
}

static void a_cell_changed_while_open_is_noticed_when_read(void **state)
{
    struct rig r;
    struct id id = rig_id(2);
    struct cell cell;
    uint8_t byte = 0xEE;
    size_t at, cursor = 0;
    int fd;

    (void)state;
    rig_make(&r, 1, 3);
    at = rig_cell_at(r.file, 2, 1);
    fd = file_open(&r);
    set(fd, at + 120, &byte, 1);
    assert_status(keyring_cell(r.k, CELL_DATA_KEY, &id, 1, &cell, NULL), CORRUPT);
    rig_salt(r.k, CELL_DATA_KEY, 1);
    /* An iteration cannot report it: it stops, and nothing can be committed on its account. */
    while (keyring_next(r.k, &cursor, &cell))
        assert_false(id_same(&cell.id, &id));
    assert_status(keyring_commit(r.k, NULL), IO);
    close(fd);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_in_one_superblock_falls_back_to_the_other),
        cmocka_unit_test(two_damaged_superblocks_are_corrupt),
        cmocka_unit_test(a_forged_superblock_is_refused),
        cmocka_unit_test(a_flipped_byte_in_a_slot_is_refused),
        cmocka_unit_test(a_forged_slot_is_refused),
        cmocka_unit_test(a_flipped_byte_in_a_cell_of_any_type_is_refused),
        cmocka_unit_test(a_forged_cell_is_refused),
        cmocka_unit_test(a_damaged_cell_that_was_never_anchored_is_a_scar),
        cmocka_unit_test(two_swapped_cells_are_refused),
        cmocka_unit_test(a_cell_that_is_zeroed_is_missed),
        cmocka_unit_test(an_old_cell_copied_back_does_not_replace_its_successor),
        cmocka_unit_test(a_destroyed_cell_copied_back_after_an_anchor_is_refused),
        cmocka_unit_test(an_old_slot_copied_back_is_refused),
        cmocka_unit_test(a_wrong_key_is_refused_and_the_right_one_still_works),
        cmocka_unit_test(a_truncated_file_is_corrupt_at_every_length),
        cmocka_unit_test(a_cell_changed_while_open_is_noticed_when_read),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
