/* A customer with an engagement, a key and a gateway, and what they do, on top of the rig. */
#ifndef ENGINE_CUSTOMER_H
#define ENGINE_CUSTOMER_H

#include "engine_rig.h"

#define VALUE "sk-proj-0123456789abcdefWXYZ"

struct customer {
    char tenant[32];
    struct holder gateway; /* may lease all keys */
    struct holder cert;    /* of the tenant */
};

static inline struct holder certified(struct rig *r, const char *role, const char *name)
{
    char *csr = rig_csr();
    json_t *made = rig_get(r, VERB_CERTIFICATE_ISSUE, &r->alice, NULL, NULL,
                           json_pack("{s:s, s:s, s:s}", "role", role, "name", name, "csr", csr));
    struct holder holder = rig_holder(r, rig_text(made, "certificate"));

    json_decref(made);
    free(csr);
    return holder;
}

/* A gateway with one grant, or with none. */
static inline struct holder gateway_new(struct rig *r, const char *name, const char *grant)
{
    char *csr = rig_csr();
    json_t *body = json_pack("{s:s, s:s}", "name", name, "csr", csr), *made;
    struct holder holder;

    if (grant != NULL)
        json_object_set_new(body, "grants", json_pack("[{s:s}]", "key", grant));
    made = rig_get(r, VERB_GATEWAY_ADD, &r->alice, NULL, NULL, body);
    holder = rig_holder(r, rig_text(made, "certificate"));
    json_decref(made);
    free(csr);
    return holder;
}

static inline json_t *sealed_value(const struct rig *r, const char *value)
{
    uint8_t sealed[LIMIT_DELIVERY];
    char text[4 * (LIMIT_DELIVERY / 3 + 1) + 1];
    size_t n = strlen(value);

    rig_must(box_seal(SPAN(r->intake), span_text(value), sealed, NULL) == OK, "seal");
    base64_format(span_of(sealed, n + BOX_OVERHEAD), text);
    return json_string(text);
}

static inline json_t *put_body(const struct rig *r, const char *value)
{
    return json_pack("{s:s, s:o}", "provider", "openai", "sealed_key", sealed_value(r, value));
}

static inline void put_key(struct rig *r, const struct customer *c, const char *key)
{
    rig_do(r, VERB_KEY_PUT, &r->alice, c->tenant, key, put_body(r, VALUE));
}

static inline struct request *rotate(struct rig *r, const struct customer *c, const char *key,
                                     const char *value, int grace_s)
{
    json_t *body =
        json_pack("{s:o, s:i}", "sealed_key", sealed_value(r, value), "grace_s", grace_s);

    return rig_ask(r, VERB_KEY_ROTATE, &r->alice, c->tenant, key, body);
}

static inline struct customer customer_new(struct rig *r, const char *name)
{
    struct customer c = { .tenant = "" };
    char grant[64], gateway[64];

    snprintf(c.tenant, sizeof c.tenant, "%s", name);
    snprintf(grant, sizeof grant, "%s/*", name);
    snprintf(gateway, sizeof gateway, "gw-%s", name);
    rig_do(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL, json_pack("{s:s}", "name", name));
    rig_do(r, VERB_ENGAGEMENT_START, &r->alice, name, NULL, json_pack("{s:s}", "name", "work"));
    put_key(r, &c, "openai");
    c.gateway = gateway_new(r, gateway, grant);
    c.cert = certified(r, "tenant", name);
    return c;
}

static inline json_t *lease_body(const struct customer *c, const char *key)
{
    char path[96];

    snprintf(path, sizeof path, "%s/%s", c->tenant, key);
    return json_pack("{s:s}", "key", path);
}

static inline struct request *lease(struct rig *r, const struct customer *c, const char *key)
{
    return rig_ask(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, lease_body(c, key));
}

static inline bool value_is(const struct request *rq, const char *value)
{
    return rq->value != NULL && span_same(secret_view(rq->value), span_text(value));
}

/* Leases, checks the value and gives the token. */
static inline void leased(struct rig *r, const struct customer *c, const char *key,
                          const char *value, char token[LEASE_TOKEN_LENGTH + 1])
{
    struct request *rq = lease(r, c, key);

    if (rq->outcome != OK)
        print_error("lease: %s\n", rq->err.why);
    assert_int_equal(rq->outcome, OK);
    assert_true(value_is(rq, value));
    snprintf(token, LEASE_TOKEN_LENGTH + 1, "%s", rig_text(rq->reply, "lease"));
    request_free(rq);
}

static inline status renew(struct rig *r, const struct customer *c, const char *token)
{
    return rig_try(r, VERB_LEASE_RENEW, &c->gateway, token, NULL, NULL);
}

/* All records of a log, one a line; the caller frees them. Checks that there is no gap. */
static inline char *trail(struct rig *r, const char *log)
{
    char *text = calloc(1, 1);
    size_t n = 0;
    uint64_t next = 0, size;

    do {
        struct request *rq = rig_request(r, VERB_LOG_RECORDS, &r->alice, log, NULL, NULL);

        rq->from = next;
        rig_submit(r, rq);
        rig_wait(r);
        assert_int_equal(rq->outcome, OK);
        size = rq->log_size;
        text = realloc(text, n + rq->lines_length + 1);
        memcpy(text + n, rq->lines, rq->lines_length);
        for (char *at = text + n, *end; at < text + n + rq->lines_length; at = end + 1) {
            struct record_head head;

            end = memchr(at, '\n', (size_t)(text + n + rq->lines_length - at));
            assert_int_equal(record_parse(span_of(at, (size_t)(end - at)), &head, NULL), OK);
            assert_int_equal(head.seq, next);
            next++;
        }
        n += rq->lines_length;
        text[n] = '\0';
        request_free(rq);
    } while (next < size);
    return text;
}

/* How often a text occurs in a log. */
static inline size_t recorded(struct rig *r, const char *log, const char *text)
{
    char *lines = trail(r, log);
    size_t count = 0;

    for (const char *at = lines; (at = strstr(at, text)) != NULL; at++)
        count++;
    free(lines);
    return count;
}

#define TYPE(name) "\"type\":\"" name "\""

/* The MACs of a whole log, by the keeper's word. */
static inline void check_macs(struct rig *r, const char *log)
{
    json_t *shown = rig_get(r, VERB_LOG_SHOW, &r->alice, log, NULL, NULL);
    json_int_t size = json_integer_value(json_object_get(shown, "size"));

    for (json_int_t from = 0; from < size; from += 500) {
        json_t *body = json_pack("{s:I, s:I}", "from", from, "to", from + 500);
        json_t *checked = rig_get(r, VERB_LOG_CHECK, &r->alice, log, NULL, body);

        assert_true(json_is_null(json_object_get(checked, "bad")));
        json_decref(checked);
    }
    json_decref(shown);
}

/* The engine notices within a second what time demands. */
static inline bool soon(bool (*check)(struct rig *r, const void *context), struct rig *r,
                        const void *context)
{
    for (unsigned i = 0; i < 100; i++) {
        if (check(r, context))
            return true;
        usleep(50000);
    }
    return false;
}

#endif
