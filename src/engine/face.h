/*
 * What the engine does differently for requests of the Vault-compatible face: who asks is said by a
 * token, and a tenant is served there only if it opted in. Everything after that is the same.
 */
#ifndef ENGINE_FACE_H
#define ENGINE_FACE_H

#include "internal.h"

/* The gateway behind the token, into rq->peer, whose spki is the token's hash: leases are the
 * token's. Logins and questions for the vault's state need none. */
status face_resolve(struct engine *en, struct request *rq, struct err *e);

/* Around looking up what is to be leased, because the look-up's result dies with the next one. ask:
 * did the tenant opt in, and what does it require? It says nothing yet: whoever has no grant shall
 * not learn it. decide: DENIED without opt-in, as if there were no grant, or if the token falls
 * short; NOT_FOUND with the version's facts in rq->reply if ?version= is not the current one. */
status face_ask(struct engine *en, struct request *rq, const char *tenant, struct err *e);
status face_decide(struct engine *en, struct request *rq, const struct store_key *key,
                   struct err *e);
/* Adds to the reply of a lease when its version was made. */
status face_describe(struct engine *en, struct request *rq, const struct lease *l, struct err *e);

/* login.c: tokens that an administrator issued, from the database into memory. */
status tokens_load(struct engine *en, struct err *e);
void token_of_issued(const struct store_issued_token *row, struct token *ret_token);
/* Ends the token and the leases that were made with it, or */
void token_cut(struct engine *en, const uint8_t hash[static 32]);
/* all matching ones with theirs. */
status tokens_cut(struct engine *en, const struct token_pattern *pattern, struct err *e);
/* A new token's text into *ret_text (owned) and its hash. */
status token_new(struct secret **ret_text, uint8_t ret_hash[static 32], struct err *e);

/* compat.c: what administrators say of the Vault-compatible face */
APPLY(compat_show);
APPLY(compat_set);
COMPLETE(compat_kept);
APPLY(compat_list);
APPLY(approle_add);
COMPLETE(approle_added);
APPLY(approle_remove);
COMPLETE(approle_removed);
APPLY(token_issue);
COMPLETE(token_issued);
APPLY(token_withdraw);
COMPLETE(token_withdrawn);
/* face.c, login.c: what its clients do */
APPLY(face_state);
APPLY(face_keys);
APPLY(token_login);
COMPLETE(token_logged_in);
APPLY(token_show);
APPLY(token_renew);
COMPLETE(token_renewed);
APPLY(token_revoke);
COMPLETE(token_revoked);

#endif
