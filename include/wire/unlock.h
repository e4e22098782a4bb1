/*
 * Init, unlock, enrolment and approval. A session ties the touch of a hardware key to one keeper
 * key, one server certificate and one slot; it serves one attempt within UNLOCK_SESSION_S seconds.
 */
#ifndef WIRE_UNLOCK_H
#define WIRE_UNLOCK_H

#include "crypto/crypto.h"
#include "wire/frame.h"

/* SESSION */
enum session_purpose {
    SESSION_INIT = 1,
    SESSION_UNLOCK = 2,
    SESSION_ENROL = 3,  /* a new operator's hardware key */
    SESSION_APPROVE = 4 /* an operator approves a privileged operation */
};
struct wire_session_request {
    uint8_t purpose;
    uint8_t
        server_certificate[32]; /* SHA-256 of the DER certificate; zeros over the local socket */
    struct id slot;             /* UNLOCK, APPROVE; else zero */
    uint8_t operation[32];      /* APPROVE: its hash (wire/operation.h); else zero */
};
struct wire_session {
    struct id session;
    uint8_t nonce[32];
    uint8_t keeper_key[32]; /* one-time X25519: the client seals its secrets to it */
    struct id vault;        /* for init: the id the vault will have */
    uint32_t epoch;
    uint8_t salt[32]; /* hmac-secret salt to use */
    uint8_t salt_next[32];
    uint8_t transcript[32]; /* = wire_transcript of the above; the client computes its own */
    /* Ed25519 by the ledger key over wire_session_signed, of sessions of an unlocked vault; else
     * zeros. So no server can put a key of its own in the place of keeper_key. */
    uint8_t signature[64];
};
void wire_put_session_request(struct out *o, const struct wire_session_request *m);
void wire_get_session_request(struct in *i, struct wire_session_request *m);
void wire_put_session(struct out *o, const struct wire_session *m);
void wire_get_session(struct in *i, struct wire_session *m);

/*
 * The context of a session: SHA-256(LBL("session"; u16 purpose, vault, session, nonce, keeper key,
 * server certificate, slot, u32 epoch, salt, next salt)). The salts are in it because a slot rolls
 * to the secret of the next one: under a salt that somebody else chose it would open never again.
 * The transcript T that the assertion signs as clientDataHash is the context; for APPROVE it is
 * operation_signed(operation, context).
 */
void wire_context(const struct wire_session_request *request, const struct wire_session *session,
                  uint8_t out[static 32]);
void wire_transcript(const struct wire_session_request *request, const struct wire_session *session,
                     uint8_t out[static 32]);
/* LBL("session-key"; context). */
void wire_session_signed(const struct wire_session_request *request,
                         const struct wire_session *session, struct label *ret_label);

/* SLOTS: reply u16 count, then slots. */
struct wire_slot {
    struct id id;
    uint8_t kind; /* enum slot_kind of the keyring: 1 FIDO2, 2 recovery card */
    uint8_t user_verification;
    uint32_t generation;
    struct span label;
    struct span credential_id;
    uint8_t cose_public[64];
    uint8_t aaguid[16];
    uint8_t x;       /* number of its share: the same for all slots of one operator */
    uint8_t used;    /* recovery card: its code was used */
    uint8_t pending; /* no share yet: the root rotation that brings it is under way */
    uint64_t created_us;
};
void wire_put_slot(struct out *o, const struct wire_slot *m);
void wire_get_slot(struct in *i, struct wire_slot *m);

/* A hardware key as it was enrolled. sealed_secret = box_seal(keeper_key, T | secret 32 | secret
 * for salt_next 32). */
struct wire_enrolment {
    struct span label; /* operator name */
    struct span credential_id;
    uint8_t cose_public[64];
    uint8_t aaguid[16];
    struct span sealed_secret;
};
void wire_put_enrolment(struct out *o, const struct wire_enrolment *m);
void wire_get_enrolment(struct in *i, struct wire_enrolment *m);

/* INIT. Operators of one name share a share. */
#define INIT_OPERATORS_MAX 16
#define CARDS_MAX          8
struct wire_init_request {
    struct id session;
    struct span region;
    uint8_t quorum;           /* shares that open the vault: at most as many as operators */
    uint8_t cards;            /* recovery cards to make */
    uint8_t recovery_key[32]; /* X25519 of the client: the cards' codes are sealed to it */
    struct span ca_key;       /* 32-byte private scalar of the CA, made by the server */
    uint8_t operator_count;
    struct wire_enrolment operators[INIT_OPERATORS_MAX];
};
struct wire_init {
    struct id vault;
    uint8_t slot_count;
    struct id slots[INIT_OPERATORS_MAX]; /* in the order of the operators */
    struct span sealed_cards;            /* box_seal(recovery_key, (slot id 16 | code 32)*) */
};
void wire_put_init_request(struct out *o, const struct wire_init_request *m);
void wire_get_init_request(struct in *i, struct wire_init_request *m);
void wire_put_init(struct out *o, const struct wire_init *m);
void wire_get_init(struct in *i, struct wire_init *m);

/* UNLOCK. sealed_secret = box_seal(keeper_key, T | secret 32 | next secret 32), or for a
 * recovery slot T | code 32. */
struct wire_unlock_request {
    struct id session;
    struct id slot;
    struct span sealed_secret;
};
struct wire_unlock {
    uint8_t state; /* enum keeper_state */
    uint8_t have;  /* shares collected */
    uint8_t need;
};
void wire_put_unlock_request(struct out *o, const struct wire_unlock_request *m);
void wire_get_unlock_request(struct in *i, struct wire_unlock_request *m);
void wire_put_unlock(struct out *o, const struct wire_unlock *m);
void wire_get_unlock(struct in *i, struct wire_unlock *m);
/* UNLOCK_FAILED: request is session id and slot id; the reply is empty. */

/* ENROL: request is a session id and an enrolment; reply the id of the slot that was made. It waits
 * for its operation.add for APPROVAL_S and is in no file before. */

#endif
