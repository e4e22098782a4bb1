/*
 * Leases. 'get' is the one command whose output holds a provider key: it goes to standard output
 * and nowhere else, through memory that is wiped.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli.h"
#include "commands.h"
#include "delivery.h"
#include "lease.h"
#include "remember.h"
#include "reply.h"
#include "table.h"

#define TTL_MAX_S 86400

static const struct column columns[] = {
    { "ID", "id", COLUMN_TEXT },         { "TENANT", "tenant", COLUMN_TEXT },
    { "KEY", "key", COLUMN_TEXT },       { "VERSION", "version", COLUMN_TEXT },
    { "CLASS", "class", COLUMN_TEXT },   { "GATEWAY", "gateway", COLUMN_TEXT },
    { "ISSUED", "issued", COLUMN_TIME }, { "EXPIRES", "expires", COLUMN_TIME },
};

/* Adds ttl_s if it was asked for. */
static int add_ttl(const struct cli *c, json_t *body)
{
    uint64_t ttl = 0;
    struct bounds bounds = { .min = 1, .max = TTL_MAX_S };
    int code = option_number(&c->options, OPT_TTL, bounds, &ttl);

    if (code == EXIT_DONE && ttl > 0 &&
        json_object_set_new(body, "ttl_s", json_integer((json_int_t)ttl)) != 0)
        return report(EXIT_OTHER, "no memory");
    return code;
}

int lease_claims(const struct cli *c, json_t *body)
{
    static const enum option_id claims[] = { OPT_PURPOSE, OPT_MODEL, OPT_ENVIRONMENT,
                                             OPT_CLASSIFICATION };

    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        const char *value = cli_option(c, claims[i]);

        if (value != NULL &&
            json_object_set_new(body, option_row(claims[i])->name, json_string(value)) != 0)
            return report(EXIT_USAGE, "--%s must be UTF-8 text", option_row(claims[i])->name);
    }
    return EXIT_DONE;
}

static int ask(struct cli *c, json_t *body, json_t **ret_reply)
{
    return https_call(c, METHOD_POST, "/v1/leases", json_incref(body), ret_reply);
}

/* The same, but the server carries only what it can neither read nor change. */
static int ask_sealed(struct cli *c, json_t *body, json_t **ret_reply)
{
    struct delivery d = { .private_key = NULL };
    int code = delivery_ask(c, &d, body);

    if (code == EXIT_DONE)
        code = ask(c, body, ret_reply);
    if (code == EXIT_DONE)
        code = delivery_open(c, &d, *ret_reply);
    delivery_clear(&d);
    return code;
}

int lease_take(struct cli *c, const char *key, json_t **ret_reply)
{
    AUTO(json_t) *body = json_pack("{s:s, s:s*}", "key", key, "region", cli_option(c, OPT_REGION));

    if (body == NULL)
        return report(EXIT_USAGE, "--region must be UTF-8 text");
    int code = lease_claims(c, body);

    if (code == EXIT_DONE)
        code = add_ttl(c, body);
    if (code != EXIT_DONE)
        return code;
    return option_given(&c->options, OPT_SEALED) ? ask_sealed(c, body, ret_reply)
                                                 : ask(c, body, ret_reply);
}

int lease_get(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct pair pair;
    char key[LEASE_KEY];
    int code = cli_pair(c, 0, &pair);

    if (code != EXIT_DONE)
        return code;
    snprintf(key, sizeof(key), "%s/%s", pair.tenant, pair.name);
    code = remember_check(c, "tree"); /* a vault that was set back gives nothing out */
    if (code == EXIT_DONE)
        code = lease_take(c, key, &reply);
    if (code == EXIT_DONE)
        table_print_json(reply);
    return code;
}

/* Path of what is done with the lease that the argument names. */
static int lease_path(const struct cli *c, const char *action, char out[static 128])
{
    const char *token = cli_argument(c, 0);
    uint8_t parsed[32];

    if (!hex_parse(token, strlen(token), parsed, sizeof(parsed)))
        return report(EXIT_USAGE,
                      "a lease is the 64 hexadecimal digits that 'strongroom lease get' "
                      "printed as \"lease\"");
    snprintf(out, 128, "/v1/leases/%s/%s", token, action);
    return EXIT_DONE;
}

