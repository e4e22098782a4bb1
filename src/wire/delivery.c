/* What the keeper signs of a sealed delivery, and the gateway verifies. */
#include "wire/delivery.h"

#include "crypto/crypto.h"

void wire_delivery_signed(const struct wire_delivery *m, struct out *o)
{
    uint8_t digest[SHA256_SIZE];
    struct label label;

    sha256(m->sealed, digest);
    label_init(&label, "delivery");
    label_id(&label, &m->vault);
    label_id(&label, &m->lease);
    label_id(&label, &m->gateway);
    label_field(&label, SPAN(m->certificate));
    label_field(&label, SPAN(m->nonce));
    label_id(&label, &m->key);
    label_u32(&label, m->version);
    label_u64(&label, m->expires_us);
    label_field(&label, SPAN(digest));
    out_raw(o, label_view(&label));
}
