/* Documents in the database and in memory; showing and setting them. */
#include "document.h"

#include <stdlib.h>
#include <string.h>

#define PAGE        100
#define MEMORY_MAX  ((size_t)64 * 1024 * 1024)
#define OWNERS_MAX  20000
#define NOTHING_SET "there is no document of policy: grants alone decide"

static const struct id vault_owner = { { 0 } };

/* --- memory ---------------------------------------------------------------------------------- */

status documents_new(struct documents **ret_documents, struct err *e)
{
    struct documents *d = calloc(1, sizeof *d);
    status st;

    if (d == NULL)
        return fail(e, NO_MEMORY, "no memory for documents", 0);
    table_init(&d->tenants, sizeof(struct id));
    st = policy_rates_new(&d->rates, e);
    if (st == OK)
        *ret_documents = d;
    else
        free(d);
    return st;
}

static void forget_tenants(struct documents *d)
{
    struct document *document;
    size_t cursor = 0;

    while ((document = table_next(&d->tenants, &cursor)) != NULL) {
        policy_document_free(document->parsed);
        free(document);
    }
    table_clear(&d->tenants);
    table_init(&d->tenants, sizeof(struct id));
    d->size = 0;
}

static void forget_vault(struct documents *d)
{
    policy_document_free(d->vault.parsed);
    d->vault = (struct document){ 0 };
    d->vault_known = false;
}

void documents_free(struct documents *d)
{
    if (d == NULL)
        return;
    forget_tenants(d);
    forget_vault(d);
    policy_rates_free(d->rates);
    free(d);
}

/* What was set for the owner: the next who asks reads it. */
static void forget(struct documents *d, const struct id *owner)
{
    struct document *document;

    if (id_is_zero(owner)) {
        forget_vault(d);
        return;
    }
    document = table_remove(&d->tenants, owner->b);
    if (document == NULL)
        return;
    d->size -= document->parsed != NULL ? document->parsed->size : 0;
    policy_document_free(document->parsed);
    free(document);
}

static bool is_hash_of(const uint8_t hash[static 32], struct span text)
{
    uint8_t is[32];

    sha256(text, is);
    return span_same(SPAN(is), span_of(hash, 32));
}

static status load(struct engine *en, const struct id *owner, struct document *ret_document,
                   struct err *e)
{
    struct document d = { .owner = *owner, .state = DOCUMENT_BAD };
    struct policy_trouble trouble;
    struct store_policy p;
    struct err why = { 0 };
    status st = store_policy(en->store, owner, 0, &p, &why);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, why.where, why.why, why.detail);
    if (st == NOT_FOUND) {
        d.state = DOCUMENT_NONE;
        *ret_document = d;
        return OK;
    }
    d.version = p.version;
    memcpy(d.hash, p.hash, sizeof d.hash);
    if (is_hash_of(p.hash, p.document)) {
        st = p.document.n == 0
                 ? OK
                 : policy_document_parse(p.document, id_is_zero(owner), &d.parsed, &trouble, &why);
        if (st == NO_MEMORY)
            return err_note(e, st, why.where, why.why, why.detail);
        if (st == OK)
            d.state = p.document.n == 0 ? DOCUMENT_NONE : DOCUMENT_READY;
    }
    *ret_document = d;
    return OK;
}

static status keep(struct documents *d, const struct document *loaded, struct document **ret_held,
                   struct err *e)
{
    struct document *held;
    status st;

    if (d->size > MEMORY_MAX || d->tenants.count >= OWNERS_MAX)
        forget_tenants(d);
    held = malloc(sizeof *held);
    if (held == NULL)
        return fail(e, NO_MEMORY, "no memory for a document", 0);
    *held = *loaded;
    st = table_add(&d->tenants, held->owner.b, held, e);
    if (st != OK) {
        free(held);
        return st;
    }
    d->size += held->parsed != NULL ? held->parsed->size : 0;
    *ret_held = held;
    return OK;
}