int lease_renew(struct cli *c)
{
    AUTO(json_t) *body = json_object();
    AUTO(json_t) *reply = NULL;
    char path[128];
    int code = lease_path(c, "renew", path);

    if (code == EXIT_DONE)
        code = lease_claims(c, body);
    if (code == EXIT_DONE)
        code = add_ttl(c, body);
    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, path, json_incref(body), &reply);
    if (code == EXIT_DONE)
        table_print_json(reply);
    return code;
}

int lease_release(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    char path[128];
    int code = lease_path(c, "release", path);

    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, path, json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("The lease is released.");
    return EXIT_DONE;
}

int lease_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_GET, "/v1/leases", NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        table_print_json(reply);
        return EXIT_DONE;
    }
    table_print(json_object_get(reply, "leases"), COLUMNS(columns), "There are no live leases.");
    if (json_is_true(json_object_get(reply, "more")))
        say("There are more. 'strongroom audit show TENANT --type lease.issued' finds others, and "
            "'lease revoke' needs no list.");
    return EXIT_DONE;
}

/* --- revoke ---------------------------------------------------------------------------------- */

/* A lease by its id, or by the token that begins with it: only the id leaves this program. */
static int add_lease(const struct cli *c, json_t *body, char what[static 256])
{
    const char *text = cli_argument(c, 0);
    size_t n = strlen(text);
    uint8_t parsed[32];
    char id[ID_HEX_LENGTH + 1];

    if ((n != ID_HEX_LENGTH && n != 2 * ID_HEX_LENGTH) || !hex_parse(text, n, parsed, n / 2))
        return report(EXIT_USAGE, "a lease is the 32 hexadecimal digits of its id, or the 64 that "
                                  "'strongroom lease get' printed as \"lease\"");
    snprintf(id, sizeof(id), "%.32s", text);
    snprintf(what, 256, "The lease %s is over at once.", id);
    json_object_set_new(body, "lease", json_string(id));
    return EXIT_DONE;
}

/* Exactly one of the argument and the options: into body, and as a sentence. */
static int what_to_revoke(const struct cli *c, json_t *body, char what[static 256])
{
    const char *key = cli_option(c, OPT_KEY), *gateway = cli_option(c, OPT_GATEWAY);
    const struct repeated *tenants = &c->options.tenants;
    bool one = c->options.argument_count > 0, all = option_given(&c->options, OPT_ALL);

    if (one + (key != NULL) + (gateway != NULL) + (tenants->count > 0) + all != 1 ||
        tenants->count > 1)
        return report(EXIT_USAGE, "say which: exactly one of LEASE, --key TENANT/NAME, --gateway "
                                  "NAME, --tenant NAME and --all");
    if (one)
        return add_lease(c, body, what);
    if (key != NULL) {
        snprintf(what, 256, "All live leases of the key %s are over at once.", key);
        json_object_set_new(body, "key", json_string(key));
    } else if (gateway != NULL) {
        snprintf(what, 256, "All live leases of the gateway %s are over at once.", gateway);
        json_object_set_new(body, "gateway", json_string(gateway));
    } else if (tenants->count > 0) {
        snprintf(what, 256, "All live leases of keys of %s are over at once.", tenants->value[0]);
        json_object_set_new(body, "tenant", json_string(tenants->value[0]));
    } else {
        snprintf(what, 256, "All live leases of this vault are over at once.");
        json_object_set_new(body, "all", json_true());
    }
    return EXIT_DONE;
}

int lease_revoke(struct cli *c)
{
    AUTO(json_t) *body = json_object();
    AUTO(json_t) *reply = NULL;
    char what[256];
    long long count;
    int code = what_to_revoke(c, body, what);

    if (code == EXIT_DONE)
        code = cli_confirm(c, what);
    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, "/v1/leases/revoke", json_incref(body), &reply);
    if (code != EXIT_DONE)
        return code;
    count = json_integer_value(json_object_get(reply, "revoked"));
    if (cli_json(c))
        table_print_json(reply);
    else
        say(count == 1 ? "1 lease is revoked." : "%lld leases are revoked.", count);
    return EXIT_DONE;
}
