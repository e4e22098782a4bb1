#include "proof.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "reply.h"

bool proof_parse(const json_t *list, struct ledger_proof *ret)
{
    size_t i = 0;
    const json_t *item = NULL;

    ret->count = 0;
    if (!json_is_array(list) || json_array_size(list) > PROOF_MAX)
        return false;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        size_t n = 0;

        if (text == NULL || !base64_parse(text, strlen(text), ret->hash[i], SHA256_SIZE, &n) ||
            n != SHA256_SIZE)
            return false;
    }
    ret->count = json_array_size(list);
    return true;
}

int proof_fetch_range(struct cli *c, const char *log, uint64_t from, uint64_t to, uint64_t size,
                      struct proof_sides *ret)
{
    AUTO(json_t) *reply = NULL;
    char path[192];

    snprintf(path, sizeof(path), "/v1/logs/%s/range?from=%llu&to=%llu&size=%llu", log,
             (unsigned long long)from, (unsigned long long)to, (unsigned long long)size);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    if (!proof_parse(json_object_get(reply, "left"), &ret->left) ||
        !proof_parse(json_object_get(reply, "right"), &ret->right))
        return reply_report("proof");
    return EXIT_DONE;
}
