/*
 * An audit trail on its way through the verifier: where it comes from, what is known of it, and
 * what was found. The records may come from a vault or from a file; the code is the same.
 */
#ifndef CLI_TRAIL_H
#define CLI_TRAIL_H

#include <jansson.h>

#include "ledger/proof.h"
#include "ledger/verify.h"
#include "profile.h"
#include "step_up.h"

#define TRAIL_NOTE PROFILE_NOTE
#define TRAIL_NAME 64
#define TRAIL_PAGE 500

struct trail {
    struct id vault;
    struct id log;
    char name[TRAIL_NAME];
    uint64_t size; /* as the source says */
    uint64_t from; /* the records that are asked for: all, unless the caller says otherwise */
    uint64_t to;
    uint64_t first;           /* where the vault's log begins: what was before was dropped */
    struct ledger_proof left; /* of what was dropped */
    bool stated;              /* a record says that it was */
    uint8_t public_key[32];
    char note[TRAIL_NOTE];
    struct ledger_verify verify;    /* of a vault's records; a bundle has its own verifier */
    const struct ledger_tree *tree; /* what was verified, by either */
    uint64_t records;               /* how many those are */
    bool judged;                    /* a bundle's verifier has seen the checkpoint, and says: */
    const char *bad_why;            /* NULL: it verifies */
    uint64_t bad_seq;
    struct seen seen;          /* the checkpoint remembered from earlier */
    bool forked;               /* at seen.size the root was another one */
    bool macs;                 /* all MACs were checked, by the vault's keeper */
    struct step_ups *step_ups; /* NULL: not to be checked; the caller's */
};

/* GET /v1/logs/NAME, compared with the vault and ledger key of the profile; what the profile lacks
 * is pinned. The trail is zero before, but for step_ups. */
int trail_open(struct cli *c, const char *name, struct trail *t);
/* Starts verification; the remembered checkpoint comes from the profile, if one is loaded. */
void trail_begin(const struct cli *c, struct trail *t);
/* One record. A failure is kept in t->verify; the rest is passed over. */
void trail_line(struct trail *t, struct span line);
/* The same for a record that t->tree has already. */
void trail_record(struct trail *t, struct span line);
/* Checkpoint, memory and step-ups. Tells, and returns EXIT_UNVERIFIED for anything that does not
 * hold. */
int trail_check(const struct cli *c, struct trail *t);
/* The same, and prints what was found. */
int trail_finish(const struct cli *c, struct trail *t);
/* Says that record seq is where it fails. EXIT_UNVERIFIED. */
int trail_report_bad(const struct cli *c, const struct trail *t, uint64_t seq, const char *why);

/* Calls take for each record of the vault's log, in order. Counts on the terminal. */
typedef int (*trail_fn)(void *context, struct span line);
int trail_stream(struct cli *c, const struct trail *t, trail_fn take, void *context);

#endif
