/* Commitments of one round; who makes them and how they are blinded is the keeper's matter. */
#include "ledger/commitment.h"

#include "ledger/proof.h"

void commitment_leaf(uint64_t round, struct span text, const uint8_t blind[static 32],
                     uint8_t out[static SHA256_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    struct label l;

    sha256(text, hash);
    label_init(&l, "tree-leaf");
    label_u64(&l, round);
    label_field(&l, SPAN(hash));
    label_field(&l, span_of(blind, 32));
    ledger_leaf(label_view(&l), out);
}

void commitment_root(const struct commitment *c, struct span text, uint8_t out[static SHA256_SIZE])
{
    commitment_leaf(c->round, text, c->blind, out);
    for (unsigned level = 0; level < COMMITMENT_LEVELS; level++) {
        if ((c->index >> level & 1) != 0)
            ledger_node(c->sibling[level], out, out);
        else
            ledger_node(out, c->sibling[level], out);
    }
}
