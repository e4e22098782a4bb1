/* Names instead of tags, for people to read; and forgetting them. */
#include "people.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "https.h"
#include "ledger/person.h"
#include "reply.h"
#include "table.h"

#define NAME_BYTES 256 /* more than the longest name or purpose */

int people_list(struct cli *c, const char *log, json_t **ret_people)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/logs/%s/people", log);
    return https_list(c, path, "people", ret_people);
}

/* The name of one entry if it is tag's: what the vault says is held against the tag itself. */
static const char *name_of(const json_t *person, const uint8_t tag[static PERSON_TAG])
{
    uint8_t salt[PERSON_SALT];
    uint8_t made[PERSON_TAG];
    const char *name = reply_text(person, "name");

    if (name == NULL || strlen(name) > NAME_BYTES || !reply_hex(person, "salt", salt, sizeof(salt)))
        return NULL;
    person_tag(salt, span_text(name), made);
    return span_same(SPAN(made), span_of(tag, PERSON_TAG)) ? name : NULL;
}

static const char *find_name(const json_t *people, const char *text)
{
    uint8_t tag[PERSON_TAG];
    uint8_t offered[PERSON_TAG];
    size_t i = 0;
    json_t *person = NULL;

    if (!person_parse(span_text(text), tag))
        return NULL;
    json_array_foreach(json_object_get(people, "people"), i, person)
    {
        if (reply_hex(person, "tag", offered, sizeof(offered)) &&
            span_same(SPAN(offered), SPAN(tag)))
            return name_of(person, tag);
    }
    return NULL;
}

void people_resolve(const json_t *people, json_t *record)
{
    const char *member = NULL;
    json_t *value = NULL;
    void *next = NULL;

    json_object_foreach_safe(record, next, member, value)
    {
        const char *text = json_string_value(value);
        const char *tag = text != NULL ? strchr(text, '~') : NULL;
        const char *name = tag != NULL ? find_name(people, tag) : NULL;

        /* "admin:~<tag>", or the tag alone */
        if (name != NULL && (tag == text || tag[-1] == ':'))
            (void)json_object_set_new(record, member,
                                      json_sprintf("%.*s%s", (int)(tag - text), text, name));
    }
}

/* --- erasing --------------------------------------------------------------------------------- */

static bool is_known(const json_t *people, const char *wanted)
{
    size_t i = 0;
    json_t *person = NULL;

    json_array_foreach(json_object_get(people, "people"), i, person)
    {
        const char *name = reply_text(person, "name");
        const char *tag = reply_text(person, "tag");

        if (name != NULL && strcmp(name, wanted) == 0)
            return true;
        if (tag != NULL && wanted[0] == '~' && strcmp(tag, wanted + 1) == 0)
            return true;
    }
    return false;
}

static int erase_in(struct cli *c, const char *log, const char *name, json_t *erased)
{
    AUTO(json_t) *reply = NULL;
    char path[128];

    snprintf(path, sizeof(path), "/v1/logs/%s/people/erase", log);
    int code = https_call(c, METHOD_POST, path, json_pack("{s:s}", "name", name), &reply);

    if (code != EXIT_DONE)
        return code;
    (void)json_array_append_new(
        erased, json_pack("{s:s, s:O}", "log", log, "tag", json_object_get(reply, "erased")));
    if (!cli_json(c))
        say("%s knows no name any more behind the tag ~%s.", log, reply_text(reply, "erased"));
    return EXIT_DONE;
}

static int erase_if_known(struct cli *c, const char *log, const char *name, json_t *erased)
{
    AUTO(json_t) *people = NULL;
    int code = people_list(c, log, &people);

    return code == EXIT_DONE && is_known(people, name) ? erase_in(c, log, name, erased) : code;
}

/* The vault's own log last: until it is done with, the command can be given again. */
static int erase_everywhere(struct cli *c, const char *name, json_t *erased)
{
    AUTO(json_t) *tenants = NULL;
    size_t i = 0;
    json_t *tenant = NULL;
    int code = https_list(c, "/v1/tenants", "tenants", &tenants);

    if (code != EXIT_DONE)
        return code;
    json_array_foreach(json_object_get(tenants, "tenants"), i, tenant)
    {
        const char *log = reply_text(tenant, "name");

        if (code == EXIT_DONE && log != NULL)
            code = erase_if_known(c, log, name, erased);
    }
    if (code == EXIT_DONE)
        code = erase_if_known(c, "vault", name, erased);
    if (code == EXIT_DONE && json_array_size(erased) == 0)
        code = report(EXIT_ABSENT, "no log knows that person");
    return code;
}

int audit_erase(struct cli *c)
{
    AUTO(json_t) *erased = json_array();
    bool everywhere = option_given(&c->options, OPT_ALL_LOGS);
    const char *second = cli_argument(c, 1);
    const char *name = second != NULL ? second : cli_argument(c, 0);
    const char *log = NULL;

    if (everywhere == (second != NULL))
        return report(EXIT_USAGE, "give a log and a name, or --all-logs and a name");
    int code = everywhere ? EXIT_DONE : cli_name(c, 0, "a log", &log);

    if (code == EXIT_DONE)
        code = cli_confirm(c, "Nobody will be able to tell from the vault who this was.");
    if (code == EXIT_DONE)
        code = everywhere ? erase_everywhere(c, name, erased) : erase_in(c, log, name, erased);
    if (code == EXIT_DONE && cli_json(c)) {
        AUTO(json_t) *summary = json_pack("{s:O}", "erased", erased);
        table_print_json(summary);
    }
    return code;
}
