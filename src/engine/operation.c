/* Proposals and approvals. What the operations mean is in operation_kind.c. */
#include "document.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rollback.h"

status operations_new(struct operations **ret_operations, struct err *e)
{
    *ret_operations = calloc(1, sizeof **ret_operations);
    return *ret_operations != NULL ? OK : fail(e, NO_MEMORY, "no memory for operations", 0);
}

static void forget(struct operation *o)
{
    json_decref(o->result);
    *o = (struct operation){ .state = OPERATION_FREE };
}

void operations_forget(struct operations *o)
{
    for (size_t i = 0; i < OPERATIONS; i++)
        forget(&o->list[i]);
}

void operations_free(struct operations *o)
{
    if (o != NULL)
        operations_forget(o);
    free(o);
}

/* Forgets those whose time is over: a result is kept as long as an approval would be. */
static void expire(struct operations *o)
{
    uint64_t now = clock_monotonic_us();

    for (size_t i = 0; i < OPERATIONS; i++) {
        if (o->list[i].state != OPERATION_FREE &&
            now - o->list[i].since_us > APPROVAL_S * SECOND_US)
            forget(&o->list[i]);
    }
}

/* A free place; else the oldest that is over; NULL if all wait. */
static struct operation *place_for_new(struct operations *o)
{
    struct operation *place = NULL;

    expire(o);
    for (size_t i = 0; i < OPERATIONS; i++) {
        struct operation *one = &o->list[i];

        if (one->state == OPERATION_FREE)
            return one;
        if (one->state != OPERATION_PENDING && (place == NULL || one->since_us < place->since_us))
            place = one;
    }
    return place;
}

static status find(struct engine *en, const struct request *rq, struct operation **ret,
                   struct err *e)
{
    struct id id;

    for (size_t i = 0; id_parse(rq->param[0], &id) && i < OPERATIONS; i++) {
        struct operation *o = &en->operations->list[i];

        if (o->state != OPERATION_FREE && id_same(&o->op.id, &id)) {
            *ret = o;
            return OK;
        }
    }
    return fail(e, NOT_FOUND, "there is no such operation, or its ten minutes are over", 0);
}

static status find_pending(struct engine *en, const struct request *rq, struct operation **ret,
                           struct err *e)
{
    expire(en->operations); /* not in find: what was decided on is there when it completes */
    status st = find(en, rq, ret, e);

    if (st == OK && (*ret)->state != OPERATION_PENDING)
        return fail(e, CONFLICT, "the operation is over already", 0);
    return st;
}

static json_t *operation_json(const struct operation *o)
{
    static const char *const states[] = { "free", "pending", "done", "failed" };
    uint64_t over = o->since_us + APPROVAL_S * SECOND_US, now = clock_monotonic_us();
    json_t *json = json_pack("{s:o, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:s*, s:s*, s:s*, s:s*}",
                             "id", json_id(&o->op.id), "operation", operation_name(o->op.code),
                             "state", states[o->state], "text", o->text, "proposer", o->proposer,
                             "have", (int)o->have, "need", (int)o->need, "expires_s",
                             (json_int_t)((over > now ? over - now : 0) / SECOND_US), "tenant",
                             o->tenant_name[0] != '\0' ? o->tenant_name : NULL, "engagement",
                             o->engagement_name[0] != '\0' ? o->engagement_name : NULL, "gateway",
                             o->gateway_name[0] != '\0' ? o->gateway_name : NULL, "reason",
                             o->state == OPERATION_FAILED ? o->reason : NULL);

    if (o->result != NULL)
        json_object_set(json, "result", o->result);
    return json;
}

/* --- proposing ------------------------------------------------------------------------------- */

/* The canonical text, and its hash. */
/* Where its records go. */
static struct id log_of(const struct operation *o)
{
    return operation_of_tenant(o->op.code) ? o->op.tenant : (struct id){ { 0 } };
}

static status compose(struct operation *o, struct err *e)
{
    struct out out;

    out_init(&out, (uint8_t *)o->text, sizeof o->text - 1);
    operation_text(&o->op, &out);
    if (out.overflow)
        return fail(e, BAD_INPUT, "this operation cannot be written down", 0);
    o->text[out.n] = '\0';
    operation_hash(span_text(o->text), o->hash);
    return OK;
}

