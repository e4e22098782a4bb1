/* Method, pattern, verb. docs/API.md is held against this table by a test. */
#include "internal.h"

#include <string.h>

static const struct route {
    const char *method;
    const char *pattern; /* {} takes one path segment */
    enum verb verb;
} routes[] = {
    { "GET", "/v1/status", VERB_STATUS },
    { "POST", "/v1/init/session", VERB_INIT_SESSION },
    { "POST", "/v1/init", VERB_INIT },
    { "GET", "/v1/slots", VERB_SLOTS },
    { "POST", "/v1/unlock/session", VERB_UNLOCK_SESSION },
    { "POST", "/v1/unlock", VERB_UNLOCK },
    { "POST", "/v1/lock", VERB_LOCK },
    { "POST", "/v1/clock/confirm", VERB_CLOCK_CONFIRM },
    { "GET", "/v1/keys", VERB_PUBLIC_KEYS },
    { "GET", "/v1/doctor", VERB_DOCTOR },
    { "GET", "/metrics", VERB_METRICS },
    { "POST", "/v1/operators/session", VERB_OPERATOR_SESSION },
    { "POST", "/v1/operators", VERB_OPERATOR_ENROL },
    { "GET", "/v1/operations", VERB_OPERATION_LIST },
    { "POST", "/v1/operations", VERB_OPERATION_PROPOSE },
    { "GET", "/v1/operations/{}", VERB_OPERATION_SHOW },
    { "DELETE", "/v1/operations/{}", VERB_OPERATION_WITHDRAW },
    { "POST", "/v1/operations/{}/session", VERB_OPERATION_SESSION },
    { "POST", "/v1/operations/{}/approve", VERB_OPERATION_APPROVE },
    { "GET", "/v1/tenants", VERB_TENANT_LIST },
    { "POST", "/v1/tenants", VERB_TENANT_CREATE },
    { "GET", "/v1/tenants/{}", VERB_TENANT_SHOW },
    { "GET", "/v1/tenants/{}/engagements", VERB_ENGAGEMENT_LIST },
    { "POST", "/v1/tenants/{}/engagements", VERB_ENGAGEMENT_START },
    { "POST", "/v1/tenants/{}/engagements/{}/end", VERB_ENGAGEMENT_END },
    { "GET", "/v1/tenants/{}/keys", VERB_KEY_LIST },
    { "GET", "/v1/tenants/{}/keys/{}", VERB_KEY_SHOW },
    { "POST", "/v1/tenants/{}/keys/{}", VERB_KEY_PUT },
    { "POST", "/v1/tenants/{}/keys/{}/rotate", VERB_KEY_ROTATE },
    { "POST", "/v1/tenants/{}/keys/{}/revoke", VERB_KEY_REVOKE },
    { "GET", "/v1/gateways", VERB_GATEWAY_LIST },
    { "POST", "/v1/gateways", VERB_GATEWAY_ADD },
    { "DELETE", "/v1/gateways/{}", VERB_GATEWAY_REMOVE },
    { "POST", "/v1/gateways/{}/grants", VERB_GRANT_ADD },
    { "POST", "/v1/gateways/{}/grants/remove", VERB_GRANT_REMOVE },
    { "GET", "/v1/certificates", VERB_CERTIFICATE_LIST },
    { "POST", "/v1/certificates", VERB_CERTIFICATE_ISSUE },
    { "POST", "/v1/certificates/revoke", VERB_CERTIFICATE_REVOKE },
    { "GET", "/v1/auditors", VERB_AUDITOR_LIST },
    { "POST", "/v1/auditors/{}/tenants", VERB_AUDITOR_ASSIGN },
    { "DELETE", "/v1/auditors/{}/tenants/{}", VERB_AUDITOR_UNASSIGN },
    { "POST", "/v1/leases", VERB_LEASE_ISSUE },
    { "GET", "/v1/leases", VERB_LEASE_LIST },
    { "POST", "/v1/leases/revoke", VERB_LEASE_REVOKE },
    { "POST", "/v1/leases/{}/renew", VERB_LEASE_RENEW },
    { "POST", "/v1/leases/{}/release", VERB_LEASE_RELEASE },
    { "GET", "/v1/logs/{}", VERB_LOG_SHOW },
    { "GET", "/v1/logs/{}/records", VERB_LOG_RECORDS },
    { "POST", "/v1/logs/{}/check", VERB_LOG_CHECK },
    { "GET", "/v1/logs/{}/consistency", VERB_LOG_CONSISTENCY },
    { "GET", "/v1/logs/{}/inclusion", VERB_LOG_INCLUSION },
    { "GET", "/v1/logs/{}/range", VERB_LOG_RANGE },
    { "GET", "/v1/logs/{}/operators", VERB_LOG_OPERATORS },
    { "GET", "/v1/logs/{}/commitment", VERB_LOG_COMMITMENT },
    { "POST", "/v1/logs/{}/cosignatures", VERB_LOG_COSIGN },
    { "GET", "/v1/logs/{}/people", VERB_PERSON_LIST },
    { "POST", "/v1/logs/{}/people/erase", VERB_PERSON_ERASE },
    { "GET", "/v1/records", VERB_RECORD_FEED },
    { "GET", "/v1/revocations", VERB_REVOCATION_LIST },
    { "POST", "/v1/revocations/acknowledge", VERB_REVOCATION_ACKNOWLEDGE },
    { "GET", "/v1/authz/{}/{}", VERB_LEASE_FORWARD }, /* and any other method */
    { "GET", "/v1/policies/{}", VERB_POLICY_SHOW },
    { "GET", "/v1/policies/{}/versions", VERB_POLICY_VERSIONS },
    { "POST", "/v1/policies/{}", VERB_POLICY_SET },
    { "POST", "/v1/usage", VERB_USAGE_REPORT },
    { "GET", "/v1/usage", VERB_USAGE_SHOW },
    { "POST", "/v1/usage/litellm", VERB_USAGE_LITELLM },
    { "POST", "/v1/otlp/v1/traces", VERB_USAGE_TRACES },
    { "POST", "/v1/otlp/v1/logs", VERB_USAGE_LOGS },
    { "GET", "/v1/tenants/{}/compat", VERB_COMPAT_SHOW },
    { "POST", "/v1/tenants/{}/compat", VERB_COMPAT_SET },
    { "GET", "/v1/gateways/{}/compat", VERB_COMPAT_LIST },
    { "POST", "/v1/gateways/{}/approles", VERB_APPROLE_ADD },
    { "DELETE", "/v1/gateways/{}/approles/{}", VERB_APPROLE_REMOVE },
    { "POST", "/v1/gateways/{}/tokens", VERB_TOKEN_ISSUE },
    { "DELETE", "/v1/gateways/{}/tokens/{}", VERB_TOKEN_WITHDRAW },
};

