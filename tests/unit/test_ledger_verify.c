/* Tampering with a log of fifty records: whatever is done to it, the first bad record is named. */
#include "test_ledger_log.h"

#define RECORDS 50

static uint8_t public32[32];

struct fixture {
    struct log *log;
    uint8_t bytes[CHECKPOINT_MAX];
    struct span note;
    struct ledger_verify before[RECORDS + 1]; /* the verifier after so many good records */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    ed25519_public(SPAN(seed32), public32);
    f->log = log_new(RECORDS);
    f->note = log_note(f->log, f->bytes);
    ledger_verify_init(&f->before[0], &vault, &log_id);
    for (size_t i = 0; i < RECORDS; i++) {
        f->before[i + 1] = f->before[i];
        if (ledger_verify_line(&f->before[i + 1], log_record(f->log, i), NULL) != OK)
            return -1;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    free(f->log);
    free(f);
    return 0;
}

/* A log as it is read again: some good records (not fed once more), then others. */
struct reading {
    const struct fixture *f;
    struct ledger_verify v;
};

static struct reading reading_from(const struct fixture *f, size_t good)
{
    return (struct reading){ .f = f, .v = f->before[good] };
}

static void read_line(struct reading *r, struct span line)
{
    status st = ledger_verify_line(&r->v, line, NULL);

    assert_int_equal(st != OK, r->v.failed);
}

/* The records of the log from first on, without the last `cut`. */
static void read_rest(struct reading *r, size_t first, size_t cut)
{
    for (size_t i = first; i < RECORDS - cut; i++)
        read_line(r, log_record(r->f->log, i));
}

static void finish_bad(struct reading *r, uint64_t seq, const char *why)
{
    struct err e = { 0 };

    assert_int_equal(ledger_verify_finish(&r->v, r->f->note, SPAN(public32), &e), CORRUPT);
    assert_true(r->v.failed);
    assert_int_equal(r->v.bad_seq, seq);
    assert_string_equal(r->v.err.why, why);
    assert_string_equal(e.why, why);
}

static void the_untouched_log_verifies(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_from(f, 0);

    read_rest(&r, 0, 0);
    assert_int_equal(ledger_verify_finish(&r.v, f->note, SPAN(public32), NULL), OK);
    assert_false(r.v.failed);
}

static void an_empty_log_verifies_against_its_checkpoint(void **state)
{
    struct log *empty = log_new(0);
    struct fixture *f = *state;
    struct ledger_verify v;
    uint8_t bytes[CHECKPOINT_MAX];

    ledger_verify_init(&v, &vault, &log_id);
    assert_int_equal(ledger_verify_finish(&v, log_note(empty, bytes), SPAN(public32), NULL), OK);
    free(empty);
    ledger_verify_init(&v, &vault, &log_id);
    assert_int_equal(ledger_verify_finish(&v, f->note, SPAN(public32), NULL), CORRUPT);
    assert_int_equal(v.bad_seq, 0);
}

/*
 * Only what the chain says is expected here, not what the verifier does: a changed record that
 * still has the right head is seen by the next one, or, where there is none, by the root.
 */
static void expect_changed(const struct fixture *f, size_t at, struct span changed)
{
    struct reading r = reading_from(f, at);
    struct record_head was;
    struct record_head is;
    bool kept = false;

    assert_int_equal(record_parse(log_record(f->log, at), &was, NULL), OK);
    kept = record_parse(changed, &is, NULL) == OK && id_same(&is.log, &was.log) &&
           is.seq == was.seq && span_same(SPAN(is.prev), SPAN(was.prev)) &&
           is.time_us >= f->before[at].tree.time_us;
    read_line(&r, changed);
    assert_int_equal(!kept, r.v.failed);
    if (at + 1 < RECORDS)
        read_line(&r, log_record(f->log, at + 1));
    if (!kept)
        finish_bad(&r, at, r.v.err.why);
    else if (at + 1 < RECORDS)
        finish_bad(&r, at + 1, "prev does not match");
    else
        finish_bad(&r, at, "root differs");
}

static void every_flipped_byte_is_found_where_it_is(void **state)
{
    static const uint8_t flips[] = { 0x01, 0x04, 0x20, 0x80 };
    struct fixture *f = *state;

    for (size_t at = 0; at < RECORDS; at++) {
        struct span line = log_record(f->log, at);
        uint8_t changed[LIMIT_RECORD];

        memcpy(changed, line.p, line.n);
        for (size_t i = 0; i < line.n; i++) {
            for (size_t k = 0; k < sizeof(flips); k++) {
                changed[i] ^= flips[k];
                expect_changed(f, at, span_of(changed, line.n));
                changed[i] ^= flips[k];
            }
        }
    }
}

static void a_record_cut_at_any_length_is_malformed(void **state)
{
    struct fixture *f = *state;

    for (size_t at = 0; at < RECORDS; at++) {
        struct span line = log_record(f->log, at);

        for (size_t n = 0; n < line.n; n++) {
            struct reading r = reading_from(f, at);

            read_line(&r, span_of(line.p, n));
            finish_bad(&r, at, "malformed");
        }
    }
}

static void a_deleted_record_is_named(void **state)
{
    struct fixture *f = *state;

    for (size_t at = 0; at < RECORDS; at++) {
        struct reading r = reading_from(f, at);

        read_rest(&r, at + 1, 0);
        finish_bad(&r, at, at + 1 < RECORDS ? "wrong sequence" : "size differs from checkpoint");
    }
}

static void a_repeated_record_is_named(void **state)
{
    struct fixture *f = *state;

    for (size_t at = 0; at < RECORDS; at++) {
        struct reading r = reading_from(f, at + 1);

        read_rest(&r, at, 0);
        finish_bad(&r, at + 1, "wrong sequence");
    }
}

static void two_records_that_changed_places_are_named(void **state)
{
    struct fixture *f = *state;

    for (size_t a = 0; a < RECORDS; a++) {
        for (size_t b = a + 1; b < RECORDS; b++) {
            struct reading r = reading_from(f, a);

            read_line(&r, log_record(f->log, b));
            read_rest(&r, a + 1, 0);
            finish_bad(&r, a, "wrong sequence");
        }
    }
}

static void a_log_cut_at_any_length_differs_from_its_checkpoint(void **state)
{
    struct fixture *f = *state;

    for (size_t cut = 1; cut <= RECORDS; cut++) {
        struct reading r = reading_from(f, 0);

        read_rest(&r, 0, cut);
        finish_bad(&r, RECORDS - cut, "size differs from checkpoint");
    }
}

static void a_record_that_nobody_signed_for_is_named(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_from(f, RECORDS);

    log_add(f->log, RECORD_PURGE_DONE, START_US + SECOND_US);
    read_line(&r, log_record(f->log, RECORDS));
    finish_bad(&r, RECORDS, "size differs from checkpoint");
}

static void a_log_rewritten_as_a_whole_differs_in_its_root(void **state)
{
    struct fixture *f = *state;
    struct log *forged = log_new(RECORDS - 1);
    struct ledger_verify v;

    log_add(forged, RECORD_LEASE_RELEASED, START_US + SECOND_US);
    ledger_verify_init(&v, &vault, &log_id);
    for (size_t i = 0; i < RECORDS; i++)
        assert_int_equal(ledger_verify_line(&v, log_record(forged, i), NULL), OK);
    free(forged);
    assert_int_equal(ledger_verify_finish(&v, f->note, SPAN(public32), NULL), CORRUPT);
    assert_string_equal(v.err.why, "root differs");
    assert_int_equal(v.bad_seq, RECORDS - 1);
}

static void a_record_of_another_log_or_vault_is_named(void **state)
{
    struct fixture *f = *state;
    struct ledger_verify v;

    ledger_verify_init(&v, &vault, &vault);
    assert_int_equal(ledger_verify_line(&v, log_record(f->log, 0), NULL), CORRUPT);
    assert_string_equal(v.err.why, "wrong log");
    /* The vault is in no record but in the genesis value. */
    ledger_verify_init(&v, &log_id, &log_id);
    assert_int_equal(ledger_verify_line(&v, log_record(f->log, 0), NULL), CORRUPT);
    assert_string_equal(v.err.why, "prev does not match");
}

static void a_record_from_before_the_last_is_named(void **state)
{
    struct fixture *f = *state;
    struct record_head head = {
        .log = log_id, .seq = RECORDS, .time_us = START_US, .type = RECORD_PURGE_DONE
    };
    struct reading r = reading_from(f, RECORDS);
    uint8_t line[LIMIT_RECORD];
    struct out o;

    memcpy(head.prev, f->log->tree.prev, sizeof(head.prev));
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, span_of(NULL, 0), span_of(NULL, 0), &o, NULL), OK);
    read_line(&r, span_of(o.p, o.n));
    finish_bad(&r, RECORDS, "time runs backwards");
}

