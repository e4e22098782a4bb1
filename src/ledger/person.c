/* Tags of people's names. */
#include "ledger/person.h"

#include <string.h>

#include "crypto/crypto.h"

void person_tag(const uint8_t salt[static PERSON_SALT], struct span name,
                uint8_t out[static PERSON_TAG])
{
    uint8_t hash[SHA256_SIZE];
    struct label label;

    label_init(&label, "person");
    label_field(&label, span_of(salt, PERSON_SALT));
    label_field(&label, name);
    sha256(label_view(&label), hash);
    memcpy(out, hash, PERSON_TAG);
}

void person_text(const uint8_t tag[static PERSON_TAG], char out[static PERSON_TEXT_LENGTH + 1])
{
    out[0] = '~';
    hex_format(span_of(tag, PERSON_TAG), out + 1);
}

bool person_parse(struct span text, uint8_t out[static PERSON_TAG])
{
    return text.n == PERSON_TEXT_LENGTH && text.p[0] == '~' &&
           hex_parse((const char *)text.p + 1, text.n - 1, out, PERSON_TAG);
}
