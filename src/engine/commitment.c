/* What the vault tree says of one log, and what witnesses say of the vault tree. */
#include "nodes.h"
#include "trail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/checkpoint.h"
#include "ledger/commitment.h"
#include "ledger/note.h"

/* --- witnesses -------------------------------------------------------------------------------- */

status cosigned_note(struct engine *en, json_t **ret_note, uint64_t *ret_size, struct err *e)
{
    struct store_cosignature *all = calloc(COSIGNATURES_MAX, sizeof *all);
    struct err absent = { 0 };
    struct span note = { 0 };
    size_t count = 0, n, capacity;
    char *text;
    status st;

    *ret_note = NULL;
    *ret_size = 0;
    if (all == NULL)
        return fail(e, NO_MEMORY, "no memory for cosignatures", 0);
    st = store_cosignatures(en->store, all, COSIGNATURES_MAX, &count, e);
    if (st != OK || count == 0) {
        free(all);
        return st;
    }
    st = store_tree_note(en->store, all[0].size, &note, &absent);
    capacity = note.n + COSIGNATURES_MAX * (STORE_COSIGNATURE + 1);
    text = st == OK ? malloc(capacity) : NULL; /* public */
    if (text != NULL) {
        memcpy(text, note.p, note.n);
        n = note.n;
        for (size_t i = 0; i < count; i++)
            n += (size_t)snprintf(text + n, capacity - n, "%s\n", all[i].line);
        *ret_note = json_stringn(text, n);
        *ret_size = all[0].size;
        free(text);
    }
    free(all);
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    return *ret_note != NULL ? OK : fail(e, NO_MEMORY, "no memory for a note", 0);
}

status cosigned_add(struct engine *en, json_t *reply, struct err *e)
{
    json_t *note;
    uint64_t size;
    status st = cosigned_note(en, &note, &size, e);

    if (st == OK && note != NULL)
        json_object_set_new(reply, "cosigned", note);
    return st;
}

/* U+2014 name base64: whose it is goes into c, and the line without its newline. */
static status read_line(const char *text, struct store_cosignature *c, struct err *e)
{
    static const char dash[] = "\xe2\x80\x94 ";
    uint8_t blob[STORE_COSIGNATURE], zero[32] = { 0 };
    struct note_key any;
    struct span name, code;
    char id[2 * NOTE_KEY_ID + 1];
    const char *space;
    size_t n = strlen(text), length;

    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= sizeof dash || memcmp(text, dash, sizeof dash - 1) != 0 || n >= sizeof c->line)
        return fail(e, BAD_INPUT, "cosignature is not a signature line", 0);
    name.p = (const uint8_t *)text + sizeof dash - 1;
    space = memchr(name.p, ' ', n - (sizeof dash - 1));
    if (space == NULL)
        return fail(e, BAD_INPUT, "cosignature is not a signature line", 0);
    name.n = (size_t)(space - (const char *)name.p);
    code = span_of(space + 1, n - (size_t)(space + 1 - text));
    /* Key id, time and signature, at the least. */
    if (note_key_set(&any, name, NOTE_COSIGNATURE, SPAN(zero), NULL) != OK ||
        !base64_parse((const char *)code.p, code.n, blob, sizeof blob, &length) ||
        length < NOTE_KEY_ID + 8 + ED25519_SIGNATURE_SIZE)
        return fail(e, BAD_INPUT, "cosignature is not a signature line", 0);
    memcpy(c->line, text, n);
    hex_format(span_of(blob, NOTE_KEY_ID), id);
    snprintf(c->witness, sizeof c->witness, "%.*s+%s", (int)name.n, (const char *)name.p, id);
    return OK;
}

/* A line under the log's own name would have to verify as the vault's. */
static bool is_ours(const struct engine *en, const struct store_cosignature *c)
{
    char vault[ID_HEX_LENGTH + 1], prefix[64];

    hex_format(SPAN(en->vault.b), vault);
    snprintf(prefix, sizeof prefix, "strongroom/%s/", vault);
    return strncmp(c->witness, prefix, strlen(prefix)) == 0;
}

static status cosign_room(struct engine *en, const struct store_cosignature *c, struct err *e)
{
    struct store_cosignature *all = calloc(COSIGNATURES_MAX, sizeof *all);
    size_t count = 0;
    bool has = false;
    status st;

    if (all == NULL)
        return fail(e, NO_MEMORY, "no memory for cosignatures", 0);
    st = store_cosignatures(en->store, all, COSIGNATURES_MAX, &count, e);
    if (st == OK && count > 0 && c->size < all[0].size)
        st = fail(e, CONFLICT, "a newer checkpoint is cosigned already", 0);
    for (size_t i = 0; i < count; i++)
        has |= strcmp(all[i].witness, c->witness) == 0;
    if (st == OK && count == COSIGNATURES_MAX && c->size == all[0].size && !has)
        st = fail(e, LIMIT, "the checkpoint has as many cosignatures as a note may have", 0);
    free(all);
    return st;
}

/* Whether a witness is to be believed is for those to say who rely on it: only form counts here.
 * It is no record: it would make the next round, which asks for the next cosignature. */
