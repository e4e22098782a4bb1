/*
 * Two checkpoints of one log that do not go together, as a file for others:
 *
 *   strongroom checkpoints that do not go together, version 1
 *   vault <32 hex>
 *   log <32 hex>
 *   public-key <base64>
 *   == remembered
 *   <signed note>
 *   == given
 *   <signed note>
 *   == left              perfect subtrees of the smaller tree's records, in the larger tree
 *   <base64>*
 *   == right             and of those behind them
 *   <base64>*
 *
 * It proves that the vault signed two histories if both notes are signed and either have one size
 * and two roots, or the subtrees make up the root of the larger, but not that of the smaller.
 */
#ifndef CLI_FORK_H
#define CLI_FORK_H

#include "proof.h"
#include "trail.h"

struct fork_note {
    char text[TRAIL_NOTE];
    uint64_t size;
    uint8_t root[32];
};

struct fork {
    struct id vault;
    struct id log;
    uint8_t public_key[32];
    struct fork_note remembered;
    struct fork_note given;
    bool has_sides;
    struct proof_sides sides; /* of the smaller one's records in the larger one's tree */
};

enum fork_verdict {
    FORK_BAD_NOTE, /* a note is malformed or not signed */
    FORK_NONE,     /* they go together */
    FORK_UNPROVEN, /* the sizes differ, and nothing shows whether they go together */
    FORK_PROVEN    /* two histories, both signed */
};
/* Reads size and root out of the notes. *ret_why: a sentence. */
enum fork_verdict fork_judge(struct fork *f, const char **ret_why);

/* Into a new file of the profile, fork-LOG-TIME.txt; its path into out. */
int fork_write(const struct cli *c, const struct fork *f, const char *log,
               char out[static PATH_MAX]);
/* Reads one; EXIT_USAGE if it has another form. */
int fork_read(const char *path, struct fork *ret);

#endif
