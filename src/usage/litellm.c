/* StandardLoggingPayload as LiteLLM's generic API callback sends it: an array of them, one, or one
 * after the other. Most of it is not looked at; messages and response are counted. */
#include <string.h>

#include "internal.h"

#define LEASE_TAG  "strongroom_lease:"
#define KEY_TAG    "strongroom_key:"
#define CREDENTIAL "Credential: " /* of a model that uses a stored credential: named tenant/key */

static const char *const content[] = { "messages", "response" };

struct payload {
    struct usage_item *item;
    char credential[USAGE_KEY]; /* the last resort */
    bool failed;
    unsigned code; /* HTTP; 0: unknown */
};

static void set_lease(struct usage_item *item, const char *text)
{
    if (!lease_form(text))
        item->why = "strongroom_lease is not a lease's token or id";
    else
        memcpy(item->lease, text, strlen(text) + 1);
}

static void take_tag(struct walk *w, struct payload *p)
{
    char tag[USAGE_KEY + sizeof LEASE_TAG];
    const size_t lease_n = sizeof LEASE_TAG - 1, key_n = sizeof KEY_TAG - 1;
    const size_t credential_n = sizeof CREDENTIAL - 1;

    if (!walk_text(w, tag, sizeof tag))
        return;
    if (strncmp(tag, LEASE_TAG, lease_n) == 0)
        set_lease(p->item, tag + lease_n);
    else if (strncmp(tag, KEY_TAG, key_n) == 0 && strlen(tag + key_n) < USAGE_KEY)
        memcpy(p->item->key, tag + key_n, strlen(tag + key_n) + 1);
    else if (strncmp(tag, CREDENTIAL, credential_n) == 0 && strchr(tag, '/') != NULL &&
             strlen(tag + credential_n) < USAGE_KEY)
        memcpy(p->credential, tag + credential_n, strlen(tag + credential_n) + 1);
}

static void take_tags(struct walk *w, struct payload *p)
{
    struct list l = walk_open(w, '[');

    while (walk_element(w, &l))
        take_tag(w, p);
}

/* What callers of the proxy give as metadata arrives in one of these. */
static void take_metadata(struct walk *w, struct payload *p)
{
    struct list l = walk_open(w, '{');
    char name[USAGE_MEMBER], text[USAGE_KEY];

    while (walk_member(w, &l, name, sizeof name)) {
        if (strcmp(name, "strongroom_lease") == 0) {
            if (walk_text(w, text, sizeof text))
                set_lease(p->item, text);
        } else if (strcmp(name, "strongroom_key") == 0) {
            (void)take_key(w, p->item);
        } else if (strcmp(name, "requester_metadata") == 0 ||
                   strcmp(name, "spend_logs_metadata") == 0) {
            take_metadata(w, p);
        } else {
            walk_skip(w);
        }
    }
}

static void take_error(struct walk *w, struct payload *p)
{
    struct list l = walk_open(w, '{');
    char name[USAGE_MEMBER];

    while (walk_member(w, &l, name, sizeof name)) {
        if (strcmp(name, "error_code") == 0)
            (void)take_code(w, &p->code);
        else
            walk_skip(w);
    }
}

static void take_outcome(struct walk *w, struct payload *p)
{
    char text[16];

    p->failed = walk_text(w, text, sizeof text) && strcmp(text, "failure") == 0;
}

static void take_payload_id(struct walk *w, struct payload *p)
{
    char text[USAGE_ID];

    if (!walk_text(w, text, sizeof text) || !id_form(text))
        return;
    memcpy(p->item->once, text, strlen(text) + 1);
    id_add(p->item, text);
}

static void take_payload_model(struct walk *w, struct payload *p)
{
    take_model(w, p->item);
}

static void take_prompt_tokens(struct walk *w, struct payload *p)
{
    (void)take_count(w, USAGE_TOKEN_MAX, &p->item->input_tokens);
}

static void take_completion_tokens(struct walk *w, struct payload *p)
{
    (void)take_count(w, USAGE_TOKEN_MAX, &p->item->output_tokens);
}

static void take_response_cost(struct walk *w, struct payload *p)
{
    (void)take_cost(w, &p->item->cost_nano);
}

static void take_start(struct walk *w, struct payload *p)
{
    (void)take_time(w, &p->item->from_us);
}

static void take_end(struct walk *w, struct payload *p)
{
    (void)take_time(w, &p->item->to_us);
}

static const struct {
    const char *name;
    void (*take)(struct walk *w, struct payload *p);
} members[] = {
    { "id", take_payload_id },
    { "status", take_outcome },
    { "response_cost", take_response_cost },
    { "prompt_tokens", take_prompt_tokens },
    { "completion_tokens", take_completion_tokens },
    { "startTime", take_start },
    { "endTime", take_end },
    { "model", take_payload_model },
    { "request_tags", take_tags },
    { "metadata", take_metadata },
    { "hidden_params", take_metadata },
    { "error_information", take_error },
};

static void take_member(struct walk *w, const char *name, struct payload *p)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(name, members[i].name) == 0) {
            members[i].take(w, p);
            return;
        }
    }
    if (is_content(name, content, sizeof content / sizeof content[0]) && !walk_empty(w))
        p->item->dropped++;
    walk_skip(w);
}

static void parse_payload(struct walk *w, struct taking *t)
{
    struct payload p = { .item = item_new(t) };
    struct list l;
    char name[USAGE_MEMBER];

    if (p.item == NULL) {
        walk_skip(w);
        return;
    }
    if (walk_peek(w) != '{')
        p.item->why = "a payload is an object";
    l = walk_open(w, '{');
    while (walk_member(w, &l, name, sizeof name))
        take_member(w, name, &p);
    p.item->requests = 1;
    p.item->ended[p.failed ? ending_of(p.code < 400 ? 0 : p.code) : ENDED_WELL] = 1;
    if (p.item->lease[0] == '\0' && p.item->key[0] == '\0')
        memcpy(p.item->key, p.credential, sizeof p.item->key);
    if (p.item->model[0] == '\0')
        model_set(p.item, "unknown");
}

void litellm_parse(struct walk *w, struct taking *t)
{
    char c;

    while ((c = walk_peek(w)) != '\0') {
        struct list l;

        if (c == '{') {
            parse_payload(w, t);
            continue;
        }
        if (c != '[') {
            w->bad = true;
            return;
        }
        l = walk_open(w, '[');
        while (walk_element(w, &l))
            parse_payload(w, t);
    }
}
