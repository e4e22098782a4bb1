/*
 * Provider keys. A key comes from standard input or a prompt into locked memory and leaves it only
 * sealed to the keeper's intake key, so neither this program's command line nor the server sees it.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli.h"
#include "commands.h"
#include "crypto/crypto.h"
#include "intake.h"
#include "reply.h"
#include "table.h"

#define GRACE_MAX_S 86400

static const struct column list_columns[] = {
    { "NAME", "name", COLUMN_TEXT },       { "PROVIDER", "provider", COLUMN_TEXT },
    { "SCOPE", "scope", COLUMN_TEXT },     { "CLASS", "class", COLUMN_TEXT },
    { "STATE", "state", COLUMN_TEXT },     { "VERSION", "version", COLUMN_TEXT },
    { "HINT", "hint", COLUMN_TEXT },       { "ENGAGEMENT", "engagement", COLUMN_TEXT },
    { "CREATED", "created", COLUMN_TIME },
};

static const struct column version_columns[] = {
    { "VERSION", "version", COLUMN_TEXT },     { "STATE", "state", COLUMN_TEXT },
    { "HINT", "hint", COLUMN_TEXT },           { "CREATED", "created", COLUMN_TIME },
    { "DESTROYED", "destroyed", COLUMN_TIME },
};

static int show(const struct cli *c, const json_t *key)
{
    if (cli_json(c))
        table_print_json(key);
    else
        table_print_one(key, COLUMNS(list_columns));
    return EXIT_DONE;
}

/* The intake key of the vault, which must be the pinned one: a server that was taken over could
 * offer a key of its own and read what is sealed to it. */
static int intake_key(struct cli *c, uint8_t out[static 32])
{
    AUTO(json_t) *reply = NULL;
    uint8_t pinned[32];
    int code = https_call(c, METHOD_GET, "/v1/keys", NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    if (!reply_hex(reply, "intake_key", out, 32))
        return reply_report("intake key");
    if (profile_text(&c->profile, "intake_key") == NULL)
        return profile_pin(c, "intake_key", span_of(out, 32));
    if (profile_hex(&c->profile, "intake_key", pinned, 32) &&
        span_same(SPAN(pinned), span_of(out, 32)))
        return EXIT_DONE;
    return report(
        EXIT_CONFLICT,
        "the vault offers another intake key than the profile has pinned. "
        "Someone may be trying to read what you enter: nothing was sent. If the vault was "
        "made anew, use a new profile");
}

/* Asks for the key and adds it, sealed, to body. */
static int add_sealed_key(struct cli *c, const struct provider *p, uint8_t scope, json_t *body)
{
    AUTO(secret) *key = NULL;
    uint8_t intake[32];
    uint8_t sealed[LIMIT_DELIVERY];
    char text[4 * ((LIMIT_DELIVERY + 2) / 3) + 1];
    struct err e = { 0 };
    int code = intake_key(c, intake);

    if (code == EXIT_DONE)
        code = intake_read(c, p, scope, &key);
    if (code != EXIT_DONE)
        return code;
    struct span plain = secret_view(key);

    if (box_seal(SPAN(intake), plain, sealed, &e) != OK)
        return report_err("sealing the key", &e);
    base64_format(span_of(sealed, plain.n + BOX_OVERHEAD), text);
    if (json_object_set_new(body, "sealed_key", json_string(text)) != 0)
        return report(EXIT_OTHER, "no memory");
    return EXIT_DONE;
}

static void key_path(const struct pair *pair, const char *action, char out[static 256])
{
    snprintf(out, 256, "/v1/tenants/%s/keys/%s%s", pair->tenant, pair->name, action);
}

static int send_key(struct cli *c, const struct pair *pair, const char *action,
                    const struct provider *p, uint8_t scope, json_t *taken)
{
    AUTO(json_t) *body = taken;
    AUTO(json_t) *reply = NULL;
    char path[256];

    key_path(pair, action, path);
    int code = add_sealed_key(c, p, scope, body);

    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, path, json_incref(body), &reply);
    return code == EXIT_DONE ? show(c, reply) : code;
}

static int find_provider(const char *name, const struct provider **ret_provider)
{
    *ret_provider = provider_of(provider_parse(name));
    if (*ret_provider != NULL)
        return EXIT_DONE;
    return report(EXIT_USAGE,
                  "no provider of that name is known: 'strongroom provider list' tells which are, "
                  "and 'generic' is for any other");
}

