/*
 * What is remembered of a vault's logs: for each the largest checkpoint that was seen. A vault that
 * shows a smaller one, or one that does not go on from it, was set back or tells two stories.
 */
#ifndef CLI_REMEMBER_H
#define CLI_REMEMBER_H

#include "fork.h"

/*
 * Asks the vault for its checkpoint of a log, and for the proof that it goes on from the remembered
 * one; then remembers it. EXIT_UNVERIFIED, loudly and with both notes in a file, if it does not.
 * A log that the vault does not have or does not show, and that was never seen, is passed over.
 */
int remember_check(struct cli *c, const char *log);
/* The same for a checkpoint that t holds. what a fork of it means is told by the caller. */
int remember_trail(struct cli *c, struct trail *t);
/* t's checkpoint and the remembered one do not go together: tells, and keeps both as a file. */
int remember_refuse(struct cli *c, const struct trail *t);

/* 'audit verify --fork-proof FILE' */
int remember_verify_file(struct cli *c, const char *path);

#endif