APPLY(log_cosign)
{
    struct store_cosignature c = { 0 };
    const char *line;
    struct span note;
    struct id log;
    status st = trail_find(en, rq, &log, e);

    if (st == OK && !id_same(&log, &ledger_log_tree))
        st = fail(e, BAD_INPUT, "only the vault tree is cosigned", 0);
    if (st == OK)
        st = body_number(rq, "size", 0, 1, INT64_MAX, &c.size, e);
    if (st == OK)
        st = body_text(rq, "cosignature", false, STORE_COSIGNATURE - 1, &line, e);
    if (st == OK)
        st = read_line(line, &c, e);
    if (st == OK && is_ours(en, &c))
        st = fail(e, BAD_INPUT, "the vault is not its own witness", 0);
    if (st == OK)
        st = store_tree_note(en->store, c.size, &note, e);
    if (st == OK)
        st = cosign_room(en, &c, e);
    if (st != OK)
        return st;
    st = store_begin(en->store, e);
    if (st == OK)
        st = store_cosignature_add(en->store, &c, e);
    if (st == OK)
        st = store_commit(en->store, e);
    if (st != OK)
        engine_die(__func__, e);
    rq->reply = json_object();
    return OK;
}

/* --- the branch of a log ---------------------------------------------------------------------- */

struct branch {
    struct commitment c;
    char note[CHECKPOINT_MAX + 1];
};

static status get_branch(struct engine *en, const struct id *log, struct branch *b, struct err *e)
{
    struct span note;
    struct in body;
    status st;

    out_id(wire_client_begin(en->client, WIRE_COMMITMENT), log);
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    b->c.round = in_u64(&body);
    b->c.index = in_u32(&body);
    in_copy(&body, b->c.blind, sizeof b->c.blind);
    for (unsigned level = 0; level < COMMITMENT_LEVELS; level++)
        in_copy(&body, b->c.sibling[level], SHA256_SIZE);
    note = in_span16(&body);
    if (!in_end(&body) || note.n >= sizeof b->note)
        return fail(e, BUG, "the keeper's commitment is malformed", 0);
    memcpy(b->note, note.p, note.n);
    b->note[note.n] = '\0';
    return OK;
}

static bool take_line(void *context, const struct store_record *r)
{
    json_t **line = context;

    *line = json_stringn((const char *)r->line.p, r->line.n);
    return false;
}

/* A checkpoint of the tree that has the round: rather one that witnesses have signed. */
static status tree_note(struct engine *en, uint64_t round, json_t **ret_note, uint64_t *ret_size,
                        struct err *e)
{
    struct store_note newest;
    status st = cosigned_note(en, ret_note, ret_size, e);

    if (st != OK || (*ret_note != NULL && *ret_size > round))
        return st;
    json_decref(*ret_note);
    *ret_note = NULL;
    st = store_note(en->store, &ledger_log_tree, &newest, e);
    if (st == OK && newest.size <= round)
        st = fail(e, NOT_FOUND, "no checkpoint has the round yet", 0);
    if (st != OK)
        return st;
    *ret_note = json_stringn((const char *)newest.note.p, newest.note.n);
    *ret_size = newest.size;
    return OK;
}

static json_t *siblings_of(const struct commitment *c)
{
    json_t *list = json_array();

    for (unsigned level = 0; level < COMMITMENT_LEVELS; level++)
        json_array_append_new(list, json_hex(SPAN(c->sibling[level])));
    return list;
}

APPLY(log_commitment)
{
    struct nodes nodes = { .en = en, .log = ledger_log_tree };
    struct ledger_proof p = { 0 };
    json_t *record = NULL, *note = NULL;
    struct branch b = { 0 };
    uint64_t size = 0;
    struct id log;
    status st = trail_find(en, rq, &log, e);

    if (st == OK && id_same(&log, &ledger_log_tree))
        st = fail(e, NOT_FOUND, "the vault tree does not commit to itself", 0);
    if (st == OK)
        st = get_branch(en, &log, &b, e);
    if (st == OK)
        st = store_records(en->store, &ledger_log_tree, b.c.round, 1, take_line, &record, e);
    if (st == OK && record == NULL)
        st = fail(e, NOT_FOUND, "the round has no record", 0);
    if (st == OK)
        st = tree_note(en, b.c.round, &note, &size, e);
    if (st == OK)
        st = proof_inclusion(b.c.round, size, nodes_of, &nodes, &p, e);
    if (st != OK) {
        json_decref(record);
        json_decref(note);
        return st;
    }
    rq->reply =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:s, s:I, s:I, s:o, s:o}", "round",
                  (json_int_t)b.c.round, "index", (json_int_t)b.c.index, "blind",
                  json_hex(SPAN(b.c.blind)), "siblings", siblings_of(&b.c), "record", record,
                  "checkpoint", b.note, "tree_seq", (json_int_t)b.c.round, "tree_size",
                  (json_int_t)size, "tree_proof", proof_json(&p), "tree_checkpoint", note);
    return OK;
}
