/* {"reports":[...]}: the vault's own format. What is not known is dropped and counted; what is
 * known must be right. */
#include <string.h>

#include "internal.h"

#define STATUS_MAX 32 /* codes of one report */
#define IDS_MAX    8

static bool take_report(struct walk *w, struct usage_item *item)
{
    return take_count(w, USAGE_REPORT_MAX, &item->report) && item->report > 0;
}

static bool take_requests(struct walk *w, struct usage_item *item)
{
    return take_count(w, USAGE_REQUEST_MAX, &item->requests);
}

static bool take_named_model(struct walk *w, struct usage_item *item)
{
    char text[USAGE_MODEL];

    if (!walk_text(w, text, sizeof text))
        return false;
    model_set(item, text);
    return strcmp(item->model, text) == 0;
}

static bool take_input(struct walk *w, struct usage_item *item)
{
    return take_count(w, USAGE_TOKEN_MAX, &item->input_tokens);
}

static bool take_output(struct walk *w, struct usage_item *item)
{
    return take_count(w, USAGE_TOKEN_MAX, &item->output_tokens);
}

static bool take_item_cost(struct walk *w, struct usage_item *item)
{
    return take_cost(w, &item->cost_nano);
}

static bool take_status(struct walk *w, struct usage_item *item)
{
    struct list l = walk_open(w, '{');
    bool fine = l.close != 0;
    size_t codes = 0;
    char name[4];

    while (walk_member(w, &l, name, sizeof name)) {
        uint64_t code = 0, count = 0;

        fine &= number_parse(name, 100, 599, &code) && ++codes <= STATUS_MAX;
        fine &= take_count(w, USAGE_REQUEST_MAX, &count);
        if (fine)
            item->ended[ending_of((unsigned)code)] += count;
    }
    return fine;
}

static bool take_ids(struct walk *w, struct usage_item *item)
{
    struct list l = walk_open(w, '[');
    bool fine = l.close != 0;
    size_t count = 0;

    while (walk_element(w, &l)) {
        char text[USAGE_ID];

        fine &= walk_text(w, text, sizeof text) && id_form(text) && ++count <= IDS_MAX;
        if (fine)
            id_add(item, text);
    }
    return fine;
}

static bool take_from(struct walk *w, struct usage_item *item)
{
    return take_time(w, &item->from_us);
}

static bool take_to(struct walk *w, struct usage_item *item)
{
    return take_time(w, &item->to_us);
}

static const struct member {
    const char *name;
    bool (*take)(struct walk *w, struct usage_item *item);
    const char *why; /* it is refused */
} members[] = {
    { "lease", take_lease, "lease is a lease's token or its id, in hex" },
    { "key", take_key, "key is named tenant/name" },
    { "report", take_report, "report is a whole number from 1" },
    { "requests", take_requests, "requests is a number up to 1000000000" },
    { "model", take_named_model, "model is 1 to 96 of A-Z a-z 0-9 . _ : / @ + -" },
    { "input_tokens", take_input, "input_tokens is a number up to 1000000000000" },
    { "output_tokens", take_output, "output_tokens is a number up to 1000000000000" },
    { "cost", take_item_cost, "cost is a decimal number from 0 to 1000000" },
    { "status", take_status, "status has counts by HTTP status code" },
    { "request_ids", take_ids, "request_ids are at most 8 of 1 to 64 of A-Z a-z 0-9 . _ : -" },
    { "from", take_from, "from is a time" },
    { "to", take_to, "to is a time" },
};

#define MEMBER_COUNT (sizeof members / sizeof members[0])

static void refuse(struct usage_item *item, const char *why)
{
    if (item->why == NULL)
        item->why = why;
}

static void take_member(struct walk *w, const char *name, unsigned *seen, struct usage_item *item)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (strcmp(name, members[i].name) != 0)
            continue;
        if ((*seen >> i & 1) != 0)
            refuse(item, "the report has a member twice");
        *seen |= 1U << i;
        if (!members[i].take(w, item))
            refuse(item, members[i].why);
        return;
    }
    walk_skip(w);
    item->dropped++;
}

static bool was_seen(unsigned seen, const char *name)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (strcmp(name, members[i].name) == 0)
            return (seen >> i & 1) != 0;
    }
    return false;
}

static void complete(struct usage_item *item, unsigned seen)
{
    uint64_t ended = 0;

    for (size_t i = 0; i < USAGE_ENDINGS; i++)
        ended += item->ended[i];
    if (!was_seen(seen, "requests"))
        item->requests = ended > 0 ? ended : 1;
    if (ended > item->requests)
        refuse(item, "status counts more requests than there were");
    if (!was_seen(seen, "report"))
        refuse(item, "a report has a number: 1, 2, 3...");
    if (was_seen(seen, "lease") && was_seen(seen, "key"))
        refuse(item, "a report names a lease or a key, not both");
    if (item->from_us != 0 && item->to_us != 0 && item->from_us > item->to_us)
        refuse(item, "from is after to");
    if (!was_seen(seen, "model"))
        model_set(item, "unknown");
}

static void parse_report(struct walk *w, struct taking *t)
{
    struct usage_item *item = item_new(t);
    struct list l;
    char name[USAGE_MEMBER];
    unsigned seen = 0;

    if (item == NULL) {
        walk_skip(w);
        return;
    }
    if (walk_peek(w) != '{')
        refuse(item, "a report is an object");
    l = walk_open(w, '{');
    while (walk_member(w, &l, name, sizeof name))
        take_member(w, name, &seen, item);
    complete(item, seen);
}

void native_parse(struct walk *w, struct taking *t)
{
    struct list body, reports;
    char name[USAGE_MEMBER];

    if (walk_peek(w) != '{') {
        w->bad = true;
        return;
    }
    body = walk_open(w, '{');
    while (walk_member(w, &body, name, sizeof name)) {
        if (strcmp(name, "reports") != 0) {
            walk_skip(w);
            t->usage->dropped++;
            continue;
        }
        reports = walk_open(w, '[');
        while (walk_element(w, &reports))
            parse_report(w, t);
    }
}
