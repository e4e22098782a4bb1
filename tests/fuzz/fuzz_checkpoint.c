/*
 * Checkpoints from outside, under the vault, log and key of the seeds. Beyond not crashing: what
 * verifies begins with exactly the text that its size and root would be signed as.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ledger/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct id vault = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
    static const struct id log = { { 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
                                     31 } };
    static const uint8_t public32[32] = { 0x77, 0x2c, 0x8a, 0x44, 0x2b, 0x7d, 0xb0, 0x6e,
                                          0x16, 0x6c, 0xfb, 0xc1, 0xcc, 0xbc, 0xbc, 0xde,
                                          0x6f, 0x3e, 0xba, 0x76, 0xa4, 0xe9, 0x8e, 0xf3,
                                          0xff, 0xc5, 0x19, 0x50, 0x22, 0x37, 0xd6, 0xef };
    char base64[4 * ((SHA256_SIZE + 2) / 3) + 1];
    char text[CHECKPOINT_MAX];
    uint8_t root[SHA256_SIZE];
    uint64_t records = 0;
    struct span begins;

    if (checkpoint_verify(span_of(data, size), &vault, &log, SPAN(public32), &records, root,
                          NULL) != OK)
        return 0;
    base64_format(SPAN(root), base64);
    snprintf(text, sizeof(text),
             "strongroom/000102030405060708090a0b0c0d0e0f/101112131415161718191a1b1c1d1e1f\n"
             "%" PRIu64 "\n%s\n\n",
             records, base64);
    begins = span_text(text);
    if (size <= begins.n || !span_same(span_of(data, begins.n), begins))
        abort();
    return 0;
}
