/*
 * The ledger against files that tests/golden/ledger_make.py made without any of this code: RFC 6962
 * roots, our own vectors byte for byte, and more than a thousand tampered logs on which this
 * verifier and tests/verify_audit.py must say the same.
 */
#include "test_ledger_log.h"

#include <jansson.h>

#define GOLDEN         SOURCE_DIR "/tests/golden/"
#define RECORDS        50
#define SHEET_LINE_MAX (LIMIT_RECORD + 64) /* some cases are lines just above the limit */

static json_t *golden(const char *path)
{
    json_error_t error;
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

    if (j == NULL)
        print_error("%s: %s\n", path, error.text);
    assert_non_null(j);
    return j;
}

static struct span text_of(const json_t *j, const char *name)
{
    json_t *value = json_object_get(j, name);

    assert_true(json_is_string(value));
    return span_of(json_string_value(value), json_string_length(value));
}

static uint64_t number_of(const json_t *j, const char *name)
{
    json_t *value = json_object_get(j, name);

    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

/* The hex text of a member as n bytes. */
static void bytes_of(const json_t *j, const char *name, uint8_t *out, size_t n)
{
    struct span hex = text_of(j, name);

    assert_true(hex_parse((const char *)hex.p, hex.n, out, n));
}

static struct id id_of(const json_t *j, const char *name)
{
    struct id id;

    bytes_of(j, name, id.b, sizeof(id.b));
    return id;
}

static void append(struct ledger_tree *t, struct span line, uint64_t time_us)
{
    uint8_t leaf[SHA256_SIZE];

    ledger_leaf(line, leaf);
    assert_int_equal(ledger_append(t, leaf, time_us, NULL), OK);
}

static void assert_root(const struct ledger_tree *t, const json_t *hex)
{
    uint8_t root[SHA256_SIZE];

    ledger_root(t, root);
    assert_hex(SPAN(root), json_string_value(hex));
}

static void the_roots_are_those_of_rfc_6962(void **state)
{
    json_t *j = golden(GOLDEN "ledger_rfc6962.json");
    json_t *inputs = json_object_get(j, "inputs");
    json_t *roots = json_object_get(j, "roots");
    json_t *numbered = json_object_get(j, "numbered_roots");
    struct ledger_tree t;

    (void)state;
    assert_int_equal(json_array_size(inputs), 8);
    assert_int_equal(json_array_size(roots), 9);
    ledger_genesis(&vault, &log_id, &t);
    for (size_t n = 0; n <= 8; n++) {
        uint8_t input[16];
        const char *hex = NULL;

        assert_root(&t, json_array_get(roots, n));
        if (n == 8)
            break;
        hex = json_string_value(json_array_get(inputs, n));
        assert_true(hex_parse(hex, strlen(hex), input, strlen(hex) / 2));
        append(&t, span_of(input, strlen(hex) / 2), 0);
    }
    ledger_genesis(&vault, &log_id, &t);
    for (size_t n = 0; n < json_array_size(numbered); n++) {
        uint8_t input[2] = { (uint8_t)(n >> 8), (uint8_t)n };

        assert_root(&t, json_array_get(numbered, n));
        append(&t, SPAN(input), 0);
    }
    json_decref(j);
}

static enum outcome outcome_of(const json_t *record)
{
    struct span text = text_of(record, "outcome");

    if (span_same(text, span_text("ok")))
        return OUTCOME_OK;
    return span_same(text, span_text("denied")) ? OUTCOME_DENIED : OUTCOME_FAILED;
}

/* Composes one golden record at the end of t and compares line, MAC and leaf. */
static void check_record(struct ledger_tree *t, const json_t *record, const struct secret *mac_key)
{
    struct record_head head = { .log = t->log,
                                .seq = t->size,
                                .time_us = number_of(record, "time_us"),
                                .type = record_type_parse(text_of(record, "type")),
                                .outcome = outcome_of(record) };
    struct span engine_fields = text_of(record, "engine_fields");
    uint8_t bytes[LIMIT_RECORD];
    uint8_t mac[MAC_SIZE];
    struct out o;
    struct span line;

    memcpy(head.prev, t->prev, sizeof(head.prev));
    assert_int_equal(record_fields_check(engine_fields, NULL), OK);
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(
        record_compose(&head, text_of(record, "keeper_fields"), engine_fields, &o, NULL), OK);
    line = span_of(o.p, o.n);
    assert_true(span_same(line, text_of(record, "line")));
    assert_int_equal(ledger_mac(mac_key, line, mac, NULL), OK);
    assert_hex(SPAN(mac), (const char *)text_of(record, "mac").p);
    append(t, line, head.time_us);
    assert_hex(SPAN(t->prev), (const char *)text_of(record, "leaf").p);
}

static void records_macs_root_head_and_checkpoint_are_reproduced_byte_for_byte(void **state)
{
    json_t *j = golden(GOLDEN "ledger_v1.json");
    struct id golden_vault = id_of(j, "vault");
    struct id golden_log = id_of(j, "log");
    AUTO(secret) *root = NULL;
    AUTO(secret) *key = NULL;
    AUTO(secret) *mac_key = NULL;
    AUTO(secret) *head_key = NULL;
    uint8_t bytes[LEDGER_HEAD_MAX];
    uint8_t key32[32];
    struct ledger_tree t;
    json_t *record = NULL;
    size_t i = 0;
    struct out o;

    (void)state;
    bytes_of(j, "audit_root", key32, sizeof(key32));
    assert_int_equal(secret_copy(SPAN(key32), &root, NULL), OK);
    assert_int_equal(ledger_audit_key(root, &golden_vault, &golden_log, &key, NULL), OK);
    assert_hex(secret_view(key), (const char *)text_of(j, "audit_key").p);
    assert_int_equal(ledger_mac_key(secret_view(key), &mac_key, NULL), OK);
    ledger_genesis(&golden_vault, &golden_log, &t);
    assert_hex(SPAN(t.prev), (const char *)text_of(j, "genesis").p);

    bytes_of(j, "seed", key32, sizeof(key32));
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(checkpoint_sign(&golden_vault, &t, SPAN(key32), &o, NULL), OK);
    assert_true(span_same(span_of(o.p, o.n), text_of(j, "empty_checkpoint")));
    assert_int_equal(json_array_size(json_object_get(j, "records")), 3);
    json_array_foreach(json_object_get(j, "records"), i, record)
    {
        check_record(&t, record, mac_key);
    }
    assert_root(&t, json_object_get(j, "root"));
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(checkpoint_sign(&golden_vault, &t, SPAN(key32), &o, NULL), OK);
    assert_true(span_same(span_of(o.p, o.n), text_of(j, "checkpoint")));

    bytes_of(j, "head_key", key32, sizeof(key32));
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(ledger_head_mac_key(SPAN(key32), &head_key, NULL), OK);
    assert_int_equal(ledger_head_encode(&t, head_key, &o, NULL), OK);
    assert_hex(span_of(o.p, o.n), (const char *)text_of(j, "head").p);
    json_decref(j);
}

static void types_keep_their_codes_and_names(void **state)
{
    json_t *j = golden(GOLDEN "ledger_v1.json");
    json_t *types = json_object_get(j, "types");
    json_t *type = NULL;
    size_t known = 0;
    size_t i = 0;

    (void)state;
    json_array_foreach(types, i, type)
    {
        uint16_t code = (uint16_t)number_of(type, "code");

        assert_int_equal(record_type_parse(text_of(type, "name")), code);
        assert_int_equal(record_type_keeper_only(code),
                         json_is_true(json_object_get(type, "keeper_only")));
    }
    for (uint32_t code = 0; code <= UINT16_MAX; code++)
        known += record_type_name((uint16_t)code) != NULL ? 1u : 0u;
    assert_int_equal(known, json_array_size(types));
    json_decref(j);
}

static void text_is_escaped_as_a_json_library_does(void **state)
{
    json_t *j = golden(GOLDEN "ledger_v1.json");
    json_t *entry = NULL;
    size_t i = 0;

    (void)state;
    json_array_foreach(json_object_get(j, "escapes"), i, entry)
    {
        struct fields f;

        fields_init(&f);
        fields_span(&f, "why", text_of(entry, "text"));
        assert_true(span_same(fields_view(&f), text_of(entry, "fragment")));
    }
    json_decref(j);
}

/* A log as text lines, and the edits that ledger_make.py knows. */
struct sheet {
    size_t count;
    struct span line[RECORDS + 1];
    struct span note;
    uint8_t changed[SHEET_LINE_MAX];
};

static void sheet_remove(struct sheet *s, size_t at)
{
    for (size_t i = at; i + 1 < s->count; i++)
        s->line[i] = s->line[i + 1];
    s->count--;
}

static void sheet_insert(struct sheet *s, size_t at, struct span line)
{
    assert_true(s->count <= RECORDS);
    for (size_t i = s->count; i > at; i--)
        s->line[i] = s->line[i - 1];
    s->line[at] = line;
    s->count++;
}

static void sheet_edit(struct sheet *s, const json_t *edit)
{
    struct span op = text_of(edit, "op");
    json_t *record = json_object_get(edit, "record");
    size_t at = (size_t)json_integer_value(record);
    struct span was = at < s->count ? s->line[at] : span_of(NULL, 0);

    if (span_same(op, span_text("flip"))) {
        memcpy(s->changed, was.p, was.n);
        s->changed[number_of(edit, "at")] ^= (uint8_t)number_of(edit, "xor");
        s->line[at] = span_of(s->changed, was.n);
    } else if (span_same(op, span_text("delete"))) {
        sheet_remove(s, at);
    } else if (span_same(op, span_text("duplicate"))) {
        sheet_insert(s, at, was);
    } else if (span_same(op, span_text("swap"))) {
        s->line[at] = s->line[number_of(edit, "with")];
        s->line[number_of(edit, "with")] = was;
    } else if (span_same(op, span_text("keep"))) {
        s->count = at;
    } else if (span_same(op, span_text("shorten"))) {
        s->line[at] = span_of(was.p, number_of(edit, "at"));
    } else if (span_same(op, span_text("replace"))) {
        s->line[at] = text_of(edit, "line");
    } else if (span_same(op, span_text("append"))) {
        sheet_insert(s, s->count, text_of(edit, "line"));
    } else if (span_same(op, span_text("note"))) {
        s->note = text_of(edit, "note");
    } else {
        assert_true(span_same(op, span_text("none")));
    }
}

static void check_case(const struct sheet *original, const json_t *file, const json_t *one)
{
    json_t *bad = json_object_get(one, "bad");
    struct id case_vault = id_of(file, "vault");
    struct id case_log = id_of(file, "log");
    struct sheet s = *original;
    struct ledger_verify v;
    uint8_t public32[32];
    status st = OK;
    bool agree = false;

    bytes_of(file, "public_key", public32, sizeof(public32));
    sheet_edit(&s, json_object_get(one, "edit"));
    ledger_verify_init(&v, &case_vault, &case_log);
    for (size_t i = 0; i < s.count && st == OK; i++)
        st = ledger_verify_line(&v, s.line[i], NULL);
    st = ledger_verify_finish(&v, s.note, SPAN(public32), NULL);
    if (json_is_null(bad))
        agree = st == OK;
    else
        agree = st == CORRUPT && v.bad_seq == number_of(bad, "record") &&
                span_same(span_text(v.err.why), text_of(bad, "why"));
    if (!agree) {
        char *text = json_dumps(one, JSON_COMPACT);

        print_error("%s\nhere: %s at %zu\n", text, st == OK ? "verifies" : v.err.why,
                    (size_t)v.bad_seq);
        free(text);
    }
    assert_true(agree);
}

static void both_verifiers_name_the_same_record_and_reason(void **state)
{
    json_t *j = golden(GOLDEN "ledger_tampered.json");
    struct sheet *original = calloc(1, sizeof(*original));
    FILE *bundle = fopen(GOLDEN "ledger_bundle.jsonl", "r");
    static char bytes[65536];
    json_t *note = NULL;
    json_t *one = NULL;
    char *line = bytes;
    size_t i = 0;

    (void)state;
    assert_non_null(original);
    assert_non_null(bundle);
    bytes[fread(bytes, 1, sizeof(bytes) - 1, bundle)] = '\0';
    fclose(bundle);
    line = strchr(line, '\n') + 1; /* after the header */
    for (; original->count < RECORDS; original->count++) {
        char *end = strchr(line, '\n');

        original->line[original->count] = span_of(line, (size_t)(end - line));
        line = end + 1;
    }
    note = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    original->note = text_of(note, "checkpoint");
    assert_true(json_array_size(json_object_get(j, "cases")) > 1000);
    json_array_foreach(json_object_get(j, "cases"), i, one)
    {
        check_case(original, j, one);
    }
    json_decref(note);
    free(original);
    json_decref(j);
}

static int start(void **state)
{
    (void)state;
    return secret_start(65536, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roots_are_those_of_rfc_6962),
        cmocka_unit_test(records_macs_root_head_and_checkpoint_are_reproduced_byte_for_byte),
        cmocka_unit_test(types_keep_their_codes_and_names),
        cmocka_unit_test(text_is_escaped_as_a_json_library_does),
        cmocka_unit_test(both_verifiers_name_the_same_record_and_reason),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