APPLY(operation_propose)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_OPERATION_PROPOSED };
    struct operation *o = rq->plan = calloc(1, sizeof *o);
    const struct operation_kind *kind;
    struct fields f;
    const char *name;
    status st;

    if (o == NULL)
        return fail(e, NO_MEMORY, "no memory for an operation", 0);
    /* Now, and not when its record exists: a proposal is exclusive, so nothing takes the place. */
    if (place_for_new(en->operations) == NULL)
        return fail(e, LIMIT, "too many operations wait for approval", 0);
    st = body_name(rq, "operation", &name, e);
    if (st != OK)
        return st;
    o->op.code = operation_parse(name);
    if (o->op.code == 0)
        return fail(e, BAD_INPUT, "there is no such operation", 0);
    if (en->state == VAULT_ROLLED_BACK && o->op.code != OPERATION_ROLLBACK_ACCEPT)
        return rollback_refused(en, e);
    kind = operation_kind(o->op.code);
    if (!operation_members(kind, rq->body))
        return fail(e, BAD_INPUT, "the body has a member that this operation does not know", 0);
    random_bytes((struct mspan){ o->op.id.b, sizeof o->op.id.b });
    st = kind->read(en, rq, o, e);
    if (st == OK)
        st = compose(o, e);
    if (st != OK)
        return st;
    actor_of(rq, o->proposer);
    entry.log = log_of(o);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "proposal", o->text);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(operation_proposed)
{
    struct operation *plan = rq->plan, *o = place_for_new(en->operations);

    (void)result;
    if (o == NULL)
        return fail(e, BUG, "the place of a proposal is gone", 0);
    forget(o);
    *o = *plan;
    o->op.operator_name = span_text(o->operator_name);
    o->op.key = span_text(o->pattern);
    o->state = OPERATION_PENDING;
    o->since_us = clock_monotonic_us();
    o->need = operation_need(o->op.code, en->hello.need, en->hello.operators);
    rq->created = true;
    rq->reply = operation_json(o);
    return OK;
}

APPLY(operation_list)
{
    json_t *list = json_array();

    (void)e;
    expire(en->operations);
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (en->operations->list[i].state == OPERATION_PENDING)
            json_array_append_new(list, operation_json(&en->operations->list[i]));
    }
    rq->reply = json_pack("{s:o}", "operations", list);
    return OK;
}

APPLY(operation_show)
{
    struct operation *o;

    expire(en->operations);
    status st = find(en, rq, &o, e);

    if (st == OK)
        rq->reply = operation_json(o);
    return st;
}

APPLY(operation_withdraw)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_OPERATION_WITHDRAWN };
    struct operation *o;
    struct fields f;
    status st = find_pending(en, rq, &o, e);

    if (st != OK)
        return st;
    entry.log = log_of(o);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "proposal", o->text);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(operation_withdrawn)
{
    struct operation *o;

    (void)result;
    if (find(en, rq, &o, e) == OK)
        forget(o);
    rq->reply = json_object();
    return OK;
}

/* --- approving ------------------------------------------------------------------------------- */

APPLY(operation_session)
{
    struct wire_session_request request = { .purpose = SESSION_APPROVE };
    struct operation *o;
    status st = find_pending(en, rq, &o, e);

    if (st == OK)
        st = body_id(rq, "slot", &request.slot, e);
    if (st != OK)
        return st;
    memcpy(request.server_certificate, rq->server_certificate, 32);
    memcpy(request.operation, o->hash, sizeof request.operation);
    return session_begin(en, rq, &request, e);
}

/* What the keeper says of an approval or of the operation. */
struct answer {
    struct operation *o;
    struct request *rq;
};

static void refused(struct request *rq, status st, const struct wire_result *r)
{
    snprintf(rq->keeper_why, sizeof rq->keeper_why, "%.*s", (int)r->reason.n,
             (const char *)r->reason.p);
    rq->outcome = err_note(&rq->err, st, __func__, rq->keeper_why, 0);
}

static status on_approval(struct engine *en, const struct wire_result *r, void *context,
                          struct err *e)
{
    struct answer *answer = context;

    (void)en;
    if (r->status != OK) {
        refused(answer->rq, r->status < STATUS_COUNT ? (status)r->status : BUG, r);
        return OK;
    }
    if (r->data.n != 2)
        return fail(e, BUG, "the keeper's count of approvals is malformed", 0);
    answer->o->have = r->data.p[0];
    answer->o->need = r->data.p[1];
    return OK;
}

static void on_record(const struct wire_record *r, void *context)
{
    struct answer *answer = context;

    answer->o->seq = r->seq;
}

static status on_result(struct engine *en, const struct wire_result *r, void *context,
                        struct err *e)
{
    struct answer *answer = context;
    struct operation *o = answer->o;
    const struct operation_kind *kind = operation_kind(o->op.code);

    if (r->status != OK) {
        refused(answer->rq, CONFLICT, r);
        return OK;
    }
    o->state = OPERATION_DONE;
    return kind->store == NULL ? OK : kind->store(en, o, r, e);
}