/* The options, if they say something that there is. */
static int find_attributes(const struct cli *c, uint8_t *ret_scope)
{
    const char *scope = cli_option(c, OPT_SCOPE);
    const char *class = cli_option(c, OPT_CLASS);

    *ret_scope = scope != NULL ? scope_parse(scope) : (uint8_t)SCOPE_INFERENCE;
    if (*ret_scope == 0)
        return report(EXIT_USAGE, "--scope is inference, admin or billing_read");
    if (class != NULL && class_parse(class) == 0)
        return report(EXIT_USAGE, "--class is static, killable or minted");
    return EXIT_DONE;
}

int key_put(struct cli *c)
{
    const struct provider *p;
    struct pair pair;
    uint8_t scope = 0;
    int code = cli_pair(c, 0, &pair);

    if (code == EXIT_DONE)
        code = find_provider(cli_option(c, OPT_PROVIDER), &p);
    if (code == EXIT_DONE)
        code = find_attributes(c, &scope);
    if (code != EXIT_DONE)
        return code;
    return send_key(c, &pair, "", p, scope,
                    json_pack("{s:s, s:s*, s:s*, s:s*}", "provider", p->name, "engagement",
                              cli_option(c, OPT_ENGAGEMENT), "scope", cli_option(c, OPT_SCOPE),
                              "class", cli_option(c, OPT_CLASS)));
}

/* What the key is, so that its next version is looked at as its first was. */
static int known_key(struct cli *c, const struct pair *pair, const struct provider **ret_provider,
                     uint8_t *ret_scope)
{
    AUTO(json_t) *reply = NULL;
    char path[256];

    key_path(pair, "", path);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    const char *provider = reply_text(reply, "provider");
    const char *scope = reply_text(reply, "scope");

    *ret_scope = scope != NULL ? scope_parse(scope) : 0;
    if (provider == NULL || *ret_scope == 0)
        return reply_report("provider and scope");
    *ret_provider = provider_of(provider_parse(provider));
    if (*ret_provider == NULL) /* the vault is newer than this program */
        *ret_provider = provider_of(provider_parse("generic"));
    return *ret_provider != NULL ? EXIT_DONE : report(EXIT_OTHER, "the catalogue is empty");
}

int key_rotate(struct cli *c)
{
    const struct provider *p = NULL;
    struct pair pair;
    uint64_t grace = 0;
    uint8_t scope = 0;
    int code = cli_pair(c, 0, &pair);

    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_GRACE, (struct bounds){ .max = GRACE_MAX_S }, &grace);
    if (code == EXIT_DONE)
        code = known_key(c, &pair, &p, &scope);
    if (code != EXIT_DONE)
        return code;
    json_t *body = option_given(&c->options, OPT_GRACE)
                       ? json_pack("{s:I}", "grace_s", (json_int_t)grace)
                       : json_object();

    return send_key(c, &pair, "/rotate", p, scope, body);
}

int key_revoke(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct pair pair;
    char path[256];
    char question[512];
    int code = cli_pair(c, 0, &pair);

    if (code != EXIT_DONE)
        return code;
    snprintf(question, sizeof(question),
             "Revoking %s/%s destroys all its versions and ends its leases at once. This cannot be "
             "undone.",
             pair.tenant, pair.name);
    code = cli_confirm(c, question);
    if (code != EXIT_DONE)
        return code;
    key_path(&pair, "/revoke", path);
    code = https_call(c, METHOD_POST, path, json_object(), &reply);
    return code == EXIT_DONE ? show(c, reply) : code;
}

int key_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *tenant = NULL;
    char path[128];
    int code = cli_name(c, 0, "a tenant", &tenant);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s/keys", tenant);
    code = https_list(c, path, "keys", &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "keys"), COLUMNS(list_columns),
                    "This tenant has no keys yet: 'strongroom key put TENANT/NAME' stores one.");
    return EXIT_DONE;
}

int key_show(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct pair pair;
    char path[256];
    int code = cli_pair(c, 0, &pair);

    if (code != EXIT_DONE)
        return code;
    key_path(&pair, "", path);
    code = https_call(c, METHOD_GET, path, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    show(c, reply);
    if (!cli_json(c)) {
        print("\n");
        table_print(json_object_get(reply, "versions"), COLUMNS(version_columns),
                    "It has no versions left.");
    }
    return EXIT_DONE;
}
