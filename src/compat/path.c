/* Splits into segments first; nothing looks at the text after that. */
#include "compat/path.h"

#include <string.h>

#define SEGMENTS 8

struct segments {
    char text[SEGMENTS][COMPAT_SEGMENT];
    size_t count;
};

static const char *const doors[] = { "auth", "sys", "secret", "kv", "strongroom" };
static const char *const words[] = { "data",  "metadata", "creds",  "login", "cert", "approle",
                                     "token", "leases",   "health", "root",  "admin" };

static const struct {
    const char *pattern; /* {} takes one segment, {?} one or none */
    enum compat_route route;
} routes[] = {
    { "auth/cert/login", COMPAT_LOGIN_CERT },
    { "auth/approle/login", COMPAT_LOGIN_APPROLE },
    { "auth/token/lookup-self", COMPAT_LOOKUP_SELF },
    { "auth/token/renew-self", COMPAT_RENEW_SELF },
    { "auth/token/revoke-self", COMPAT_REVOKE_SELF },
    { "sys/health", COMPAT_HEALTH },
    { "sys/init", COMPAT_INIT },
    { "sys/seal-status", COMPAT_SEAL_STATUS },
    { "sys/leader", COMPAT_LEADER },
    { "sys/leases/renew/{?}", COMPAT_LEASE_RENEW },
    { "sys/leases/revoke/{?}", COMPAT_LEASE_REVOKE },
    { "secret/data/{}", COMPAT_KV2_DATA },
    { "secret/metadata/{?}", COMPAT_KV2_METADATA },
    { "kv/{?}", COMPAT_KV1 },
    { "strongroom/creds/{}", COMPAT_CREDS },
};

static bool is_word(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

static bool is_door(const char *text)
{
    return is_word(text, doors, sizeof doors / sizeof doors[0]);
}

bool compat_reserved(const char *tenant)
{
    return is_door(tenant) || is_word(tenant, words, sizeof words / sizeof words[0]);
}

static bool is_mount(const char *text)
{
    return is_word(text, doors + 2, sizeof doors / sizeof doors[0] - 2);
}

/* false: a segment is longer than any that could be meant, or there are more. */
static bool split(const char *url, struct segments *s)
{
    *s = (struct segments){ .count = 0 };
    for (;;) {
        size_t n;

        url += strspn(url, "/");
        n = strcspn(url, "/");
        if (n == 0)
            return true;
        if (n >= COMPAT_SEGMENT || s->count == SEGMENTS)
            return false;
        memcpy(s->text[s->count++], url, n);
        url += n;
    }
}

/* The pattern's next word, without its slash. */
static size_t word_of(const char **pattern, char out[COMPAT_SEGMENT])
{
    size_t n = strcspn(*pattern, "/");

    memcpy(out, *pattern, n);
    out[n] = '\0';
    *pattern += n + ((*pattern)[n] == '/');
    return n;
}

static bool match(const char *pattern, const struct segments *s, size_t at, const char **ret_name)
{
    char word[COMPAT_SEGMENT];

    *ret_name = "";
    for (; word_of(&pattern, word) > 0; at++) {
        bool there = at < s->count;

        if (word[0] != '{') {
            if (!there || strcmp(word, s->text[at]) != 0)
                return false;
        } else if (there) {
            *ret_name = s->text[at];
        } else {
            return word[1] == '?';
        }
    }
    return at == s->count;
}

/* sys/internal/ui/mounts/[NAMESPACE/]MOUNT/anything: clients ask which kind a mount is. */
static bool match_mount(const struct segments *s, size_t at, struct compat_path *out)
{
    static const char *const probe[] = { "sys", "internal", "ui", "mounts" };

    for (size_t i = 0; i < 4; i++, at++) {
        if (at >= s->count || strcmp(s->text[at], probe[i]) != 0)
            return false;
    }
    if (at + 1 < s->count && !is_mount(s->text[at])) {
        if (!name_valid(s->text[at]) ||
            (out->tenant[0] != '\0' && strcmp(out->tenant, s->text[at]) != 0))
            return false;
        memcpy(out->tenant, s->text[at], strlen(s->text[at]) + 1);
        out->below = true;
        at++;
    }
    for (size_t i = 2; at < s->count && i < sizeof doors / sizeof doors[0]; i++) {
        if (strcmp(doors[i], s->text[at]) == 0)
            out->mount = doors[i];
    }
    if (out->mount != NULL)
        out->route = COMPAT_MOUNT;
    return out->mount != NULL;
}

static bool is_lease(enum compat_route route)
{
    return route == COMPAT_LEASE_RENEW || route == COMPAT_LEASE_REVOKE;
}

static const char *read_header(const char *header, struct compat_path *out)
{
    struct segments s;

    if (header == NULL)
        return NULL;
    if (!split(header, &s) || s.count > 1)
        return "a namespace is the name of one tenant";
    if (s.count == 1 && !name_valid(s.text[0]))
        return "a namespace is the name of one tenant";
    if (s.count == 1)
        memcpy(out->tenant, s.text[0], strlen(s.text[0]) + 1);
    return NULL;
}

static const char *read_namespace(const char *segment, struct compat_path *out)
{
    if (!name_valid(segment))
        return "there is no such path";
    if (out->tenant[0] != '\0' && strcmp(out->tenant, segment) != 0) {
        out->misnamed = true;
        return "the namespaces of header and path are different";
    }
    memcpy(out->tenant, segment, strlen(segment) + 1);
    return NULL;
}

const char *compat_path_parse(const char *url, const char *header, struct compat_path *out)
{
    struct segments s;
    const char *why, *name;
    size_t at = 1;

    *out = (struct compat_path){ .route = COMPAT_NOTHING };
    why = read_header(header, out);
    if (why != NULL) {
        out->misnamed = true;
        return why;
    }
    if (!split(url, &s) || s.count < 2 || strcmp(s.text[0], "v1") != 0)
        return "there is no such path";
    if (!is_door(s.text[at])) {
        if (s.count < 3 || !is_door(s.text[at + 1]))
            return "there is no such path";
        why = read_namespace(s.text[at++], out);
        if (why != NULL)
            return why;
    }
    if (match_mount(&s, at, out))
        return NULL;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!match(routes[i].pattern, &s, at, &name))
            continue;
        if (name[0] != '\0' && !is_lease(routes[i].route) && !name_valid(name))
            return "there is no such path";
        out->route = routes[i].route;
        memcpy(out->name, name, strlen(name) + 1);
        return NULL;
    }
    return "there is no such path";
}
