/*
 * An operation is collected approval by approval and closed by its effect. What the keeper wrote
 * into an approval decides what it is: a public key means a hardware key, and then a signature is
 * due, whatever else the server added to the record.
 */
#include "step_up.h"

#include <stdio.h>
#include <string.h>

#include "fido/fido.h"
#include "memory.h"
#include "reply.h"
#include "report.h"
#include "table.h"

/* A member of the text, and the field of the effect that says the same. */
struct member {
    const char *name;
    const char *field;  /* NULL: the effect does not say it */
    const char *any;    /* this value leaves it open */
    const char *absent; /* this value is in no field */
};

/* Members in the order of the text. */
static const struct kind {
    uint16_t effect;
    const char *what; /* field "what" of the effect */
    struct member members[4];
} kinds[] = {
    [OPERATION_OPERATOR_ADD] = { RECORD_OPERATOR_ENROLLED,
                                 NULL,
                                 { { "operator", "operator", NULL, NULL },
                                   { "slot", "slot_id", NULL, NULL },
                                   { "public_key", "public_key", NULL, NULL } } },
    [OPERATION_OPERATOR_REMOVE] = { RECORD_OPERATOR_REMOVED,
                                    NULL,
                                    { { "operator", "operator", NULL, NULL },
                                      { "slot", "slot_id", "all", NULL } } },
    [OPERATION_QUORUM_SET] = { RECORD_QUORUM_CHANGED,
                               NULL,
                               { { "number", "quorum", NULL, NULL } } },
    [OPERATION_CARD_RENEW] = { RECORD_CARDS_RENEWED,
                               NULL,
                               { { "number", "cards", NULL, NULL },
                                 { "recovery_key", NULL, NULL, NULL } } },
    [OPERATION_REKEY_ROOT] = { RECORD_REKEY_BEGUN, "root", { { 0 } } },
    [OPERATION_REKEY_TENANT] = { RECORD_REKEY_BEGUN,
                                 "tenant",
                                 { { "tenant", "log", NULL, NULL } } },
    [OPERATION_REKEY_DATABASE] = { RECORD_REKEY_BEGUN, "database", { { 0 } } },
    [OPERATION_PURGE_NOW] = { RECORD_PURGE_HASTENED,
                              NULL,
                              { { "tenant", "log", NULL, NULL },
                                { "engagement", "engagement_id", NULL, NULL } } },
    [OPERATION_HOLD_SET] = { RECORD_ENGAGEMENT_HELD,
                             NULL,
                             { { "tenant", "log", NULL, NULL },
                               { "engagement", "engagement_id", NULL, NULL } } },
    [OPERATION_HOLD_LIFT] = { RECORD_ENGAGEMENT_LIFTED,
                              NULL,
                              { { "tenant", "log", NULL, NULL },
                                { "engagement", "engagement_id", NULL, NULL } } },
    [OPERATION_GRANT_ADD] = { RECORD_GRANT_ADDED,
                              NULL,
                              { { "tenant", "log", NULL, NULL },
                                { "gateway", "gateway_id", NULL, NULL },
                                { "key", "pattern", NULL, NULL },
                                { "max_ttl", "max_ttl_s", NULL, "0" } } },
    [OPERATION_ROLLBACK_ACCEPT] = { RECORD_ROLLBACK_ACCEPTED,
                                    NULL,
                                    { { "size", "size", NULL, NULL },
                                      { "root", "root", NULL, NULL },
                                      { "known_size", "known_size", NULL, NULL },
                                      { "known_root", "known_root", NULL, NULL } } },
    [OPERATION_RETENTION_SET] = { RECORD_RETENTION_SET,
                                  NULL,
                                  { { "number", "days", NULL, NULL },
                                    { "tenant", "tenant_id", NULL, NULL } } },
    [OPERATION_POLICY_SET] = { RECORD_POLICY_SET,
                               NULL,
                               { { "tenant", "log", NULL, NULL },
                                 { "document", "document", NULL, NULL } } },
};
#define KIND_COUNT   (sizeof(kinds) / sizeof(kinds[0]))
#define MEMBER_COUNT (sizeof(kinds[0].members) / sizeof(kinds[0].members[0]))

static bool is_effect(uint16_t type)
{
    for (size_t i = 1; i < KIND_COUNT; i++) {
        if (kinds[i].effect == type)
            return true;
    }
    return false;
}

/* --- the text -------------------------------------------------------------------------------- */