/* Segments that {} takes go into found. */
static bool match(const char *pattern, const char *url, struct span found[static REQUEST_PARAMS])
{
    size_t count = 0;

    while (*pattern != '\0') {
        if (pattern[0] == '{') {
            size_t n = strcspn(url, "/");

            if (n == 0 || n >= REQUEST_PARAM || count == REQUEST_PARAMS)
                return false;
            found[count++] = (struct span){ (const uint8_t *)url, n };
            pattern += 2;
            url += n;
        } else if (*pattern++ != *url++) {
            return false;
        }
    }
    return *url == '\0';
}

static void refuse(struct exchange *x, unsigned code, const char *title, status outcome)
{
    x->status = code;
    x->title = title;
    x->rq->verb = VERB_NONE;
    err_note(&x->rq->err, outcome, __func__,
             code == MHD_HTTP_METHOD_NOT_ALLOWED ? "this path does not know that method"
                                                 : "there is no such path",
             0);
}

void route_find(struct exchange *x, const char *method, const char *url)
{
    bool known_path = false;

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        struct span found[REQUEST_PARAMS] = { 0 };

        if (!match(routes[i].pattern, url, found))
            continue;
        known_path = true;
        if (strcmp(routes[i].method, method) != 0 && routes[i].verb != VERB_LEASE_FORWARD)
            continue;
        x->rq->verb = routes[i].verb;
        x->rq->plain = strncmp(routes[i].pattern, "/v1/leases", 10) == 0;
        for (size_t k = 0; k < REQUEST_PARAMS && found[k].n > 0; k++) /* they are zeroed */
            memcpy(x->rq->param[k], found[k].p, found[k].n);
        return;
    }
    if (known_path)
        refuse(x, MHD_HTTP_METHOD_NOT_ALLOWED, "method-not-allowed", BAD_INPUT);
    else
        refuse(x, MHD_HTTP_NOT_FOUND, "not-found", NOT_FOUND);
}
