/* Documents of policy in the vault: shown, listed, set. */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "crypto/crypto.h"
#include "operation.h"
#include "people.h"
#include "reply.h"
#include "table.h"

static const struct column columns[] = {
    { "VERSION", "version", COLUMN_TEXT },
    { "SET", "set", COLUMN_TIME },
    { "BY", "actor", COLUMN_TEXT },
    { "SHA256", "sha256", COLUMN_SHORT },
};

int policy_owner(const struct cli *c, const char **ret_owner, bool *ret_vault)
{
    int code = cli_name(c, 0, "an owner", ret_owner);

    *ret_vault = code == EXIT_DONE && strcmp(*ret_owner, "vault") == 0;
    return code;
}

void policy_version_clear(struct policy_version *v)
{
    json_t_cleanup(&v->reply);
    policy_document_free(v->document);
    *v = (struct policy_version){ 0 };
}

/* --- fetching -------------------------------------------------------------------------------- */

/* What the server sends is held against the hash, and parsed here. */
static int read_version(const char *owner, struct policy_version *v)
{
    const char *text = reply_text(v->reply, "document");
    struct policy_trouble trouble;
    struct err e = { 0 };
    uint8_t hash[32];

    if (text == NULL || !reply_number(v->reply, "version", UINT32_MAX, &v->version) ||
        !reply_hex(v->reply, "sha256", v->hash, sizeof(v->hash)))
        return reply_report("document");
    sha256(span_text(text), hash);
    if (!span_same(SPAN(hash), SPAN(v->hash)))
        return report(EXIT_UNVERIFIED,
                      "the document that the vault sends is not the one of its hash");
    if (text[0] == '\0')
        return EXIT_DONE;
    if (policy_document_parse(span_text(text), strcmp(owner, "vault") == 0, &v->document, &trouble,
                              &e) != OK)
        return report(EXIT_OTHER, "line %u of the vault's document: %s: is it of another version?",
                      trouble.line, trouble.why);
    return EXIT_DONE;
}

static int get_version(struct cli *c, const char *owner, uint64_t version,
                       struct policy_version *ret)
{
    char path[128];
    char refusal[1024];

    snprintf(path, sizeof(path), "/v1/policies/%s?version=%llu", owner,
             (unsigned long long)version);
    report_catch(refusal, sizeof(refusal));
    int code = https_call(c, METHOD_GET, path, NULL, &ret->reply);

    report_catch(NULL, 0);
    if (code == EXIT_CONFLICT) { /* it is recorded, and its text is lost */
        ret->lost = true;
        ret->version = version;
        return EXIT_DONE;
    }
    if (code != EXIT_DONE)
        return report((enum exit_code)code, "%s", refusal);
    return read_version(owner, ret);
}

static int list_versions(struct cli *c, const char *owner, json_t **ret_reply)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/policies/%s/versions", owner);
    return https_list(c, path, "versions", ret_reply);
}

int policy_fetch(struct cli *c, const char *owner, uint64_t version, struct policy_version *ret)
{
    AUTO(json_t) *list = NULL;
    const json_t *newest = NULL;

    *ret = (struct policy_version){ 0 };
    if (version != 0)
        return get_version(c, owner, version, ret);
    int code = list_versions(c, owner, &list);

    if (code != EXIT_DONE)
        return code;
    newest = json_array_get(json_object_get(list, "versions"), 0);
    if (newest == NULL)
        return EXIT_DONE;
    if (!reply_number(newest, "version", UINT32_MAX, &version))
        return reply_report("version");
    return get_version(c, owner, version, ret);
}

int policy_fetch_hash(struct cli *c, const char *owner, const char *hash,
                      struct policy_version *ret)
{
    AUTO(json_t) *list = NULL;
    const json_t *item = NULL;
    uint64_t version = 0;
    size_t i = 0;
    int code = list_versions(c, owner, &list);

    *ret = (struct policy_version){ 0 };
    if (code != EXIT_DONE)
        return code;
    json_array_foreach(json_object_get(list, "versions"), i, item)
    {
        const char *its = reply_text(item, "sha256");

        if (its != NULL && strcmp(its, hash) == 0 &&
            reply_number(item, "version", UINT32_MAX, &version))
            return get_version(c, owner, version, ret);
    }
    return report(EXIT_ABSENT, "the vault has no document of %s with the hash %.12s...", owner,
                  hash);
}

/* --- showing --------------------------------------------------------------------------------- */

int policy_show(struct cli *c)
{
    struct policy_version v = { 0 };
    const char *owner = NULL;
    bool vault = false;
    uint64_t version = 0;
    struct bounds bounds = { .min = 1, .max = UINT32_MAX };
    int code = policy_owner(c, &owner, &vault);

    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_VERSION, bounds, &version);
    if (code == EXIT_DONE)
        code = policy_fetch(c, owner, version, &v);
    if (code == EXIT_DONE && v.lost)
        code = report(EXIT_OTHER,
                      "the text of version %llu is lost, and with it in force nothing is "
                      "allowed: set a document",
                      (unsigned long long)v.version);
    else if (code == EXIT_DONE && v.version == 0)
        code = report(EXIT_ABSENT, "%s has no document: grants alone decide", owner);
    if (code == EXIT_DONE && cli_json(c))
        table_print_json(v.reply);
    else if (code == EXIT_DONE && v.document == NULL)
        say("The document of %s was removed with version %llu: grants alone decide.", owner,
            (unsigned long long)v.version);
    else if (code == EXIT_DONE)
        print("%s", reply_text(v.reply, "document"));
    policy_version_clear(&v);
    return code;
}

