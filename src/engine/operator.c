/* A new operator's hardware key: enrolled with the keeper, where it waits for its operator.add. */
#include <stdlib.h>
#include <string.h>

#include "session.h"

APPLY(operator_session)
{
    struct wire_session_request request = { .purpose = SESSION_ENROL };

    memcpy(request.server_certificate, rq->server_certificate, 32);
    return session_begin(en, rq, &request, e);
}

APPLY(operator_enrol)
{
    struct enrolment_input in = { .enrolment = { .label = span_text("") } };
    struct session session;
    struct in body;
    struct out *out;
    struct id slot;
    status st = session_claim(en, rq, SESSION_ENROL, &session, e);

    if (st == OK)
        st = read_enrolment(rq, &session, &in, e);
    if (st != OK)
        return st;
    out = wire_client_begin(en->client, WIRE_ENROL);
    out_id(out, &session.opened.session);
    wire_put_enrolment(out, &in.enrolment);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    slot = in_id(&body);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's answer to an enrolment is malformed", 0);
    rq->created = true;
    rq->reply = json_pack("{s:o, s:s%}", "slot", json_id(&slot), "operator",
                          (const char *)in.enrolment.label.p, in.enrolment.label.n);
    return OK;
}
