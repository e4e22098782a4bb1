/*
 * Bundles and proofs of single records: the golden ones verify, with all that they have, and each
 * thing that is wrong has its reason. That every small change is found is tests/e2e/test_tampered.py.
 */
#include "test_ledger_log.h"

#include <stdio.h>

#include "ledger/bundle.h"
#include "ledger/tlog_proof.h"

#define GOLDEN    SOURCE_DIR "/tests/golden/"
#define WITNESS   "witness.example/w1+918b6299+BMhAafoiFsbtwdUsqDqhHCZ91UQK+lJgkMpD69DKhqnP"
#define TEXT_SIZE 65536

static const uint8_t golden_key[32] = { 0x77, 0x2c, 0x8a, 0x44, 0x2b, 0x7d, 0xb0, 0x6e,
                                        0x16, 0x6c, 0xfb, 0xc1, 0xcc, 0xbc, 0xbc, 0xde,
                                        0x6f, 0x3e, 0xba, 0x76, 0xa4, 0xe9, 0x8e, 0xf3,
                                        0xff, 0xc5, 0x19, 0x50, 0x22, 0x37, 0xd6, 0xef };

static struct bundle b;
static struct bundle_feed feed;
static char text[TEXT_SIZE];

static void load(const char *name)
{
    char path[256];
    FILE *file = NULL;

    snprintf(path, sizeof(path), GOLDEN "%s", name);
    file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
}

/* The verdict on text, in pieces of n bytes. */
static status verify(const struct bundle_reader *reader, size_t n)
{
    size_t size = strlen(text);
    status st = OK;

    bundle_begin(&b, reader);
    bundle_feed_begin(&feed, &b);
    for (size_t at = 0; at < size && st == OK; at += n)
        st = bundle_feed(&feed, span_of(text + at, size - at < n ? size - at : n), NULL);
    return st == OK ? bundle_feed_end(&feed, NULL) : st;
}

/* Puts now in the place of was, which is there. */
static void replace(const char *was, const char *now)
{
    static char rest[TEXT_SIZE];
    char *at = strstr(text, was);

    assert_non_null(at);
    snprintf(rest, sizeof(rest), "%s", at + strlen(was));
    snprintf(at, sizeof(text) - (size_t)(at - text), "%s%s", now, rest);
}

static const struct bundle_reader nothing;
static const struct bundle_reader middle = { .range = true, .from = 21, .to = 30 };

static void assert_bad(const struct bundle_reader *reader, uint64_t seq, const char *why)
{
    assert_int_equal(verify(reader, TEXT_SIZE), CORRUPT);
    assert_string_equal(b.err.why, why);
    assert_int_equal(b.bad_seq, seq);
}

static void a_whole_bundle_verifies_in_pieces_of_any_size(void **state)
{
    static const size_t sizes[] = { 1, 7, 300, 4096, TEXT_SIZE };

    (void)state;
    load("ledger_bundle.jsonl");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(verify(&nothing, sizes[i]), OK);
        assert_int_equal(b.next, 50);
        assert_string_equal(b.header.name, "acme");
        assert_int_equal(b.verify.tree.size, 50);
    }
    text[strlen(text) - 1] = '\0'; /* the last newline */
    assert_int_equal(verify(&nothing, 100), OK);
}

/* What callbacks were told. */
struct told {
    size_t records;
    size_t persons;
    size_t operators;
    char names[128];
};

static const uint8_t *tell_begin(void *context, const struct bundle_header *header)
{
    struct told *told = context;

    *told = (struct told){ .records = 0 };
    assert_int_equal(header->from, 21);
    return golden_key;
}

static void tell_record(void *context, struct span line, const struct ledger_tree *tree)
{
    struct told *told = context;

    assert_int_equal(line.p[0], '{');
    told->records++;
    assert_int_equal(tree->size, 21 + told->records);
}

static void tell_person(void *context, const struct id *tag, struct span name)
{
    struct told *told = context;
    size_t n = strlen(told->names);

    assert_false(id_is_zero(tag));
    told->persons++;
    snprintf(told->names + n, sizeof(told->names) - n, "%.*s;", (int)name.n, (const char *)name.p);
}