int policy_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    AUTO(json_t) *people = NULL;
    json_t *item = NULL;
    const char *owner = NULL;
    char refusal[1024];
    bool vault = false;
    size_t i = 0;
    int code = policy_owner(c, &owner, &vault);

    if (code == EXIT_DONE)
        code = list_versions(c, owner, &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        table_print_json(reply);
        return EXIT_DONE;
    }
    report_catch(refusal, sizeof(refusal));
    (void)people_list(c, owner, &people);
    report_catch(NULL, 0);
    json_array_foreach(json_object_get(reply, "versions"), i, item) people_resolve(people, item);
    table_print(json_object_get(reply, "versions"), COLUMNS(columns),
                "There is no document: grants alone decide.");
    return EXIT_DONE;
}

/* --- setting --------------------------------------------------------------------------------- */

/* Of one rule, beside the rule of the same name before. */
static void tell_rule(const struct policy_document *new, const struct policy_rule *rule,
                      const struct policy_document *old)
{
    const struct policy_rule *before = old != NULL ? policy_document_rule(old, rule->name) : NULL;
    const char *what = "new";

    if (before != NULL && before->deny != rule->deny)
        what = "turned round";
    else if (before != NULL && policy_rule_within(new, rule, old, before))
        what = policy_rule_within(old, before, new, rule) ? "the same requests" : "fewer requests";
    else if (before != NULL)
        what = "other requests";
    say("  line %u [%s %.*s]: %s", rule->line, rule->deny ? "deny" : "allow", (int)rule->name.n,
        (const char *)rule->name.p, what);
}

static void tell_change(const struct policy_document *new, const struct policy_document *old)
{
    for (size_t i = 0; new != NULL &&i < new->rule_count; i++)
        tell_rule(new, &new->rules[i], old);
    for (size_t i = 0; old != NULL && i < old->rule_count; i++) {
        const struct policy_rule *rule = &old->rules[i];

        if (new == NULL || policy_document_rule(new, rule->name) == NULL)
            say("  [%s %.*s]: gone", rule->deny ? "deny" : "allow", (int)rule->name.n,
                (const char *)rule->name.p);
    }
}

struct setting {
    const char *owner;
    bool vault;
    struct policy_file *file;
    struct policy_version old;
    bool step_up;  /* the vault wants a touch for what widens */
    bool required; /* a tenant needs a document */
    bool widens;
};

static int read_settings(struct cli *c, struct setting *s)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);

    s->step_up = json_is_true(json_object_get(reply, "grant_step_up"));
    s->required = json_is_true(json_object_get(reply, "policy_required")) && !s->vault;
    return code;
}

/* As the vault judges it. */
static bool is_wider(const struct setting *s)
{
    if (s->file->length == 0)
        return s->old.lost || !s->required;
    if (s->old.lost)
        return true;
    if (s->old.document == NULL)
        return s->required;
    return !policy_document_within(s->file->document, s->old.document);
}

static int propose(struct cli *c, const struct setting *s, json_t **ret_done)
{
    struct wire_operation meant = { .code = OPERATION_POLICY_SET };
    int code = s->vault ? EXIT_DONE : operation_tenant(c, s->owner, &meant.tenant);

    if (code != EXIT_DONE)
        return code;
    sha256(span_of(s->file->text, s->file->length), meant.document);
    return operation_perform(c,
                             json_pack("{s:s, s:s, s:s}", "operation", "policy.set", "owner",
                                       s->owner, "document", s->file->text),
                             &meant, NULL, ret_done);
}

static int put(struct cli *c, const struct setting *s)
{
    AUTO(json_t) *reply = NULL;
    char path[128];
    int code = EXIT_DONE;

    if (s->widens && s->step_up) {
        code = propose(c, s, &reply);
        return code == EXIT_DONE ? operation_tell(c, reply, "The document is in force.") : code;
    }
    snprintf(path, sizeof(path), "/v1/policies/%s", s->owner);
    code = https_call(c, METHOD_POST, path, json_pack("{s:s}", "document", s->file->text), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("The document is in force.");
    return EXIT_DONE;
}

static int set(struct cli *c, struct setting *s)
{
    uint8_t hash[32];
    int code = policy_fetch(c, s->owner, 0, &s->old);

    if (code == EXIT_DONE)
        code = read_settings(c, s);
    if (code != EXIT_DONE)
        return code;
    sha256(span_of(s->file->text, s->file->length), hash);
    if (s->old.document == NULL && !s->old.lost && s->file->length == 0) {
        say("%s has no document: nothing changes.", s->owner);
        return EXIT_DONE;
    }
    if (s->old.document != NULL && span_same(SPAN(hash), SPAN(s->old.hash))) {
        say("This document is in force already: nothing changes.");
        return EXIT_DONE;
    }
    s->widens = is_wider(s);
    say("Beside what is in force for %s, this %s:", s->owner,
        s->file->length == 0 ? "removes the document, and grants alone decide"
        : s->widens          ? "may allow more (it widens)"
                             : "allows nothing more (it narrows)");
    tell_change(s->file->length == 0 ? NULL : s->file->document, s->old.document);
    return put(c, s);
}

int policy_set(struct cli *c)
{
    struct setting s = { .file = calloc(1, sizeof(*s.file)) };
    int code =
        s.file == NULL ? report(EXIT_OTHER, "no memory") : policy_owner(c, &s.owner, &s.vault);

    if (code == EXIT_DONE)
        code = policy_file_read(cli_argument(c, 1), s.vault, s.file);
    if (code == EXIT_DONE && s.file->length > 0)
        (void)policy_file_warn(cli_argument(c, 1), s.file->document);
    if (code == EXIT_DONE)
        code = set(c, &s);
    policy_version_clear(&s.old);
    if (s.file != NULL)
        policy_document_free(s.file->document);
    free(s.file);
    return code;
}