struct words {
    uint8_t code; /* 0: this is no text of an operation */
    char text[OPERATION_TEXT_MAX + 1];
    const char *value[MEMBER_COUNT];
};

/* The value of "name=value" with that name, or NULL. */
static const char *value_of(const char *word, const char *name)
{
    size_t n = strlen(name);

    if (word == NULL || strncmp(word, name, n) != 0 || word[n] != '=' || word[n + 1] == '\0')
        return NULL;
    return word + n + 1;
}

/* Takes the next word off *rest: up to one space, or the end. */
static char *next_word(char **rest)
{
    char *word = *rest;
    char *space = word != NULL ? strchr(word, ' ') : NULL;

    *rest = space != NULL ? space + 1 : NULL;
    if (space != NULL)
        *space = '\0';
    return word;
}

/* Name, id, then exactly the members of the table. */
static void read_text(const char *text, struct words *ret_words)
{
    struct words *w = ret_words;
    char *rest = w->text;
    size_t i = 0;

    *w = (struct words){ .code = 0 };
    if (strlen(text) > OPERATION_TEXT_MAX)
        return;
    memcpy(w->text, text, strlen(text));
    uint8_t code = operation_parse(next_word(&rest));

    if (code == 0 || code >= KIND_COUNT || value_of(next_word(&rest), "id") == NULL)
        return;
    for (; i < MEMBER_COUNT && kinds[code].members[i].name != NULL; i++) {
        w->value[i] = value_of(next_word(&rest), kinds[code].members[i].name);
        if (w->value[i] == NULL)
            return;
    }
    if (rest == NULL)
        w->code = code;
}

/* --- approvals ------------------------------------------------------------------------------- */

struct approval {
    const char *operation;
    const char *text;
    const char *slot;
    const char *operator_name;
    const char *public_key; /* NULL: a recovery card */
    const char *time;
    uint64_t have;
    uint64_t need;
    uint8_t hash[32];
    uint8_t context[32];
    uint8_t key[64];
    struct fido_assertion assertion;
    struct words words;
};

static const char *read_bytes(const json_t *record, const char *name, uint8_t *out, size_t cap,
                              size_t *ret_n)
{
    const char *text = reply_text(record, name);

    if (text == NULL)
        return "approval has no signature";
    *ret_n = strlen(text) / 2;
    if (*ret_n > cap)
        return "assertion has the wrong size";
    return hex_parse(text, strlen(text), out, *ret_n) ? NULL : "approval is malformed";
}

static const char *read_touch(const json_t *record, struct approval *a)
{
    if (!reply_hex(record, "public_key", a->key, sizeof(a->key)) ||
        !reply_hex(record, "context", a->context, sizeof(a->context)))
        return "approval is malformed";
    const char *why = read_bytes(record, "auth_data", a->assertion.auth_data,
                                 sizeof(a->assertion.auth_data), &a->assertion.auth_data_length);

    return why != NULL ? why
                       : read_bytes(record, "signature", a->assertion.signature,
                                    sizeof(a->assertion.signature), &a->assertion.signature_length);
}

static const char *read_approval(const json_t *record, struct approval *a)
{
    *a = (struct approval){ .operation = reply_text(record, "operation"),
                            .text = reply_text(record, "text"),
                            .slot = reply_text(record, "slot_id"),
                            .operator_name = reply_text(record, "operator"),
                            .public_key = reply_text(record, "public_key"),
                            .time = reply_text(record, "time") };
    if (a->operation == NULL || a->text == NULL || a->slot == NULL || a->operator_name == NULL ||
        !reply_number(record, "have", LIMIT_SLOTS, &a->have) ||
        !reply_number(record, "need", LIMIT_SLOTS, &a->need) || a->have == 0 || a->need == 0)
        return "approval is malformed";
    read_text(a->text, &a->words);
    operation_hash(span_text(a->text), a->hash);
    if (a->public_key != NULL)
        return read_touch(record, a);
    return json_is_true(json_object_get(record, "recovery")) ? NULL : "approval is malformed";
}

/* A tenant's operations are in the tenant's log, all others in the vault's. */
static bool belongs(const struct step_ups *s, const struct words *w)
{
    char log[ID_HEX_LENGTH + 1];

    if (!operation_of_tenant(w->code))
        return id_is_zero(&s->log);
    hex_format(SPAN(s->log.b), log);
    return strcmp(w->value[0], log) == 0;
}

