/*
 * Proof files from outside, under the key of the seeds. Beyond not crashing: what is read is written
 * as the same bytes, and what verifies holds a record of the place that it names.
 */
#include <stdlib.h>

#include "ledger/tlog_proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t public32[32] = { 0x77, 0x2c, 0x8a, 0x44, 0x2b, 0x7d, 0xb0, 0x6e,
                                          0x16, 0x6c, 0xfb, 0xc1, 0xcc, 0xbc, 0xbc, 0xde,
                                          0x6f, 0x3e, 0xba, 0x76, 0xa4, 0xe9, 0x8e, 0xf3,
                                          0xff, 0xc5, 0x19, 0x50, 0x22, 0x37, 0xd6, 0xef };
    static uint8_t again[TLOG_PROOF_MAX];
    static struct tlog_proof p;
    struct record_head head;
    struct id vault;
    uint64_t records = 0;
    struct out o;

    if (tlog_proof_read(span_of(data, size), &p, NULL) != OK)
        return 0;
    out_init(&o, again, sizeof(again));
    if (tlog_proof_write(span_of(p.record, p.record_length), p.index, &p.proof, p.note, &o, NULL) !=
            OK ||
        !span_same(span_of(o.p, o.n), span_of(data, size)))
        abort();
    if (tlog_proof_verify(&p, SPAN(public32), NULL, 0, &vault, &head, &records, NULL) == OK &&
        (head.seq != p.index || p.index >= records))
        abort();
    return 0;
}
