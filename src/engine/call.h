/* Requests to the keeper. */
#ifndef ENGINE_CALL_H
#define ENGINE_CALL_H

#include "wire/client.h"

struct engine;

/* Sends what was begun, and waits for the reply to it: between the two the next one may be begun.
 * The keeper's refusal is returned, with its reason text in *ret_body; a keeper that is gone ends
 * the process. */
status engine_send(struct engine *en, struct err *e);
status engine_receive(struct engine *en, struct in *ret_body, struct err *e);
status engine_call(struct engine *en, struct in *ret_body, struct err *e); /* both */

status engine_hello(struct engine *en, struct err *e); /* refreshes en->hello and state facts */
/* Makes the keeper forget all keys, and forgets what it needed them for. */
status engine_lock_keeper(struct engine *en, struct err *e);

#endif
