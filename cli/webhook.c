/* Signatures of Standard Webhooks: HMAC-SHA256 over "id.timestamp.body". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

#define KEY_MIN 24
#define KEY_MAX 64

status webhook_sign(struct span key, const char *id, uint64_t timestamp_s, struct span body,
                    char out[static WEBHOOK_SIGNATURE_MAX], struct err *e)
{
    char head[128];
    uint8_t mac[MAC_SIZE];
    int n = snprintf(head, sizeof(head), "%s.%llu.", id, (unsigned long long)timestamp_s);
    uint8_t *text;

    if (n < 0 || (size_t)n >= sizeof(head))
        return fail(e, BAD_INPUT, "the webhook's id is too long", 0);
    text = malloc((size_t)n + body.n);
    if (text == NULL)
        return fail(e, NO_MEMORY, "no memory for a signature", 0);
    memcpy(text, head, (size_t)n);
    memcpy(text + n, body.p, body.n);
    hmac_sha256(key, span_of(text, (size_t)n + body.n), mac);
    free(text);
    memcpy(out, "v1,", 3);
    base64_format(SPAN(mac), out + 3);
    return OK;
}

status webhook_secret(const struct secret *text, struct secret **ret_key, struct err *e)
{
    static const char prefix[] = "whsec_";
    struct span s = secret_view(text);
    AUTO(secret) *key = NULL;
    size_t n = 0;
    status st;

    while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    if (s.n < sizeof(prefix) || memcmp(s.p, prefix, sizeof(prefix) - 1) != 0)
        return fail(e, BAD_INPUT, "the secret must be whsec_ and base64", 0);
    st = secret_new(KEY_MAX, &key, e);
    if (st != OK)
        return st;
    if (!base64_parse((const char *)s.p + 6, s.n - 6, secret_fill(key).p, KEY_MAX, &n) ||
        n < KEY_MIN)
        return fail(e, BAD_INPUT, "the secret must be 24 to 64 bytes in base64", 0);
    st = secret_trim(key, n, e);
    if (st != OK)
        return st;
    *ret_key = key;
    key = NULL;
    return OK;
}