/* One entry of rq's as a batch of its own; its result goes to the listener. */
static void run_entry(struct engine *en, struct request *rq, const struct wire_entry *entry,
                      const struct batch_listener *listener)
{
    struct err e = { 0 };
    status st = batch_begin(en, &e);

    if (st == OK)
        st = batch_entry(en, rq, entry, &e);
    if (st == OK)
        st = batch_finish(en, listener, &e);
    if (st != OK)
        engine_die(__func__, &e);
}

/* It has its approvals. */
static void carry_out(struct engine *en, struct operation *o, struct request *rq)
{
    struct wire_entry entry = {
        .kind = ENTRY_OPERATION, .log = log_of(o), .tenant = o->op.tenant, .operation = o->op
    };
    struct answer answer = { .o = o, .rq = rq };
    struct batch_listener listener = { .result = on_result,
                                       .record = on_record,
                                       .context = &answer };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    if (!operation_of_tenant(o->op.code) && o->tenant_name[0] != '\0')
        fields_text(&f, "tenant", o->tenant_name);
    fields_text(&f, "engagement", o->engagement_name[0] != '\0' ? o->engagement_name : NULL);
    fields_text(&f, "gateway", o->gateway_name[0] != '\0' ? o->gateway_name : NULL);
    fields_text(&f, "pattern", o->pattern[0] != '\0' ? o->pattern : NULL);
    if (o->op.max_ttl_s != 0)
        fields_number(&f, "max_ttl_s", o->op.max_ttl_s);
    if (o->op.code == OPERATION_POLICY_SET)
        document_say(en, rq, o, &f);
    entry.fields = fields_view(&f);
    run_entry(en, rq, &entry, &listener);
}

/* What it needs may be gone meanwhile; then nothing is asked of the keeper. */
static void finish(struct engine *en, struct operation *o, struct request *rq)
{
    const struct operation_kind *kind = operation_kind(o->op.code);
    struct err e = { 0 };

    rq->outcome = kind->still == NULL ? OK : kind->still(en, o, &rq->err);
    if (rq->outcome == OK)
        carry_out(en, o, rq);
    else if (batch_begin(en, &e) != OK || refusal_record(en, rq, &e) != OK ||
             batch_finish(en, &batch_tolerant, &e) != OK)
        engine_die(__func__, &e);
    if (rq->outcome != OK) {
        o->state = OPERATION_FAILED;
        snprintf(o->reason, sizeof o->reason, "%s", rq->err.why);
    }
}

/* The touch is checked here, and by the keeper once more: by what it opens. */
static status read_approval(struct engine *en, struct request *rq, const struct operation *o,
                            struct wire_entry *entry, struct out *sealed,
                            struct fido_assertion *assertion, struct err *e)
{
    struct session session;
    status st = session_claim(en, rq, SESSION_APPROVE, &session, e);

    if (st == OK && !span_same(SPAN(session.request.operation), SPAN(o->hash)))
        st = fail(e, BAD_INPUT, "the session is for another operation", 0);
    if (st == OK)
        st = body_hex(rq, "sealed_secret", sealed->cap, sealed, e);
    if (st == OK)
        st = check_touch(rq, &session, assertion, e);
    if (st != OK)
        return st;
    entry->session = session.opened.session;
    entry->slot = session.request.slot;
    entry->operation = o->op;
    entry->data = span_of(sealed->p, sealed->n);
    return OK;
}

/* By itself and not in a batch with others: it asks the keeper for the slot first. */
APPLY(operation_approve)
{
    struct wire_entry entry = { .kind = ENTRY_APPROVE };
    struct answer answer = { .rq = rq };
    struct batch_listener listener = { .result = on_approval, .context = &answer };
    struct fido_assertion assertion;
    uint8_t sealed[256];
    struct out out;
    struct fields f;
    status st = find_pending(en, rq, &answer.o, e);

    out_init(&out, sealed, sizeof sealed);
    if (st == OK)
        st = read_approval(en, rq, answer.o, &entry, &out, &assertion, e);
    if (st != OK)
        return st;
    entry.log = log_of(answer.o);
    fields_of(en, &f, rq, &entry.log);
    if (assertion.signature_length > 0) {
        fields_hex(&f, "auth_data", span_of(assertion.auth_data, assertion.auth_data_length));
        fields_hex(&f, "signature", span_of(assertion.signature, assertion.signature_length));
    }
    entry.fields = fields_view(&f);
    run_entry(en, rq, &entry, &listener);
    if (rq->outcome == OK && answer.o->have >= answer.o->need)
        finish(en, answer.o, rq);
    if (rq->outcome == OK && answer.o->state == OPERATION_DONE &&
        answer.o->op.code == OPERATION_ROLLBACK_ACCEPT)
        rq->outcome = rollback_resume(en, rq, &rq->err);
    if (rq->outcome == OK)
        rq->reply = operation_json(answer.o);
    return rq->outcome;
}
