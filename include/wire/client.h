/*
 * The server's end of the socketpair: sends a request, waits for its reply. One thread.
 * The frame buffers live in locked memory and are wiped before the next request and by
 * wire_client_wipe, because replies carry provider keys.
 */
#ifndef WIRE_CLIENT_H
#define WIRE_CLIENT_H

#include "secret/secret.h"
#include "wire/message.h"

struct wire_client;

/* Takes fd (the server's end). Needs 2 * LIMIT_FRAME of slab. */
MUST_CHECK status wire_client_new(int fd, struct wire_client **ret_client, struct err *e);
void wire_client_free(struct wire_client *c);

/* Starts a request of op: the returned writer appends its body. Whoever makes it shorter again
 * wipes what is cut off: only what it holds at the end is wiped with the request. */
struct out *wire_client_begin(struct wire_client *c, enum wire_op op);
/* Sends it, and wipes it. LIMIT if it is too long; IO if the keeper is gone: the server must
 * exit. */
MUST_CHECK status wire_client_send(struct wire_client *c, struct err *e);
/* Waits for the reply to what was sent; meanwhile the next request may be begun, but not sent. OK:
 * *ret_body reads the reply body (views die with a begin after this, and with a wipe). The keeper's
 * refusal comes back as its status with the literal reason "the keeper refused" and, in *ret_body,
 * the reason text. IO as above. */
MUST_CHECK status wire_client_receive(struct wire_client *c, struct in *ret_body, struct err *e);
/* Both. */
MUST_CHECK status wire_client_call(struct wire_client *c, struct in *ret_body, struct err *e);
void wire_client_wipe(struct wire_client *c); /* the reply */

#endif