static const char *check_text(const struct step_ups *s, const struct approval *a)
{
    char hash[2 * sizeof(a->hash) + 1];

    hex_format(SPAN(a->hash), hash);
    if (strcmp(hash, a->operation) != 0)
        return "operation is not the hash of its text";
    if (a->words.code == 0)
        return "text is no operation";
    return belongs(s, &a->words) ? NULL : "operation belongs to another log";
}

static const char *check_touch(struct step_ups *s, const struct approval *a)
{
    uint8_t signed_hash[32];
    char context[2 * sizeof(a->context) + 1];
    struct err e = { 0 };

    if (a->public_key == NULL)
        return operation_recovers(a->words.code) ? NULL : "a recovery card does not approve this";
    operation_signed(a->hash, a->context, signed_hash);
    if (fido_verify(a->key, SPAN(signed_hash), &a->assertion, &e) != OK)
        return e.why;
    hex_format(SPAN(a->context), context);
    if (json_object_get(s->contexts, context) != NULL)
        return "approval repeats an earlier one";
    return json_object_set_new(s->contexts, context, json_true()) == 0 ? NULL : "no memory";
}

static const struct roster *roster_of(const struct step_ups *s)
{
    if (id_is_zero(&s->log))
        return &s->roster;
    return s->vault != NULL ? &s->vault->roster : NULL;
}

/* Without the vault's log: no slot changes hands within this one. */
static const char *check_first_seen(struct step_ups *s, const struct approval *a)
{
    const char *key = a->public_key != NULL ? a->public_key : "";
    const json_t *seen = json_object_get(s->slots, a->slot);

    if (seen != NULL)
        return strcmp(reply_text(seen, "operator"), a->operator_name) == 0 &&
                       strcmp(reply_text(seen, "public_key"), key) == 0
                   ? NULL
                   : "slot has another operator or key";
    json_t *slot = json_pack("{s:s, s:s}", "operator", a->operator_name, "public_key", key);
    return json_object_set_new(s->slots, a->slot, slot) == 0 ? NULL : "no memory";
}

static const char *check_slot(struct step_ups *s, const struct approval *a)
{
    const struct roster *r = roster_of(s);

    if (r == NULL)
        return check_first_seen(s, a);
    if (a->public_key == NULL)
        return roster_knows(r, a->slot) ? "slot is no recovery card" : NULL;
    const json_t *slot = roster_slot(r, a->slot, a->time);

    if (slot == NULL)
        return "slot was not enrolled then";
    return strcmp(reply_text(slot, "operator"), a->operator_name) == 0 &&
                   strcmp(reply_text(slot, "public_key"), a->public_key) == 0
               ? NULL
               : "slot has another operator or key";
}

/* Two keys of one operator are one approval; cards are told apart by their slots. */
static bool approved_already(const json_t *by, const struct approval *a)
{
    size_t i = 0;
    const json_t *one = NULL;

    json_array_foreach(by, i, one)
    {
        const char *key = reply_text(one, "public_key");

        if (strcmp(reply_text(one, "slot"), a->slot) == 0)
            return true;
        if (key != NULL && a->public_key != NULL &&
            (strcmp(reply_text(one, "operator"), a->operator_name) == 0 ||
             strcmp(key, a->public_key) == 0))
            return true;
    }
    return false;
}

/* The keeper counts from 1 again when it has forgotten: after ten minutes, or a lock. */
static const char *collect(struct step_ups *s, const struct approval *a)
{
    json_t *operation = json_object_get(s->operations, a->operation);

    if (a->have == 1) {
        operation = json_pack("{s:s, s:b, s:[]}", "text", a->text, "used", 0, "by");
        if (json_object_set_new(s->operations, a->operation, operation) != 0)
            return "no memory";
    }
    json_t *by = json_object_get(operation, "by");

    if (operation == NULL || json_is_true(json_object_get(operation, "used")) ||
        a->have != json_array_size(by) + 1)
        return "approvals are not counted one by one";
    if (approved_already(by, a))
        return "operator has approved already";
    json_t *one = json_pack("{s:s, s:s, s:s*}", "slot", a->slot, "operator", a->operator_name,
                            "public_key", a->public_key);
    if (json_array_append_new(by, one) != 0 ||
        json_object_set_new(operation, "need", json_integer((json_int_t)a->need)) != 0)
        return "no memory";
    return NULL;
}