static void tell_operator(void *context, struct span line)
{
    struct told *told = context;
    struct record_head head;

    assert_int_equal(record_parse(line, &head, NULL), OK);
    told->operators++;
}

static void a_range_verifies_with_names_operators_commitment_and_witness(void **state)
{
    struct note_key witness;
    struct told told = { .records = 0 };
    struct bundle_reader reader = middle;

    (void)state;
    assert_int_equal(note_key_parse(span_text(WITNESS), &witness, NULL), OK);
    reader.witness = &witness;
    reader.witnesses = 1;
    reader.context = &told;
    reader.begin = tell_begin;
    reader.record = tell_record;
    reader.person = tell_person;
    reader.operator_record = tell_operator;
    load("ledger_bundle_rich.jsonl");
    assert_int_equal(verify(&reader, 1000), OK);
    assert_int_equal(told.records, 9);
    assert_int_equal(told.persons, 2);
    assert_string_equal(told.names, "alice;b\xc3\xa9"
                                    "a \"x\" \xf0\x9f\x94\x91\\;");
    assert_int_equal(told.operators, 3);
    assert_int_equal(b.operators_proven, 3);
    assert_true(b.committed);
    assert_int_equal(b.commitment.round, 4);
    witness.public32[0] ^= 1; /* another key with the same name and id */
    assert_bad(&reader, 30, "bad signature of a witness");
    witness.id[0] ^= 1;
    assert_bad(&reader, 30, "not signed by a witness that was asked for");
}

static void records_may_be_missing_only_with_a_statement_or_on_request(void **state)
{
    struct bundle_reader reader = middle;

    (void)state;
    load("ledger_bundle_rich.jsonl");
    assert_bad(&nothing, 0, "records are missing without a statement");
    reader.from = 20;
    assert_bad(&reader, 20, "record was asked for and is missing");
    reader = middle;
    reader.to = 31;
    assert_bad(&reader, 30, "record was asked for and is missing");
    reader.from = 25;
    reader.to = 26;
    assert_int_equal(verify(&reader, TEXT_SIZE), OK);

    load("ledger_bundle_dropped.jsonl");
    assert_int_equal(verify(&nothing, TEXT_SIZE), OK);
    assert_true(b.dropped_stated);
    assert_int_equal(b.next, 51);
}

static void a_key_that_is_not_the_one_given_is_told_at_once(void **state)
{
    struct told told = { .records = 0 };
    struct bundle_reader reader = { .context = &told, .begin = tell_begin };

    (void)state;
    load("ledger_bundle_rich.jsonl");
    replace("dyyKRCt9sG4WbPvBzLy83m8", "dyyKRCt9sG4WbPvBzLy83m9");
    assert_bad(&reader, 21, "public key is not the one given");
    assert_bad(&middle, 30, "bad signature");
}

static void lines_stand_in_their_order_only(void **state)
{
    (void)state;
    load("ledger_bundle_rich.jsonl");
    replace("{\"person\":", "{\"right\":\"00\"}\n{\"person\":");
    assert_bad(&middle, 30, "malformed line");
    load("ledger_bundle_rich.jsonl");
    replace("{\"vault_checkpoint\":", "{\"right\":\"00\"}\n{\"vault_checkpoint\":");
    assert_bad(&middle, 30, "line is out of place");
    load("ledger_bundle_rich.jsonl");
    replace("{\"vault_checkpoint\":", "{\"vault_check\":\"\"}\n{\"vault_checkpoint\":");
    assert_bad(&middle, 30, "line is out of place");
    load("ledger_bundle.jsonl");
    replace("{\"checkpoint\":", "{\"vault_checkpoint\":\"\"}\n{\"checkpoint\":");
    assert_bad(&nothing, 50, "line is out of place");
    load("ledger_bundle.jsonl");
    snprintf(text + strlen(text), 8, "\n");
    assert_bad(&nothing, 50, "line is out of place");
}

