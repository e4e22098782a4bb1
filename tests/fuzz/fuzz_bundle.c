/*
 * Bundles from outside. Beyond not crashing: the verdict does not depend on the pieces in which a
 * file arrives, a failure stays, and what verifies ends with as many records as were signed for.
 */
#include <stdlib.h>

#include "ledger/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static status verify(struct bundle *b, const uint8_t *data, size_t size, size_t piece)
{
    static const struct bundle_reader reader = { .range = true };
    static struct bundle_feed feed;
    status st = OK;

    bundle_begin(b, &reader);
    bundle_feed_begin(&feed, b);
    for (size_t at = 0; at < size && st == OK; at += piece)
        st = bundle_feed(&feed, span_of(data + at, size - at < piece ? size - at : piece), NULL);
    return st == OK ? bundle_feed_end(&feed, NULL) : st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bundle whole;
    static struct bundle pieces;
    status st = verify(&whole, data, size, size + 1);

    if (verify(&pieces, data, size, 61) != st || pieces.bad_seq != whole.bad_seq)
        abort();
    if (st != OK && (whole.err.code != st || bundle_line(&whole, span_of(data, size), NULL) != st))
        abort();
    if (st == OK && (whole.next != whole.header.to || whole.verify.tree.size != whole.header.size))
        abort();
    return 0;
}