status document_current(struct engine *en, const struct id *owner,
                        const struct document **ret_document, bool *ret_read, struct err *e)
{
    struct documents *d = en->documents;
    bool vault = id_is_zero(owner);
    struct document loaded, *held = vault ? NULL : table_find(&d->tenants, owner->b);
    status st;

    if (vault && d->vault_known)
        held = &d->vault;
    *ret_document = held;
    if (held != NULL)
        return OK;
    *ret_read = true;
    st = load(en, owner, &loaded, e);
    if (st != OK)
        return st;
    if (vault) {
        d->vault = loaded;
        d->vault_known = true;
        *ret_document = &d->vault;
        return OK;
    }
    st = keep(d, &loaded, &held, e);
    if (st != OK)
        policy_document_free(loaded.parsed);
    *ret_document = held;
    return st;
}

/* --- who and what ---------------------------------------------------------------------------- */

/* Whose document the path names; rq->log becomes its log. */
static status find_owner(struct engine *en, struct request *rq, struct id *ret_owner, struct err *e)
{
    status st = OK;

    *ret_owner = vault_owner;
    if (strcmp(rq->param[0], "vault") != 0 || rq->peer.role == ROLE_TENANT || rq->limited)
        st = verb_tenant(en, rq, e);
    if (st == OK)
        *ret_owner = rq->log;
    return st;
}

/* What a document does beside the one that is in force. */
enum change { NARROWS, WIDENS, REMOVED, REMOVED_NARROWS };

static const char *change_name(enum change change)
{
    static const char *const names[] = { "narrows", "widens", "removed", "removed" };

    return names[change];
}

/* The first document of an owner narrows what grants permit, unless without one nothing is
 * permitted. Beside one that cannot be read, everything is more. */
static enum change change_of(const struct engine *en, const struct document *old,
                             const struct policy_document *new)
{
    bool needs_one = en->settings.policy_required && !id_is_zero(&old->owner);

    if (new == NULL)
        return needs_one && old->state == DOCUMENT_READY ? REMOVED_NARROWS : REMOVED;
    if (old->state == DOCUMENT_NONE)
        return needs_one ? WIDENS : NARROWS;
    return old->state == DOCUMENT_READY && policy_document_within(new, old->parsed) ? NARROWS
                                                                                    : WIDENS;
}

/* A text that is to come into force. */
struct draft {
    struct id owner;
    uint8_t hash[32];
    enum change change;
    uint32_t version;
};

/* CONFLICT if it is what is in force. */
static status judge_draft(struct engine *en, struct span text, struct draft *draft,
                          unsigned *ret_line, struct err *e)
{
    struct policy_document *parsed = NULL;
    struct policy_trouble trouble = { 0 };
    const struct document *old;
    bool read = false;
    status st = document_current(en, &draft->owner, &old, &read, e);

    sha256(text, draft->hash);
    if (st == OK && text.n > 0)
        st = policy_document_parse(text, id_is_zero(&draft->owner), &parsed, &trouble, e);
    *ret_line = trouble.line;
    if (st != OK)
        return st;
    draft->change = change_of(en, old, parsed);
    draft->version = old->version + 1;
    policy_document_free(parsed);
    if (old->version == UINT32_MAX)
        return fail(e, LIMIT, "there are too many versions of this document", 0);
    if (text.n == 0 && old->state == DOCUMENT_NONE)
        return fail(e, CONFLICT, NOTHING_SET, 0);
    if (old->state == DOCUMENT_READY && span_same(SPAN(old->hash), SPAN(draft->hash)))
        return fail(e, CONFLICT, "this document is in force already", 0);
    return OK;
}

static bool widens(enum change change)
{
    return change == WIDENS || change == REMOVED;
}

static void put_change(struct fields *f, const struct draft *draft)
{
    fields_number(f, "policy_version", draft->version);
    fields_text(f, "change", change_name(draft->change));
}

static status keep_version(struct engine *en, const struct draft *draft, const char *actor,
                           struct span text, struct err *e)
{
    struct store_policy p = { .owner = draft->owner,
                              .version = draft->version,
                              .set_us = engine_now_us(en),
                              .document = text };
    status st;

    memcpy(p.hash, draft->hash, sizeof p.hash);
    snprintf(p.actor, sizeof p.actor, "%s", actor);
    st = store_policy_add(en->store, &p, e);
    forget(en->documents, &draft->owner);
    return st;
}

/* --- showing --------------------------------------------------------------------------------- */

