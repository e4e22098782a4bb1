/* Unlock: sessions and touches pass through to the keeper, which decides. */
#include <string.h>

#include "base/log.h"
#include "rollback.h"
#include "session.h"
#include "tls_files.h"

APPLY(vault_unlock_session)
{
    struct wire_session_request request = { .purpose = SESSION_UNLOCK };
    status st;

    memcpy(request.server_certificate, rq->server_certificate, 32);
    st = body_id(rq, "slot", &request.slot, e);
    return st == OK ? session_begin(en, rq, &request, e) : st;
}

/* A wrong assertion ends the session and goes into the keeper's journal. */
static status unlock_failed(struct engine *en, const struct session *session, const struct err *why,
                            struct err *e)
{
    struct out *out = wire_client_begin(en->client, WIRE_UNLOCK_FAILED);
    struct in body;

    out_id(out, &session->opened.session);
    out_id(out, &session->request.slot);
    (void)!engine_call(en, &body, NULL); /* the session may be over already */
    return err_note(e, why->code, why->where, why->why, why->detail);
}

static status read_unlock(struct engine *en, struct request *rq,
                          struct wire_unlock_request *request, struct out *sealed, struct err *e)
{
    struct fido_assertion assertion;
    struct session session;
    struct err why = { 0 };
    status st = session_claim(en, rq, SESSION_UNLOCK, &session, e);

    if (st == OK)
        st = body_hex(rq, "sealed_secret", sealed->cap, sealed, e);
    if (st != OK)
        return st;
    request->session = session.opened.session;
    request->slot = session.request.slot;
    request->sealed_secret = span_of(sealed->p, sealed->n);
    st = check_touch(rq, &session, &assertion, &why);
    if (st == DENIED)
        return unlock_failed(en, &session, &why, e);
    return st == OK ? OK : err_note(e, st, why.where, why.why, why.detail);
}

/* The keeper is open. If the database cannot follow, the vault is locked again: an operator can
 * mend what is wrong and unlock once more. */
static status unlocked(struct engine *en, struct request *rq, struct err *e)
{
    struct err trouble = { 0 };
    status st = engine_hello(en, &trouble);

    if (st == OK)
        st = engine_attach(en, false, &trouble);
    if (st == OK && en->state == VAULT_ROLLED_BACK)
        return rollback_refused(en, e);
    if (st == OK)
        return OK;
    log_err(LOG_ERROR_, "the unlocked vault could not be attached", &trouble);
    snprintf(rq->keeper_why, sizeof rq->keeper_why, "locked again: %s", trouble.why);
    if (engine_lock_keeper(en, &trouble) != OK)
        engine_die(__func__, &trouble);
    return err_note(e, LOCKED, __func__, rq->keeper_why, 0);
}

APPLY(vault_unlock)
{
    struct wire_unlock_request request = { 0 };
    struct wire_unlock answer;
    struct err old = { 0 };
    uint8_t sealed[256];
    struct out sealed_out;
    struct in body;
    status st;

    out_init(&sealed_out, sealed, sizeof sealed);
    st = read_unlock(en, rq, &request, &sealed_out, e);
    if (st != OK)
        return st;
    wire_put_unlock_request(wire_client_begin(en->client, WIRE_UNLOCK), &request);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    wire_get_unlock(&body, &answer);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's answer to unlock is malformed", 0);
    if (answer.state == KEEPER_UNLOCKED)
        st = unlocked(en, rq, e);
    if (st != OK)
        return st;
    if (en->state == VAULT_UNLOCKED && tls_files_renew(en, &old) != OK)
        log_err(LOG_WARN_, "the server certificate could not be renewed", &old);
    rq->reply = json_pack("{s:s, s:i, s:i}", "state", vault_state_name(en->state), "have",
                          (int)answer.have, "need", (int)answer.need);
    return OK;
}
