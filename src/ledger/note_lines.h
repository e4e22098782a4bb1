/* The parts of a note's form that checkpoints share. Private to the module. */
#ifndef LEDGER_SRC_NOTE_LINES_H
#define LEDGER_SRC_NOTE_LINES_H

#include "ledger/note.h"

#define NOTE_DASH "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */

enum signature {
    SIGNATURE_MALFORMED,
    SIGNATURE_WRONG,  /* claims to be by the key, and is not */
    SIGNATURE_ABSENT, /* none by the key */
    SIGNATURE_GOOD
};

/* The next line without its newline; false if no whole line is left. */
bool note_take_line(struct in *i, struct span *ret_line);
/* Whole lines of UTF-8 without control characters. */
bool note_allowed(struct span note);
/* What all the signature lines in rest say of text. */
enum signature note_judge(const struct note_key *key, struct span text, struct in rest,
                          uint64_t *ret_time_s);

#endif
