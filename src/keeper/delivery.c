/* Sealed delivery: what leaves is sealed to the gateway's own key and signed, so that the server in
 * between can neither read nor change it. Which key it asked for is in what is signed. */
#include <string.h>

#include "batch.h"
#include "wire/delivery.h"

_Static_assert(LIMIT_DELIVERY + ED25519_SIGNATURE_SIZE <= LIMIT_SEALED_KEY,
               "a delivery fits where sealed values are made");

bool delivery_asked(const struct wire_entry *m)
{
    static const uint8_t none[sizeof(m->seal_to)];

    return !span_same(SPAN(m->seal_to), SPAN(none));
}

status delivery_seal(struct keeper *k, struct batch *b, const struct id *lease, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct span value = secret_view(b->plain);
    struct span sealed = span_of(b->sealed, value.n + BOX_OVERHEAD);
    uint8_t bytes[DELIVERY_SIGNED_MAX];
    struct out o;

    if (sealed.n > LIMIT_DELIVERY)
        return fail(e, CORRUPT, "the provider key is longer than any that was put", 0);
    status st = box_seal(SPAN(m->seal_to), value, b->sealed, e);
    secret_cleanup(&b->plain);
    if (st != OK)
        return st;
    struct wire_delivery d = { .vault = k->keys.vault,
                               .lease = *lease,
                               .gateway = m->gateway,
                               .key = m->key,
                               .version = m->version,
                               .expires_us = m->expires_us,
                               .sealed = sealed };
    memcpy(d.certificate, m->certificate, sizeof(d.certificate));
    memcpy(d.nonce, m->nonce, sizeof(d.nonce));
    out_init(&o, bytes, sizeof(bytes));
    wire_delivery_signed(&d, &o);
    if (o.overflow)
        return fail(e, BUG, "what a delivery signs does not fit", 0);
    ed25519_sign(secret_view(k->keys.system[SYSTEM_DELIVERY]), span_of(o.p, o.n),
                 b->sealed + sealed.n);
    b->result.data = span_of(b->sealed, sealed.n + ED25519_SIGNATURE_SIZE);
    return OK;
}