static void what_is_said_beside_the_records_is_proven(void **state)
{
    (void)state;
    load("ledger_bundle_rich.jsonl");
    replace("\"name\":\"alice\"", "\"name\":\"alicf\"");
    assert_bad(&middle, 30, "name does not belong to its tag");
    load("ledger_bundle_rich.jsonl");
    replace("\\\"operator\\\":\\\"alice", "\\\"operator\\\":\\\"mallory");
    assert_bad(&middle, 30, "inclusion proof does not hold");
    load("ledger_bundle_rich.jsonl");
    replace("quorum.changed", "vault.unlocked");
    assert_bad(&middle, 30, "malformed record of operators");
    load("ledger_bundle_rich.jsonl");
    replace("{\"vault_checkpoint\":", "{\"commitment\":");
    assert_bad(&middle, 30, "malformed line");
    load("ledger_bundle_rich.jsonl");
    replace("\"round\":4", "\"round\":3");
    assert_bad(&middle, 30, "malformed record of a commitment");
    load("ledger_bundle_rich.jsonl");
    replace("\"tree_size\":6", "\"tree_size\":7");
    assert_bad(&middle, 30, "commitment is not in the vault's tree");
    load("ledger_bundle_rich.jsonl");
    replace("\"siblings\":\"", "\"siblings\":\"00");
    assert_bad(&middle, 30, "malformed line");
    load("ledger_bundle_rich.jsonl");
    replace("\"index\":", "\"index\":1");
    assert_bad(&middle, 30, "malformed line");
    load("ledger_bundle_rich.jsonl");
    char *blind = strstr(text, "{\"commitment\":\"") + 15;

    *blind = *blind == '0' ? '1' : '0';
    assert_bad(&middle, 30, "commitment does not hold");
}

static void after_a_failure_nothing_more_is_believed(void **state)
{
    struct err e = { 0 };

    (void)state;
    load("ledger_bundle.jsonl");
    replace("\"seq\":7,", "\"seq\":8,");
    assert_bad(&nothing, 7, "wrong sequence");
    assert_int_equal(bundle_line(&b, span_text("{}"), &e), CORRUPT);
    assert_string_equal(e.why, "wrong sequence");
    assert_int_equal(bundle_end(&b, NULL), CORRUPT);
    assert_int_equal(b.bad_seq, 7);
}

static void what_is_no_bundle_is_no_verdict(void **state)
{
    (void)state;
    text[0] = '\0';
    assert_int_equal(verify(&nothing, 1), BAD_INPUT);
    load("ledger_bundle.jsonl");
    replace("\"strongroom_export\":2", "\"strongroom_export\":1");
    assert_int_equal(verify(&nothing, 1), BAD_INPUT);
    load("ledger_bundle.jsonl");
    replace("\"to\":50", "\"to\":51");
    assert_int_equal(verify(&nothing, 1), BAD_INPUT);
    memset(text, 'a', sizeof(text) - 1);
    assert_int_equal(verify(&nothing, 1000), BAD_INPUT);
}

static void a_line_without_end_is_refused_in_bounded_memory(void **state)
{
    static char endless[3 * BUNDLE_LINE_MAX];
    status st = OK;

    (void)state;
    load("ledger_bundle.jsonl");
    memset(endless, 'a', sizeof(endless));
    bundle_begin(&b, &nothing);
    bundle_feed_begin(&feed, &b);
    assert_int_equal(
        bundle_feed(&feed, span_of(text, (size_t)(strchr(text, '\n') + 1 - text)), NULL), OK);
    for (size_t at = 0; at < sizeof(endless) && st == OK; at += 1000)
        st = bundle_feed(&feed, span_of(endless + at, 1000), NULL);
    assert_int_equal(st, CORRUPT);
    assert_string_equal(b.err.why, "malformed");
    assert_int_equal(b.bad_seq, 0);
}

/* --- proofs of single records ------------------------------------------------------------------ */

static struct tlog_proof proof;

static status prove(struct err *e)
{
    struct record_head head;
    struct id of_vault;
    uint64_t size = 0;
    status st = tlog_proof_read(span_text(text), &proof, e);

    if (st == OK)
        st = tlog_proof_verify(&proof, SPAN(golden_key), NULL, 0, &of_vault, &head, &size, e);
    if (st != OK)
        return st;
    assert_true(id_same(&of_vault, &vault));
    assert_int_equal(head.seq, 33);
    assert_int_equal(size, 50);
    return OK;
}

