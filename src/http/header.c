/* What the headers of a request say to the engine. */
#include "internal.h"

#include <gnutls/crypto.h>
#include <string.h>

#define IDEMPOTENCY_MAX 64

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

static status take_idempotency(struct request *rq, const char *text, struct err *e)
{
    uint8_t hash[32];
    size_t n = strlen(text);

    if (n == 0 || n > IDEMPOTENCY_MAX || !is_printable(text))
        return fail(e, BAD_INPUT, "an Idempotency-Key is 1 to 64 printable ASCII characters", 0);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, n, hash) < 0)
        return fail(e, BUG, "cannot hash the idempotency key", 0);
    memcpy(rq->idempotency, hash, sizeof rq->idempotency);
    rq->has_idempotency = true;
    return OK;
}

void header_read(struct exchange *x)
{
    struct request *rq = x->rq;
    const char *text;

    if (rq->verb != VERB_LEASE_ISSUE)
        return;
    text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Idempotency-Key");
    if (text != NULL && take_idempotency(rq, text, &rq->err) != OK)
        rq->verb = VERB_NONE;
}