static json_t *version_json(const struct request *rq, const struct store_policy *p)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:s}", "owner", rq->param[0], "version", (int)p->version,
                     "sha256", json_hex(SPAN(p->hash)), "set", json_time(p->set_us), "actor",
                     p->actor);
}

APPLY(policy_show)
{
    struct store_policy p;
    struct err absent = { 0 };
    struct id owner;
    status st = find_owner(en, rq, &owner, e);

    if (st != OK)
        return st;
    if (rq->version > UINT32_MAX)
        return fail(e, NOT_FOUND, "there is no such version", 0);
    st = store_policy(en->store, &owner, (uint32_t)rq->version, &p, &absent);
    if (st == NOT_FOUND)
        return rq->version == 0 ? fail(e, NOT_FOUND, NOTHING_SET, 0)
                                : fail(e, NOT_FOUND, "there is no such version", 0);
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    if (!is_hash_of(p.hash, p.document))
        return fail(e, CONFLICT, "the document of this version is lost: nothing is allowed", 0);
    rq->reply = version_json(rq, &p);
    json_object_set_new(
        rq->reply, "document",
        json_stringn(p.document.n > 0 ? (const char *)p.document.p : "", p.document.n));
    return OK;
}

APPLY(policy_versions)
{
    static struct store_policy page[PAGE]; /* one engine thread */
    uint64_t before = 0;
    size_t count = 0;
    struct id owner;
    json_t *list;
    status st = find_owner(en, rq, &owner, e);

    if (st == OK && rq->after[0] != '\0' && !number_parse(rq->after, 1, UINT32_MAX, &before))
        st = fail(e, BAD_INPUT, "after is the number of a version", 0);
    if (st == OK)
        st = store_policies(en->store, &owner, (uint32_t)before, page, PAGE, &count, e);
    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, version_json(rq, &page[i]));
    rq->reply = json_pack("{s:o}", "versions", list);
    if (count == PAGE) {
        char next[16];

        snprintf(next, sizeof next, "%u", page[count - 1].version);
        json_object_set_new(rq->reply, "next", json_string(next));
    } else {
        json_object_set_new(rq->reply, "next", json_null());
    }
    return OK;
}

/* --- setting --------------------------------------------------------------------------------- */

static status body_document(const struct request *rq, struct span *ret_text, struct err *e)
{
    const json_t *text = json_object_get(rq->body, "document");

    if (!json_is_string(text))
        return fail(e, BAD_INPUT, "a document is a text", 0);
    *ret_text = span_of(json_string_value(text), json_string_length(text));
    return ret_text->n <= DOCUMENT_MAX ? OK
                                       : fail(e, BAD_INPUT, "a document has at most 32 KiB", 0);
}

/* A tenant may take from itself, and ask for more. */
static status check_change(const struct engine *en, const struct request *rq, enum change change,
                           struct err *e)
{
    if (!widens(change))
        return OK;
    if (rq->peer.role == ROLE_TENANT)
        return fail(e, DENIED, "this allows more than before: ask an operator or admin to set it",
                    0);
    return en->settings.grant_step_up
               ? fail(e, DENIED, "this allows more than before: propose policy.set", 0)
               : OK;
}

APPLY(policy_set)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_POLICY_SET };
    struct draft *draft = rq->plan = calloc(1, sizeof *draft);
    struct fields f;
    struct span text;
    status st;

    if (draft == NULL)
        return fail(e, NO_MEMORY, "no memory for a document", 0);
    st = find_owner(en, rq, &draft->owner, e);
    if (st == OK)
        st = body_document(rq, &text, e);
    if (st == OK)
        st = judge_draft(en, text, draft, &rq->line, e);
    if (st == OK)
        st = check_change(en, rq, draft->change, e);
    if (st != OK)
        return st;
    entry.log = draft->owner;
    fields_of(en, &f, rq, &entry.log);
    fields_hex(&f, "document", SPAN(draft->hash));
    put_change(&f, draft);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(policy_was_set)
{
    const struct draft *draft = rq->plan;
    char actor[2 * STORE_NAME];
    struct span text;
    status st = body_document(rq, &text, e);

    (void)result;
    if (st == OK)
        st = actor_text(en, rq, &draft->owner, actor, e);
    if (st == OK)
        st = keep_version(en, draft, actor, text, e);
    rq->reply =
        json_pack("{s:s, s:i, s:o, s:s}", "owner", rq->param[0], "version", (int)draft->version,
                  "sha256", json_hex(SPAN(draft->hash)), "change", change_name(draft->change));
    return st;
}

