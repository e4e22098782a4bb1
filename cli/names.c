/* What is shown of a record. --json has all of it; here the question is what somebody can read. */
#include "names.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "people.h"

#define DETAILS_MAX 1024

/* {id: name} of a list, or {id: item} where names alone say too little. */
static json_t *index_list(struct cli *c, const char *path, const char *member, bool whole)
{
    AUTO(json_t) *reply = NULL;
    char refusal[1024];
    json_t *index = json_object();
    size_t i = 0;
    json_t *item = NULL;

    report_catch(refusal, sizeof(refusal));
    int code = https_list(c, path, member, &reply);

    report_catch(NULL, 0);
    if (code != EXIT_DONE)
        return index;
    json_array_foreach(json_object_get(reply, member), i, item)
    {
        const char *id = json_string_value(json_object_get(item, "id"));

        if (id != NULL)
            (void)json_object_set(index, id, whole ? item : json_object_get(item, "name"));
    }
    return index;
}

void names_load(struct cli *c, const char *log, struct names *ret)
{
    char path[192];
    char refusal[1024];

    *ret = (struct names){ .keys = NULL };
    if (strcmp(log, "vault") != 0) {
        snprintf(path, sizeof(path), "/v1/tenants/%s/keys", log);
        ret->keys = index_list(c, path, "keys", true);
        snprintf(path, sizeof(path), "/v1/tenants/%s/engagements", log);
        ret->engagements = index_list(c, path, "engagements", false);
    }
    ret->gateways = index_list(c, "/v1/gateways", "gateways", false);
    report_catch(refusal, sizeof(refusal));
    (void)people_list(c, log, &ret->people);
    report_catch(NULL, 0);
}

void names_clear(struct names *n)
{
    json_t_cleanup(&n->keys);
    json_t_cleanup(&n->engagements);
    json_t_cleanup(&n->gateways);
    json_t_cleanup(&n->people);
}

/* In columns of their own, or for programs only. */
static bool is_hidden(const char *name)
{
    static const char *const hidden[] = { "v",          "log",         "seq",       "prev",
                                          "time",       "type",        "outcome",   "actor",
                                          "request_id", "certificate", "auth_data", "signature",
                                          "public_key", "context" };

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (strcmp(name, hidden[i]) == 0)
            return true;
    }
    return false;
}

struct text {
    char *at;
    size_t cap;
    size_t used;
};

static void add(struct text *t, const char *name, const char *value, int n)
{
    int wrote = snprintf(t->at + t->used, t->cap - t->used, "%s%s=%.*s", t->used > 0 ? " " : "",
                         name, n, value);

    if (wrote > 0 && (size_t)wrote < t->cap - t->used)
        t->used += (size_t)wrote;
    else
        t->at[t->used] = '\0'; /* what does not fit is left out whole */
}

/* Behind a key, so that whoever knows the provider's side can tell which one it is. */
static void add_hint(struct text *t, const struct names *n, const json_t *record)
{
    const char *id = json_string_value(json_object_get(record, "key_id"));
    const json_t *key = id != NULL ? json_object_get(n->keys, id) : NULL;
    const char *hint = json_string_value(json_object_get(key, "hint"));

    if (hint != NULL && hint[0] != '\0' &&
        json_integer_value(json_object_get(key, "version")) ==
            json_integer_value(json_object_get(record, "version")))
        add(t, "hint", hint, 16);
}

static void add_id(struct text *t, const struct names *n, const json_t *record, const char *name,
                   const char *id)
{
    char plain[40] = "";
    const json_t *known = NULL;
    const char *actor = json_string_value(json_object_get(record, "actor"));

    snprintf(plain, sizeof(plain), "%.*s", (int)(strlen(name) - 3), name);
    if (json_object_get(record, plain) != NULL) /* it has its name beside it */
        return;
    if (strcmp(plain, "tenant") == 0 || strcmp(plain, "vault") == 0)
        return; /* whose log it is */
    if (strcmp(plain, "gateway") == 0 && actor != NULL && strncmp(actor, "gateway:", 8) == 0)
        return;
    if (strcmp(plain, "key") == 0)
        known = json_object_get(json_object_get(n->keys, id), "name");
    else if (strcmp(plain, "engagement") == 0)
        known = json_object_get(n->engagements, id);
    else if (strcmp(plain, "gateway") == 0)
        known = json_object_get(n->gateways, id);
    if (known != NULL)
        add(t, plain, json_string_value(known), 128);
    else
        add(t, plain, id, strcmp(plain, "lease") == 0 ? 32 : 8); /* a lease is asked for by it */
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t k = strlen(end);

    return n > k && strcmp(text + n - k, end) == 0;
}

static bool is_hex(const char *text)
{
    size_t n = strlen(text);

    return n >= ID_HEX_LENGTH && strspn(text, "0123456789abcdef") == n;
}

static bool is_time(const char *text)
{
    size_t n = strlen(text);

    return n == 27 && text[10] == 'T' && text[26] == 'Z';
}

static void add_text(struct text *t, const struct names *n, const json_t *record, const char *name,
                     const char *value)
{
    char time[24];

    if (ends_with(name, "_id") && is_hex(value)) {
        add_id(t, n, record, name, value);
    } else if (is_hex(value)) {
        add(t, name, value, 8);
    } else if (is_time(value)) {
        snprintf(time, sizeof(time), "%.19sZ", value);
        add(t, name, time, 20);
    } else {
        add(t, name, value, 512);
    }
    if (strcmp(name, "key") == 0 ||
        (strcmp(name, "key_id") == 0 && json_object_get(record, "key") == NULL))
        add_hint(t, n, record);
}

void names_describe(const struct names *n, json_t *record)
{
    char details[DETAILS_MAX] = "";
    struct text t = { .at = details, .cap = sizeof(details) };
    const char *name = NULL;
    json_t *value = NULL;

    people_resolve(n->people, record);
    json_object_foreach(record, name, value)
    {
        char number[32] = "";

        if (is_hidden(name))
            continue;
        if (json_is_string(value)) {
            add_text(&t, n, record, name, json_string_value(value));
        } else if (json_is_integer(value)) {
            snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
            add(&t, name, number, 31);
        } else if (json_is_boolean(value)) {
            add(&t, name, json_is_true(value) ? "yes" : "no", 3);
        }
    }
    (void)json_object_set_new(record, "details", json_string(details));
}
