/* What the server says of its trail by itself, and the proofs it gives: checked from checkpoints
 * alone, as a client does. */
#include "engine_customer.h"
#include "ledger/checkpoint.h"
#include "ledger/commitment.h"
#include "ledger/proof.h"
#include "store/checkpoint.h"

static const struct id tree_log = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

/* A log as its checkpoint has it. */
struct seen {
    uint64_t size;
    uint8_t root[32];
    struct id log;
};

static struct seen read_note(const char *note, struct span *ret_text)
{
    struct seen s = { 0 };
    struct id vault;
    struct err e = { 0 };

    assert_int_equal(
        checkpoint_read(span_text(note), &vault, &s.log, &s.size, s.root, ret_text, &e), OK);
    return s;
}

static struct seen show(struct rig *r, const struct holder *who, const char *log)
{
    json_t *reply = rig_get(r, VERB_LOG_SHOW, who, log, NULL, NULL);
    struct span text;
    struct seen s = read_note(rig_text(reply, "checkpoint"), &text);

    json_decref(reply);
    return s;
}

static struct ledger_proof proof_of(const json_t *list)
{
    struct ledger_proof p = { .count = json_array_size(list) };
    size_t n;

    for (size_t i = 0; i < p.count; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        assert_true(base64_parse(text, strlen(text), p.hash[i], 32, &n) && n == 32);
    }
    return p;
}

struct range {
    uint64_t from, to, size, seq;
};
#define NONE REQUEST_ABSENT

static struct request *ask(struct rig *r, enum verb verb, const struct holder *who, const char *log,
                           struct range range)
{
    struct request *rq = rig_request(r, verb, who, log, NULL, NULL);

    rq->from = range.from;
    rq->to = range.to;
    rq->size = range.size;
    rq->seq = range.seq;
    rig_submit(r, rq);
    rig_wait(r);
    return rq;
}

static struct request *committed(struct rig *r, const struct holder *who, const char *log)
{
    for (unsigned i = 0; i < 500; i++) {
        struct request *rq = rig_ask(r, VERB_LOG_COMMITMENT, who, log, NULL, NULL);

        if (rq->outcome == OK)
            return rq;
        assert_int_equal(rq->outcome, NOT_FOUND);
        request_free(rq);
        usleep(10000);
    }
    return NULL;
}

/* Waits for a round of at least that number that has as much of the log; returns its number. */
static uint64_t await_round(struct rig *r, const struct holder *who, const char *log,
                            uint64_t round, uint64_t size)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct request *rq = committed(r, who, log);
        struct span text;

        assert_non_null(rq);
        uint64_t number = (uint64_t)json_integer_value(json_object_get(rq->reply, "round"));
        uint64_t tree = read_note(rig_text(rq->reply, "tree_checkpoint"), &text).size;
        uint64_t held = read_note(rig_text(rq->reply, "checkpoint"), &text).size;
        request_free(rq);
        if (number >= round && held >= size) {
            assert_true(tree > number); /* the tree's own checkpoint has the round */
            assert_true(show(r, who, "tree").size >= tree);
            return number;
        }
        usleep(10000);
    }
    rig_must(false, "no such round");
    return 0;
}

static void restart_with(struct rig *r, uint64_t checkpoint_s, uint64_t checkpoint_idle_s)
{
    r->settings.checkpoint_s = checkpoint_s;
    r->settings.checkpoint_idle_s = checkpoint_idle_s;
    rig_restart_engine(r);
}

static void an_idle_vault_is_committed_to_again_and_again(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    customer_new(r, "acme");
    restart_with(r, 3600, 1); /* what grew has its round at once, and no other for an hour */
    uint64_t size = show(r, &r->alice, "acme").size;
    uint64_t first = await_round(r, &r->alice, "acme", 0, size);
    await_round(r, &r->alice, "acme", first + 1, size);
    rig_free(r);
}

static void what_changed_is_committed_to_soon(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    customer_new(r, "acme");
    restart_with(r, 1, 3600);
    uint64_t size = show(r, &r->alice, "acme").size;
    uint64_t first = await_round(r, &r->alice, "acme", 0, size);
    for (unsigned i = 0; i < 2; i++) {
        char name[8];
        snprintf(name, sizeof name, "e%u", i);
        rig_do(r, VERB_ENGAGEMENT_START, &r->alice, "acme", NULL, json_pack("{s:s}", "name", name));
        size = show(r, &r->alice, "acme").size;
        first = await_round(r, &r->alice, "acme", first + 1, size);
    }
    rig_free(r);
}

