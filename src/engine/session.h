/* Sessions, touches and slots, for init, unlock, enrolment and approval. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "fido/fido.h"
#include "internal.h"

#define SLOT_KIND_FIDO2 1

/* As engine_call; the keeper's reason outlives the engine's next call, because the reply is sent by
 * another thread. */
status keeper_call(struct engine *en, struct request *rq, struct in *body, struct err *e);

/* Begins one and replies what the client needs for it. */
status session_begin(struct engine *en, struct request *rq,
                     const struct wire_session_request *request, struct err *e);
/* The session that the body names: it serves one attempt. CONFLICT. */
status session_claim(struct engine *en, const struct request *rq, enum session_purpose purpose,
                     struct session *ret_session, struct err *e);
void sessions_forget(struct engine *en);

struct ways_in {
    size_t keys;  /* hardware keys */
    size_t cards; /* recovery cards */
};
status session_ways_in(struct engine *en, struct request *rq, struct ways_in *ret_ways,
                       struct err *e);

status read_assertion(const struct request *rq, struct fido_assertion *ret, struct err *e);
/* The touch that a body carries for the session's slot. DENIED if the signature is not good. Of a
 * recovery card the assertion is empty. */
status check_touch(const struct request *rq, const struct session *session,
                   struct fido_assertion *ret_assertion, struct err *e);

/* A hardware key in a body, with a signature over the session; the buffers stay with the caller. */
struct enrolment_input {
    struct wire_enrolment enrolment;
    uint8_t credential[LIMIT_CREDENTIAL_ID];
    uint8_t sealed[256];
};
status read_enrolment(const struct request *rq, const struct session *session,
                      struct enrolment_input *in, struct err *e);

#endif
