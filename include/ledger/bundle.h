/*
 * Exported trails, version 2: lines of flat JSON, read one by one in a fixed amount of memory.
 *
 *   {"strongroom_export":2,"vault":ID,"log":ID,"name":NAME,"public_key":BASE64,
 *    "size":N,"from":A,"to":B}
 *   {"left":HASH}*                    perfect subtrees of records [0, A)
 *   records A to B - 1                exactly as stored
 *   {"right":HASH}*                   perfect subtrees of [B, N)
 *   {"person":TAG,"salt":ID,"name":TEXT}*     tag = SHA-256(LBL("person"; salt, name))[0:16]
 *   {"operator_record":LINE,"seq":S,"size":M,"proof":HASHES}*    of the vault's own log
 *   {"vault_checkpoint":NOTE}         of that log, size M; if and only if there are such records
 *   {"commitment":BLIND,"round":R,"index":I,"siblings":HASHES,"record":LINE,"tree_size":T,
 *    "proof":HASHES,"tree_checkpoint":NOTE}   optional: see ledger/commitment.h
 *   {"checkpoint":NOTE}               of the log, size N
 *
 * Nothing in the header is signed: it is held against what is. The first bad record is named with
 * a literal reason, as in ledger/verify.h; what stands after the records is named as the record
 * that would come next. docs/DESIGN.md lists the reasons. Pure: no I/O.
 */
#ifndef LEDGER_BUNDLE_H
#define LEDGER_BUNDLE_H

#include "ledger/commitment.h"
#include "ledger/note.h"
#include "ledger/verify.h"

#define BUNDLE_LINE_MAX      65536
#define BUNDLE_WITNESSES_MAX 16
#define BUNDLE_NAME_SIZE     64

struct bundle_header {
    struct id vault;
    struct id log;
    char name[BUNDLE_NAME_SIZE]; /* a label, for people */
    uint8_t public32[32];
    uint64_t size;
    uint64_t from;
    uint64_t to;
};

/* What the reader trusts, asks for and wants to hear of. Members may be NULL or 0. */
struct bundle_reader {
    const struct note_key *witness; /* each must have signed, else it does not verify */
    size_t witnesses;               /* at most BUNDLE_WITNESSES_MAX */
    bool range;                     /* not the whole trail, but these records at least: */
    uint64_t from;
    uint64_t to;
    void *context;
    /* The header was read. Returns the ledger's key, or NULL for the one that it names. */
    const uint8_t *(*begin)(void *context, const struct bundle_header *header);
    /* A record that continues the log; tree is what there is with it. */
    void (*record)(void *context, struct span line, const struct ledger_tree *tree);
    void (*person)(void *context, const struct id *tag, struct span name);
    /* A record of the vault's own log. Only bundle_end says whether it is there. */
    void (*operator_record)(void *context, struct span line);
};

struct bundle {
    struct bundle_reader reader;
    struct bundle_header header;
    unsigned stage;
    uint8_t public32[32];        /* the key that checkpoints are held against */
    struct ledger_verify verify; /* its tree is the whole one in the end */
    struct ledger_proof left;
    struct ledger_proof right;
    uint64_t next; /* the record that would come next */
    uint8_t from_root[SHA256_SIZE];
    bool dropped_stated; /* a record says that those before from were dropped */
    uint64_t persons;
    uint64_t operators; /* records of operators not yet held against a checkpoint */
    uint64_t operators_proven;
    uint64_t operator_next; /* least sequence number of the next one */
    uint64_t operator_size;
    uint8_t operator_root[SHA256_SIZE];
    bool committed;
    struct commitment commitment;
    uint8_t commitment_root[SHA256_SIZE]; /* as the tree's record has it */
    uint32_t witnessed;                   /* bit i: witness[i] has signed */
    uint64_t bad_seq;
    struct err err; /* why, if code is not OK: CORRUPT with bad_seq, BAD_INPUT for no bundle */
};

void bundle_begin(struct bundle *b, const struct bundle_reader *reader);
/* One line without its newline. CORRUPT: does not verify; BAD_INPUT: not a bundle of version 2.
 * After a failure it stays failed. */
MUST_CHECK status bundle_line(struct bundle *b, struct span line, struct err *e);
/* There are no more lines. */
MUST_CHECK status bundle_end(struct bundle *b, struct err *e);

/* Lines out of pieces of a file of any size. A last line without newline is one, too. */
struct bundle_feed {
    struct bundle *bundle;
    size_t n;
    uint8_t bytes[BUNDLE_LINE_MAX + 1];
};
void bundle_feed_begin(struct bundle_feed *f, struct bundle *b);
MUST_CHECK status bundle_feed(struct bundle_feed *f, struct span piece, struct err *e);
/* Includes bundle_end. */
MUST_CHECK status bundle_feed_end(struct bundle_feed *f, struct err *e);

#endif