/* --- setting by an operation ----------------------------------------------------------------- */

status document_read_operation(struct engine *en, struct request *rq, struct operation *o,
                               struct err *e)
{
    struct draft draft = { .version = 0 };
    struct store_tenant tenant;
    struct span text;
    const char *owner;
    status st = body_name(rq, "owner", &owner, e);

    if (st == OK && strcmp(owner, "vault") != 0) {
        st = store_tenant(en->store, owner, &tenant, e);
        if (st == OK) {
            snprintf(o->tenant_name, sizeof o->tenant_name, "%s", owner);
            draft.owner = o->op.tenant = tenant.id;
        }
    }
    if (st == OK)
        st = body_document(rq, &text, e);
    if (st == OK)
        st = judge_draft(en, text, &draft, &rq->line, e);
    if (st != OK)
        return st;
    memcpy(o->op.document, draft.hash, sizeof o->op.document);
    if (text.n > 0)
        memcpy(o->document, text.p, text.n);
    o->document_length = text.n;
    return OK;
}

/* What it does now: another document may have been set since it was proposed. */
static status draft_of(struct engine *en, const struct operation *o, struct draft *ret_draft,
                       struct err *e)
{
    unsigned line;

    *ret_draft = (struct draft){ .owner = o->op.tenant };
    if (!is_hash_of(o->op.document, span_of(o->document, o->document_length)))
        return fail(e, BUG, "the document is not the one that was approved", 0);
    return judge_draft(en, span_of(o->document, o->document_length), ret_draft, &line, e);
}

status document_still(struct engine *en, const struct operation *o, struct err *e)
{
    struct draft draft;

    return draft_of(en, o, &draft, e);
}

void document_say(struct engine *en, const struct request *rq, struct operation *o,
                  struct fields *f)
{
    struct draft draft;

    if (draft_of(en, o, &draft, NULL) == OK &&
        actor_text(en, rq, &draft.owner, o->setter, NULL) == OK)
        put_change(f, &draft);
    else
        f->out.overflow = true; /* no record, and so no effect */
}

status document_store_operation(struct engine *en, struct operation *o,
                                const struct wire_result *result, struct err *e)
{
    struct draft draft;
    status st = draft_of(en, o, &draft, e);

    (void)result;
    if (st == OK)
        st = keep_version(en, &draft, o->setter, span_of(o->document, o->document_length), e);
    o->result =
        json_pack("{s:i, s:s}", "version", (int)draft.version, "change", change_name(draft.change));
    return st;
}

/* --- recovery -------------------------------------------------------------------------------- */

status document_recover(struct engine *en, const struct wire_record *r, struct err *e)
{
    struct store_policy p = { .owner = r->log, .set_us = r->time_us }, there;
    struct err absent = { 0 };
    struct span hash, actor;
    uint64_t version;
    status st;

    if (r->type != RECORD_POLICY_SET ||
        !record_field_number(r->line, "policy_version", 1, UINT32_MAX, &version) ||
        !record_field(r->line, "document", &hash) ||
        !hex_parse((const char *)hash.p, hash.n, p.hash, sizeof p.hash))
        return OK;
    p.version = (uint32_t)version;
    st = store_policy(en->store, &p.owner, p.version, &there, &absent);
    if (st != NOT_FOUND)
        return st == OK ? OK : err_note(e, st, absent.where, absent.why, absent.detail);
    if (record_field(r->line, "actor", &actor) && actor.n < sizeof p.actor)
        memcpy(p.actor, actor.p, actor.n);
    /* An older version may be the same text. */
    absent = (struct err){ 0 };
    st = store_policy_by_hash(en->store, &p.owner, p.hash, &there, &absent);
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    if (st == OK) {
        static uint8_t copy[DOCUMENT_MAX]; /* the view dies; one engine thread */

        if (there.document.n > 0)
            memcpy(copy, there.document.p, there.document.n);
        p.document = span_of(copy, there.document.n);
    }
    return store_policy_add(en->store, &p, e);
}