static const char *take_approval(struct step_ups *s, const json_t *record)
{
    struct approval a;
    const struct roster *r = roster_of(s);
    const char *why = read_approval(record, &a);

    if (why == NULL)
        why = check_text(s, &a);
    if (why == NULL)
        why = check_touch(s, &a);
    if (why == NULL)
        why = check_slot(s, &a);
    if (why == NULL && r != NULL && a.need < roster_least(r, a.words.code, a.time))
        why = "fewer approvals were asked for than the quorum";
    if (why == NULL)
        why = collect(s, &a);
    s->approvals++;
    s->cards += a.public_key == NULL;
    return why;
}

/* --- effects --------------------------------------------------------------------------------- */

/* A field as text, numbers in decimal; NULL if there is none. */
static const char *field_text(const json_t *record, const char *name, char number[static 24])
{
    const json_t *field = json_object_get(record, name);

    if (!json_is_integer(field))
        return json_string_value(field);
    snprintf(number, 24, "%lld", (long long)json_integer_value(field));
    return number;
}

static bool member_fits(const struct member *p, const char *value, const json_t *record)
{
    char number[24];

    if (p->field == NULL || (p->any != NULL && strcmp(value, p->any) == 0))
        return true;
    const char *field = field_text(record, p->field, number);

    if (field == NULL)
        field = p->absent;
    return field != NULL && strcmp(value, field) == 0;
}

static const char *check_effect(const struct words *w, uint16_t type, const json_t *record)
{
    const struct kind *kind = &kinds[w->code];
    const char *what = reply_text(record, "what");

    if (kind->effect != type ||
        (kind->what != NULL && (what == NULL || strcmp(what, kind->what) != 0)))
        return "operation is for another effect";
    for (size_t i = 0; i < MEMBER_COUNT && kind->members[i].name != NULL; i++) {
        if (!member_fits(&kind->members[i], w->value[i], record))
            return "effect is not what was approved";
    }
    return NULL;
}

/* "alice, bob, recovery card" */
static void list_approvers(const json_t *by, char *out, size_t cap)
{
    size_t used = 0;
    size_t i = 0;
    const json_t *one = NULL;

    out[0] = '\0';
    json_array_foreach(by, i, one)
    {
        bool card = reply_text(one, "public_key") == NULL;
        int n = snprintf(out + used, cap - used, "%s%s", i > 0 ? ", " : "",
                         card ? "recovery card" : reply_text(one, "operator"));
        if (n < 0 || (size_t)n >= cap - used)
            return;
        used += (size_t)n;
    }
}

static const char *note_done(struct step_ups *s, const struct record_head *head,
                             const json_t *record, const struct words *w, json_t *operation)
{
    char approvers[512];

    list_approvers(json_object_get(operation, "by"), approvers, sizeof(approvers));
    json_t *done = json_pack("{s:I, s:s, s:s, s:s, s:s}", "seq", (json_int_t)head->seq, "time",
                             reply_text(record, "time"), "operation", operation_name(w->code),
                             "effect", record_type_name(head->type), "approved_by", approvers);
    if (json_array_append_new(s->done, done) != 0 ||
        json_object_set_new(operation, "used", json_true()) != 0)
        return "no memory";
    return NULL;
}

static const char *take_effect(struct step_ups *s, const struct record_head *head,
                               const json_t *record)
{
    const char *hash = reply_text(record, "operation");
    json_t *operation = hash != NULL ? json_object_get(s->operations, hash) : NULL;
    uint64_t need = 0;
    struct words w;

    if (json_object_get(record, "operation") == NULL) {
        if (head->type == RECORD_GRANT_ADDED)
            s->plain_grants++;
        /* A tenant's log is told of what was approved in the vault's. */
        if (head->type == RECORD_ROLLBACK_ACCEPTED && !id_is_zero(&head->log))
            return NULL;
        return head->type == RECORD_GRANT_ADDED || roster_birth(&s->roster, head)
                   ? NULL
                   : "effect names no operation";
    }
    if (operation == NULL)
        return "operation was not approved";
    if (json_is_true(json_object_get(operation, "used")))
        return "approvals were used before";
    if (!reply_number(operation, "need", LIMIT_SLOTS, &need) ||
        json_array_size(json_object_get(operation, "by")) < need)
        return "too few operators have approved";
    read_text(reply_text(operation, "text"), &w);
    const char *why = check_effect(&w, head->type, record);

    return why != NULL ? why : note_done(s, head, record, &w, operation);
}

/* --- a log ----------------------------------------------------------------------------------- */