static void a_log_is_shown_to_be_the_continuation_of_what_it_was(void **state)
{
    struct rig *r = rig_new();
    struct seen old, new;

    (void)state;
    customer_new(r, "acme");
    for (unsigned i = 0; i < 4; i++) {
        old = show(r, &r->alice, "vault");
        char *csr = rig_csr();
        rig_do(r, VERB_CERTIFICATE_ISSUE, &r->alice, NULL, NULL,
               json_pack("{s:s, s:s, s:s}", "role", "auditor", "name", "ann", "csr", csr));
        free(csr);
        new = show(r, &r->alice, "vault");
        assert_true(new.size > old.size);
        struct request *rq = ask(r, VERB_LOG_CONSISTENCY, &r->alice, "vault",
                                 (struct range){ old.size, new.size, NONE, NONE });
        assert_int_equal(rq->outcome, OK);
        struct ledger_proof p = proof_of(json_object_get(rq->reply, "proof"));
        assert_int_equal(proof_consistency_check(old.size, old.root, new.size, new.root, &p, NULL),
                         OK);
        old.root[0] ^= 1;
        assert_int_equal(proof_consistency_check(old.size, old.root, new.size, new.root, &p, NULL),
                         CORRUPT);
        request_free(rq);
    }
    struct request *rq = ask(r, VERB_LOG_CONSISTENCY, &r->alice, "vault",
                             (struct range){ 0, new.size + 1000, NONE, NONE });
    assert_int_equal(rq->outcome, BAD_INPUT);
    request_free(rq);
    rig_free(r);
}

static void a_record_is_shown_to_be_in_its_log(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct seen now = show(r, &c.cert, "acme");
    uint8_t leaf[32];
    size_t n;

    (void)state;
    for (uint64_t seq = 0; seq < now.size; seq++) {
        struct request *rq =
            ask(r, VERB_LOG_INCLUSION, &c.cert, "acme", (struct range){ 0, NONE, now.size, seq });
        assert_int_equal(rq->outcome, OK);
        struct ledger_proof p = proof_of(json_object_get(rq->reply, "proof"));
        const char *text = rig_text(rq->reply, "leaf");
        assert_true(base64_parse(text, strlen(text), leaf, 32, &n));
        assert_int_equal(proof_inclusion_check(leaf, seq, now.size, now.root, &p, NULL), OK);
        request_free(rq);
    }
    struct request *rq =
        ask(r, VERB_LOG_INCLUSION, &c.cert, "acme", (struct range){ 0, NONE, NONE, NONE });
    assert_int_equal(rq->outcome, BAD_INPUT);
    request_free(rq);
    rq = ask(r, VERB_LOG_RANGE, &c.cert, "acme", (struct range){ 1, 3, NONE, NONE });
    assert_int_equal(rq->outcome, OK);
    /* The refusal has a record. */
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "size")), now.size + 1);
    request_free(rq);
    rig_free(r);
}

static void each_log_gets_a_branch_of_the_round_in_a_checkpoint_of_the_tree(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme");
    const char *const logs[] = { "acme", "vault" };

    (void)state;
    /* Its round may have been before it was there: what is rebuilt begins with one. */
    rig_restart_engine(r);
    for (size_t i = 0; i < 2; i++) {
        struct request *rq = committed(r, i == 0 ? &acme.cert : &r->alice, logs[i]);
        struct commitment c = { 0 };
        uint8_t root[32], said[32], leaf[32];
        struct span text, tree_text, field;

        assert_non_null(rq);
        read_note(rig_text(rq->reply, "checkpoint"), &text);
        struct seen tree = read_note(rig_text(rq->reply, "tree_checkpoint"), &tree_text);
        assert_true(id_same(&tree.log, &tree_log));
        c.round = (uint64_t)json_integer_value(json_object_get(rq->reply, "round"));
        c.index = (uint32_t)json_integer_value(json_object_get(rq->reply, "index"));
        assert_int_equal(c.index, i == 0 ? 1 : 0);
        rig_hex(rq->reply, "blind", c.blind, 32);
        for (size_t level = 0; level < COMMITMENT_LEVELS; level++) {
            const json_t *hash = json_array_get(json_object_get(rq->reply, "siblings"), level);
            assert_true(hex_parse(json_string_value(hash), 64, c.sibling[level], 32));
        }
        const char *record = rig_text(rq->reply, "record");
        assert_true(record_field(span_text(record), "root", &field));
        assert_true(hex_parse((const char *)field.p, field.n, said, 32));
        commitment_root(&c, text, root);
        assert_memory_equal(root, said, 32);
        ledger_leaf(span_text(record), leaf);
        struct ledger_proof p = proof_of(json_object_get(rq->reply, "tree_proof"));
        assert_int_equal(proof_inclusion_check(leaf, c.round, tree.size, tree.root, &p, NULL), OK);
        request_free(rq);
    }
    assert_int_equal(rig_try(r, VERB_LOG_COMMITMENT, &r->alice, "tree", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LOG_COMMITMENT, &acme.cert, "vault", NULL, NULL), NOT_FOUND);
    rig_free(r);
}