static void the_proof_of_a_record_verifies_and_is_written_the_same(void **state)
{
    static uint8_t again[TLOG_PROOF_MAX];
    struct out o;

    (void)state;
    load("ledger_proof.txt");
    assert_int_equal(prove(NULL), OK);
    out_init(&o, again, sizeof(again));
    assert_int_equal(tlog_proof_write(span_of(proof.record, proof.record_length), proof.index,
                                      &proof.proof, proof.note, &o, NULL),
                     OK);
    assert_true(span_same(span_of(o.p, o.n), span_text(text)));
    out_init(&o, again, 1000);
    assert_int_equal(tlog_proof_write(span_of(proof.record, proof.record_length), proof.index,
                                      &proof.proof, proof.note, &o, NULL),
                     LIMIT);
}

static void a_proof_with_any_changed_byte_or_cut_off_is_refused(void **state)
{
    size_t size = 0;
    size_t ours = 0;

    (void)state;
    load("ledger_proof.txt");
    size = strlen(text);
    ours = (size_t)(strstr(text, "\xe2\x80\x94 witness.example") - text);
    for (size_t i = 0; i < ours; i++) {
        char was = text[i];

        text[i] ^= 1;
        assert_int_not_equal(prove(NULL), OK);
        text[i] = '\0';
        assert_int_not_equal(prove(NULL), OK);
        text[i] = was;
    }
    assert_true(ours < size);
}

static void a_proof_of_another_place_log_or_record_is_refused(void **state)
{
    struct err e = { 0 };

    (void)state;
    load("ledger_proof.txt");
    replace("index 33", "index 34");
    assert_int_equal(prove(&e), CORRUPT);
    assert_string_equal(e.why, "wrong sequence");
    e = (struct err){ 0 };
    load("ledger_proof.txt");
    replace("/101112131415", "/101112131414");
    assert_int_equal(prove(&e), CORRUPT);
    assert_string_equal(e.why, "wrong log");
    e = (struct err){ 0 };
    load("ledger_proof.txt");
    replace("extra ", "");
    assert_int_equal(prove(&e), BAD_INPUT);
    assert_string_equal(e.why, "the proof has no record with it");
}

static void a_proof_says_whether_a_witness_has_signed(void **state)
{
    struct note_key witness;
    struct record_head head;
    struct err e = { 0 };
    struct id of_vault;
    uint64_t size = 0;

    (void)state;
    load("ledger_proof.txt");
    assert_int_equal(note_key_parse(span_text(WITNESS), &witness, NULL), OK);
    assert_int_equal(tlog_proof_read(span_text(text), &proof, NULL), OK);
    assert_int_equal(
        tlog_proof_verify(&proof, SPAN(golden_key), &witness, 1, &of_vault, &head, &size, NULL),
        OK);
    witness.id[0] ^= 1;
    assert_int_equal(
        tlog_proof_verify(&proof, SPAN(golden_key), &witness, 1, &of_vault, &head, &size, &e),
        CORRUPT);
    assert_string_equal(e.why, "not signed by a witness that was asked for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_bundle_verifies_in_pieces_of_any_size),
        cmocka_unit_test(a_range_verifies_with_names_operators_commitment_and_witness),
        cmocka_unit_test(records_may_be_missing_only_with_a_statement_or_on_request),
        cmocka_unit_test(a_key_that_is_not_the_one_given_is_told_at_once),
        cmocka_unit_test(lines_stand_in_their_order_only),
        cmocka_unit_test(what_is_said_beside_the_records_is_proven),
        cmocka_unit_test(after_a_failure_nothing_more_is_believed),
        cmocka_unit_test(what_is_no_bundle_is_no_verdict),
        cmocka_unit_test(a_line_without_end_is_refused_in_bounded_memory),
        cmocka_unit_test(the_proof_of_a_record_verifies_and_is_written_the_same),
        cmocka_unit_test(a_proof_with_any_changed_byte_or_cut_off_is_refused),
        cmocka_unit_test(a_proof_of_another_place_log_or_record_is_refused),
        cmocka_unit_test(a_proof_says_whether_a_witness_has_signed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
