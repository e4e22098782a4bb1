/* body_parse and the typed reads behind it, as every handler uses them. */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "http/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_members(struct request *rq)
{
    static uint8_t room[LIMIT_CREDENTIAL_ID];
    char tenant[STORE_NAME], key[STORE_PATTERN];
    struct out out;
    const char *text;
    uint64_t number;
    struct id id;
    struct err e = { 0 };

    out_init(&out, room, sizeof room);
    (void)!body_id(rq, "session", &id, &e);
    (void)!body_hex(rq, "credential_id", sizeof room, &out, &e);
    (void)!body_number(rq, "ttl_s", 0, 1, 86400, &number, &e);
    (void)!body_text(rq, "purpose", true, 128, &text, &e);
    if (body_name(rq, "name", &text, &e) == OK && !name_valid(text))
        abort();
    if (body_text(rq, "key", false, 127, &text, &e) == OK &&
        key_path_parse(text, false, tenant, key, &e) == OK &&
        (!name_valid(tenant) || !name_valid(key)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exchange x = { .rq = request_new() };

    if (x.rq == NULL || size > LIMIT_HTTP_BODY) {
        request_free(x.rq);
        return 0;
    }
    x.body = malloc(size + 1);
    if (x.body == NULL)
        abort();
    memcpy(x.body, data, size);
    x.body_length = size;
    x.rq->verb = VERB_LEASE_ISSUE;
    body_parse(&x);
    if (x.rq->verb != VERB_NONE)
        read_members(x.rq);
    else if (x.rq->err.code == OK)
        abort();
    free(x.body);
    request_free(x.rq);
    return 0;
}
