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
/* Sends it and waits. OK: *ret_body reads the reply body (views die at the next begin). The
 * keeper's refusal comes back as its status with the literal reason "the keeper refused" and, in
 * *ret_body, the reason text. IO if the keeper is gone: the server must exit. */
MUST_CHECK status wire_client_call(struct wire_client *c, struct in *ret_body, struct err *e);
void wire_client_wipe(struct wire_client *c);

#endif