void step_ups_begin(struct step_ups *s, const struct id *log)
{
    s->log = *log;
    s->slots = json_object();
    s->operations = json_object();
    s->contexts = json_object();
    s->done = json_array();
    s->waiting = s->enclosed != NULL ? json_array() : NULL;
}

void step_ups_clear(struct step_ups *s)
{
    roster_clear(&s->roster);
    json_decref(s->waiting);
    json_decref(s->slots);
    json_decref(s->operations);
    json_decref(s->contexts);
    json_decref(s->done);
    *s = (struct step_ups){ .vault = NULL };
}

static const char *take_record(struct step_ups *s, const struct record_head *head,
                               const json_t *record)
{
    const char *why = NULL;

    if (head->type == RECORD_OPERATION_APPROVED)
        return take_approval(s, record);
    if (is_effect(head->type))
        why = take_effect(s, head, record);
    if (why == NULL && id_is_zero(&s->log))
        why = roster_take(&s->roster, head, record);
    return why;
}

static json_t *read_record(struct span line)
{
    return json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
}

static void take_line(struct step_ups *s, const struct record_head *head, struct span line)
{
    AUTO(json_t) *record = read_record(line);

    s->bad_why = record != NULL ? take_record(s, head, record) : "no memory";
    s->bad_seq = head->seq;
}

void step_ups_line(struct step_ups *s, struct span line)
{
    struct record_head head;

    if (s->bad_why != NULL || record_parse(line, &head, NULL) != OK)
        return;
    if (head.type != RECORD_OPERATION_APPROVED && head.type != RECORD_VAULT_CREATED &&
        head.type != RECORD_REKEY_DONE && !is_effect(head.type))
        return;
    if (s->waiting == NULL)
        take_line(s, &head, line);
    else if (json_array_append_new(s->waiting,
                                   json_stringn_nocheck((const char *)line.p, line.n)) != 0)
        s->bad_why = "no memory";
}

void step_ups_operator(struct step_ups *s, struct span line)
{
    AUTO(json_t) *record = NULL;
    struct step_ups *vault = s->enclosed;
    struct record_head head;

    if (vault == NULL)
        return;
    s->vault = vault;
    if (vault->bad_why != NULL || record_parse(line, &head, NULL) != OK)
        return;
    record = read_record(line);
    vault->bad_why = record != NULL ? roster_take(&vault->roster, &head, record) : "no memory";
    vault->bad_seq = head.seq;
}

void step_ups_release(struct step_ups *s)
{
    AUTO(json_t) *waiting = s->waiting;
    size_t i = 0;
    const json_t *one = NULL;

    s->waiting = NULL;
    json_array_foreach(waiting, i, one)
    {
        step_ups_line(s, span_of(json_string_value(one), json_string_length(one)));
    }
}

json_t *step_ups_summary(const struct step_ups *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:O}", "operations",
                     (json_int_t)json_array_size(s->done), "approvals", (json_int_t)s->approvals,
                     "signatures", (json_int_t)(s->approvals - s->cards), "cards",
                     (json_int_t)s->cards, "plain_grants", (json_int_t)s->plain_grants, "enrolled",
                     roster_of(s) != NULL, "done", s->done);
}

static const struct column done_columns[] = {
    { "TIME", "time", COLUMN_TIME },
    { "SEQ", "seq", COLUMN_TEXT },
    { "OPERATION", "operation", COLUMN_TEXT },
    { "APPROVED BY", "approved_by", COLUMN_TEXT },
};

void step_ups_print(const struct step_ups *s, const char *log_name)
{
    unsigned long long cards = (unsigned long long)s->cards;
    unsigned long long signatures = (unsigned long long)(s->approvals - s->cards);

    print("%s: %zu privileged operations, all approved; %llu approvals signed by %s\n", log_name,
          json_array_size(s->done), signatures,
          roster_of(s) != NULL ? "the operators' enrolled keys" : "the keys that they name");
    if (cards > 0)
        print("%s: %llu approvals by recovery card: no signature, the keeper's word\n", log_name,
              cards);
    if (s->plain_grants > 0)
        print("%s: %llu grants took no step-up\n", log_name, (unsigned long long)s->plain_grants);
    if (json_array_size(s->done) > 0)
        table_print(s->done, COLUMNS(done_columns), "");
    if (roster_of(s) == NULL)
        say("Whose keys they are is in the vault's log: give its export with --vault-bundle.");
    else if (s->vault != NULL && s->vault == s->enclosed)
        say("Whose keys they are is what the bundle says, which may leave out a removal: "
            "--vault-bundle shows all.");
}
