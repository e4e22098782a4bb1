/* Bodies of the Vault-compatible face, as each of its routes reads them: the first byte chooses. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    enum compat_route route;
    enum verb verb;
} routes[] = {
    { COMPAT_LOGIN_CERT, VERB_TOKEN_LOGIN },  { COMPAT_LOGIN_APPROLE, VERB_TOKEN_LOGIN },
    { COMPAT_RENEW_SELF, VERB_TOKEN_RENEW },  { COMPAT_REVOKE_SELF, VERB_TOKEN_REVOKE },
    { COMPAT_LEASE_RENEW, VERB_LEASE_RENEW }, { COMPAT_LEASE_REVOKE, VERB_LEASE_RELEASE },
    { COMPAT_LOOKUP_SELF, VERB_TOKEN_SHOW },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exchange x = { .door = DOOR_COMPAT, .rq = request_new() };
    const json_t *seconds;

    if (x.rq == NULL || size == 0 || size > LIMIT_HTTP_BODY) {
        request_free(x.rq);
        return 0;
    }
    x.path.route = routes[data[0] % (sizeof routes / sizeof routes[0])].route;
    x.rq->verb = routes[data[0] % (sizeof routes / sizeof routes[0])].verb;
    x.body_length = size - 1;
    x.body = malloc(size);
    if (x.body == NULL)
        abort();
    memcpy(x.body, data + 1, size - 1);
    compat_body(&x);
    if (x.rq->verb == VERB_NONE && (x.status != 400 || x.rq->err.code == OK))
        abort();
    seconds = json_object_get(x.rq->body, "ttl_s");
    if (seconds != NULL && (json_integer_value(seconds) < 1 || json_integer_value(seconds) > 86400))
        abort();
    if (memchr(x.rq->param[0], '\0', sizeof x.rq->param[0]) == NULL)
        abort();
    free(x.body);
    request_free(x.rq);
    return 0;
}