static void everybody_sees_the_tree_and_a_gateway_nothing_else(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    request_free(committed(r, &r->alice, "vault"));
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &c.cert, "tree", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &c.gateway, "tree", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_LOG_RECORDS, &c.gateway, "tree", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_LOG_CONSISTENCY, &c.gateway, "tree", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_LOG_INCLUSION, &c.gateway, "tree", NULL, NULL), DENIED);
    assert_int_equal(rig_try(r, VERB_LOG_COMMITMENT, &c.gateway, "acme", NULL, NULL), DENIED);
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &c.gateway, "acme", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LOG_RECORDS, &c.gateway, "vault", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LOG_CONSISTENCY, &c.gateway, "nowhere", NULL, NULL),
                     NOT_FOUND);
    assert_int_equal(
        rig_try(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL, json_pack("{s:s}", "name", "tree")),
        BAD_INPUT);
    rig_free(r);
}

static status cosign(struct rig *r, const struct holder *who, uint64_t size, const char *name,
                     size_t bytes)
{
    uint8_t blob[96] = { 1, 2, 3, 4 };
    char code[160], line[256];

    base64_format(span_of(blob, bytes), code);
    snprintf(line, sizeof line, "\xe2\x80\x94 %s %s\n", name, code);
    return rig_try(r, VERB_LOG_COSIGN, who, "tree", NULL,
                   json_pack("{s:I, s:s}", "size", (json_int_t)size, "cosignature", line));
}

static void cosignatures_are_shown_with_the_checkpoint_that_they_are_of(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char name[32];
    struct span text;

    (void)state;
    request_free(committed(r, &r->alice, "vault"));
    uint64_t size = show(r, &r->alice, "tree").size;
    assert_int_equal(cosign(r, &c.cert, size, "w.example", 76), DENIED);
    assert_int_equal(cosign(r, &r->alice, size, "w.example", 20), BAD_INPUT);
    assert_int_equal(cosign(r, &r->alice, size, "w+example", 76), BAD_INPUT);
    assert_int_equal(cosign(r, &r->alice, size + 50, "w.example", 76), NOT_FOUND);
    for (unsigned i = 0; i < 15; i++) {
        snprintf(name, sizeof name, "w%u.example", i);
        assert_int_equal(cosign(r, &r->alice, size, name, 76), OK);
    }
    assert_int_equal(cosign(r, &r->alice, size, "w3.example", 76), OK);
    assert_int_equal(cosign(r, &r->alice, size, "one.too.many", 76), LIMIT);
    json_t *shown = rig_get(r, VERB_LOG_SHOW, &c.gateway, "tree", NULL, NULL);
    const char *note = rig_text(shown, "cosigned");
    assert_int_equal(read_note(note, &text).size, size);
    assert_non_null(strstr(note, "\xe2\x80\x94 w14.example "));
    uint8_t root[32];
    uint64_t signed_size;
    assert_int_equal(checkpoint_verify(span_text(note), &r->en->vault, &tree_log,
                                       SPAN(r->en->ledger_public), &signed_size, root, NULL),
                     OK);
    json_decref(shown);
    rig_free(r);
}

/* 256 records make a subtree that is kept, and proofs across it hold. */
static void a_subtree_is_kept_when_it_is_complete(void **state)
{
    struct rig *r = rig_new();
    struct seen old, new;

    (void)state;
    customer_new(r, "acme");
    old = show(r, &r->alice, "acme");
    for (unsigned i = 0; i < 280; i++) {
        char name[32];
        snprintf(name, sizeof name, "e%u", i);
        rig_do(r, VERB_ENGAGEMENT_START, &r->alice, "acme", NULL, json_pack("{s:s}", "name", name));
    }
    new = show(r, &r->alice, "acme");
    assert_true(new.size > 270);
    struct request *rq = ask(r, VERB_LOG_CONSISTENCY, &r->alice, "acme",
                             (struct range){ old.size, NONE, NONE, NONE });
    assert_int_equal(rq->outcome, OK);
    struct ledger_proof p = proof_of(json_object_get(rq->reply, "proof"));
    assert_int_equal(proof_consistency_check(old.size, old.root, new.size, new.root, &p, NULL), OK);
    request_free(rq);
    rq = ask(r, VERB_LOG_RANGE, &r->alice, "acme", (struct range){ 256, 260, NONE, NONE });
    assert_int_equal(rq->outcome, OK);
    assert_int_equal(json_array_size(json_object_get(rq->reply, "left")), 1);
    request_free(rq);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_is_shown_to_be_the_continuation_of_what_it_was),
        cmocka_unit_test(a_record_is_shown_to_be_in_its_log),
        cmocka_unit_test(each_log_gets_a_branch_of_the_round_in_a_checkpoint_of_the_tree),
        cmocka_unit_test(an_idle_vault_is_committed_to_again_and_again),
        cmocka_unit_test(what_changed_is_committed_to_soon),
        cmocka_unit_test(everybody_sees_the_tree_and_a_gateway_nothing_else),
        cmocka_unit_test(cosignatures_are_shown_with_the_checkpoint_that_they_are_of),
        cmocka_unit_test(a_subtree_is_kept_when_it_is_complete),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
