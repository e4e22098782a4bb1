/*
 * Whether each privileged operation in a trail was approved: by enough operators' hardware keys,
 * and for exactly that operation (wire/operation.h). Pure: records in, a verdict out; the caller
 * has checked form and chain of each record before.
 *
 * An approval is good if its operation is the hash of its text, its assertion is signed by its
 * public key over that operation, and, where the vault's own log is known, that key was enrolled
 * for that slot and operator at that time. An effect is good if approvals of as many operators as
 * the last of them says are needed came before it, none of them used before, and if it is what
 * their text says. The first bad record is named with one of these reasons (or one of roster.h, or
 * of fido_verify):
 *
 *   approval is malformed, approval has no signature, text is no operation,
 *   operation is not the hash of its text, operation belongs to another log,
 *   approval repeats an earlier one, a recovery card does not approve this,
 *   slot is no recovery card, slot was not enrolled then, slot has another operator or key,
 *   fewer approvals were asked for than the quorum, approvals are not counted one by one,
 *   operator has approved already
 *
 *   effect names no operation, operation was not approved, approvals were used before,
 *   too few operators have approved, operation is for another effect,
 *   effect is not what was approved
 */
#ifndef CLI_STEP_UP_H
#define CLI_STEP_UP_H

#include "roster.h"

struct step_ups {
    const struct step_ups *vault; /* verified before: whose keys they are; NULL: not known */
    /* Zeroed, for a bundle whose own records of operators say that: they come after the others, so
     * these wait for step_ups_release. vault becomes this one if there are any. */
    struct step_ups *enclosed;

    /* The rest is the verifier's. */
    struct id log;
    struct roster roster; /* if this is the vault's own log */
    json_t *waiting;      /* lines that step_ups_release will take */
    json_t *slots;        /* else slot id -> {"operator", "public_key"}, as first seen */
    json_t *operations;   /* hash -> {"text", "need", "used", "by": [{"slot", ...}]} */
    json_t *contexts;     /* of all approvals: each is of one session */
    json_t *done;         /* [{"seq", "time", "operation", "effect", "approved_by"}] */
    uint64_t approvals;
    uint64_t cards;          /* of these: by recovery card */
    uint64_t plain_grants;   /* grants that took no step-up */
    uint64_t plain_policies; /* documents that may allow more, and took none */
    const char *bad_why;     /* NULL: all good so far */
    uint64_t bad_seq;
};

/* Of a zeroed struct, or one in which only vault or enclosed is set. step_ups_clear gives back what
 * it has. */
void step_ups_begin(struct step_ups *s, const struct id *log);
void step_ups_clear(struct step_ups *s);
void step_ups_line(struct step_ups *s, struct span line);
/* A record of operators that the bundle has of the vault's log; bad ones are enclosed->bad_why. */
void step_ups_operator(struct step_ups *s, struct span line);
/* The bundle verifies: who the operators were is known, and what waited is taken. */
void step_ups_release(struct step_ups *s);

/* Who the operators were, as far as it is known; else NULL. */
const struct roster *step_ups_roster(const struct step_ups *s);

/* step_up_summary.c:
 * {"operations", "approvals", "signatures", "cards", "plain_grants", "plain_policies", "enrolled",
 * "done": [...]} */
json_t *step_ups_summary(const struct step_ups *s);
void step_ups_print(const struct step_ups *s, const char *log_name);

#endif
