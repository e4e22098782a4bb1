/*
 * A session with the keeper on one side and the hardware key on the other: what the vault offered,
 * the transcript that the touch signs, and the sealed answer.
 */
#ifndef CLI_TOUCH_H
#define CLI_TOUCH_H

#include <jansson.h>

#include "fido/fido.h"
#include "secret/secret.h"
#include "wire/message.h"

struct cli;

/* An open authenticator. As long as it is, Ctrl-C cancels a touch and does not end the program. */
struct touch {
    struct fido_device *device;
    struct fido_ui ui;
    bool pin_stdin;
    bool pin_read; /* standard input has been used up */
    bool proof_retried;
};

/* Each opens one key; touch_clear follows, also after a failure. *t does not move in between. */
/* --device PATH, or the only key plugged in, or among several the one that is touched. */
int touch_open(struct cli *c, struct touch *t);
int touch_open_path(struct cli *c, struct touch *t, const char *path_or_null);
/* The key that has one of the credentials (count > 0): --device PATH, or every key plugged in is
 * asked silently; if several fit, the one that is touched. A key that does not answer silently is
 * believed to have the only credential, or asked again after the PIN. */
int touch_find(struct cli *c, struct touch *t, const struct fido_credential *credentials,
               size_t count, size_t *ret_index);
void touch_clear(struct touch *t);
/* exclude: the credentials of the vault's other slots, none of which this key may have. */
int touch_enrol(struct touch *t, const char *user, const struct fido_credential *exclude,
                size_t exclude_count, struct fido_credential *ret_credential);
/* The assertion over transcript, and the two secrets (64 bytes). */
int touch_assert(struct touch *t, const struct fido_credential *credential,
                 const struct wire_session *session, struct fido_assertion *ret_assertion,
                 struct secret **ret_secrets);

/* Posts body (taken) to path and parses the session; computes its transcript. */
int session_begin(struct cli *c, const char *path, json_t *body,
                  struct wire_session_request *request, struct wire_session *ret_session);
/* Hex of box_seal(keeper key, transcript | secret). NULL was reported. */
#define SESSION_SEALED_HEX (2 * (3 * 32 + 48) + 1)
int session_seal(const struct wire_session *session, struct span secret,
                 char out[static SESSION_SEALED_HEX]);
/* Adds auth_data and signature to a request. */
int session_add_assertion(json_t *request, const struct fido_assertion *assertion);

#endif