static void after_a_failure_nothing_is_good_again(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_from(f, 3);
    struct err e = { 0 };

    read_line(&r, span_text("{}"));
    assert_int_equal(ledger_verify_line(&r.v, log_record(f->log, 3), &e), CORRUPT);
    assert_string_equal(e.why, "malformed");
    finish_bad(&r, 3, "malformed");
}

static void a_checkpoint_that_does_not_verify_is_the_records_end(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_from(f, RECORDS);

    f->bytes[f->note.n - 10] ^= 1;
    finish_bad(&r, RECORDS, "bad signature");
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_log(the_untouched_log_verifies),
        with_log(an_empty_log_verifies_against_its_checkpoint),
        with_log(every_flipped_byte_is_found_where_it_is),
        with_log(a_record_cut_at_any_length_is_malformed),
        with_log(a_deleted_record_is_named),
        with_log(a_repeated_record_is_named),
        with_log(two_records_that_changed_places_are_named),
        with_log(a_log_cut_at_any_length_differs_from_its_checkpoint),
        with_log(a_record_that_nobody_signed_for_is_named),
        with_log(a_log_rewritten_as_a_whole_differs_in_its_root),
        with_log(a_record_of_another_log_or_vault_is_named),
        with_log(a_record_from_before_the_last_is_named),
        with_log(after_a_failure_nothing_is_good_again),
        with_log(a_checkpoint_that_does_not_verify_is_the_records_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
