/* Names in a document that nothing in the vault has: most often they are misspelt. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "policy.h"
#include "reply.h"

static json_t *names_of(struct cli *c, const char *path, const char *member)
{
    AUTO(json_t) *reply = NULL;
    json_t *names = json_array();
    json_t *item = NULL;
    char refusal[1024];
    size_t i = 0;

    report_catch(refusal, sizeof(refusal)); /* a tenant may not list gateways */
    int code = https_list(c, path, member, &reply);

    report_catch(NULL, 0);
    if (code != EXIT_DONE) {
        json_decref(names);
        return NULL;
    }
    json_array_foreach(json_object_get(reply, member), i, item)(void)
        json_array_append(names, json_object_get(item, "name"));
    return names;
}

static bool is_met(const json_t *names, struct span word, bool prefix)
{
    const json_t *name = NULL;
    size_t i = 0;

    json_array_foreach((json_t *)(uintptr_t)names, i, name)
    {
        struct span text =
            span_text(json_string_value(name) != NULL ? json_string_value(name) : "");

        if (prefix && text.n > word.n)
            text.n = word.n;
        if (span_same(text, word))
            return true;
    }
    return false;
}

static size_t look_at(const char *file, const struct policy_document *d,
                      enum policy_condition condition, const json_t *names, const char *what)
{
    size_t count = 0;

    for (size_t i = 0; names != NULL && i < d->rule_count; i++) {
        const struct policy_list *list = &d->rules[i].list[condition];

        for (size_t k = 0; k < list->count; k++) {
            const struct policy_word *word = &d->words[list->first + k];
            struct span text = policy_word_text(d, word);

            if (is_met(names, text, word->prefix))
                continue;
            say("%s:%u: warning: there is no %s %.*s%s", file,
                d->rules[i].condition_line[condition], what, (int)text.n, (const char *)text.p,
                word->prefix ? "*" : "");
            count++;
        }
    }
    return count;
}

size_t policy_names_warn(struct cli *c, const char *file, const struct policy_document *d,
                         const char *owner)
{
    AUTO(json_t) *gateways = names_of(c, "/v1/gateways", "gateways");
    AUTO(json_t) *others = NULL;
    char path[128];
    size_t count = look_at(file, d, CONDITION_GATEWAYS, gateways, "gateway");

    if (d->vault) {
        others = names_of(c, "/v1/tenants", "tenants");
        return count + look_at(file, d, CONDITION_TENANTS, others, "tenant");
    }
    snprintf(path, sizeof(path), "/v1/tenants/%s/keys", owner);
    others = names_of(c, path, "keys");
    return count + look_at(file, d, CONDITION_KEYS, others, "key");
}
