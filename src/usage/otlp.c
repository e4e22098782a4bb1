/*
 * OTLP/JSON: spans or log records that tell of a call of a model by the gen_ai.* conventions, of
 * today or before. Lease and key are attributes of the record or of its resource.
 *
 * A call is counted once: spans of agents and tools, which repeat what the calls within them used,
 * are passed over, and so are records without any gen_ai attribute.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define VALUE     128 /* of an attribute that is looked at */
#define TRACE_HEX 32
#define SPAN_HEX  16

static const char *const content[] = {
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.",          "gen_ai.prompt",          "gen_ai.prompt.",
    "gen_ai.completion",     "gen_ai.completion.",
};

/* What attributes have said so far. */
struct call {
    struct usage_item item;
    char trace[TRACE_HEX + 1];
    char span[SPAN_HEX + 1];
    bool gen_ai;
    bool used; /* tokens or a cost were told */
    bool passed_over;
    bool failed;
    bool asked_model; /* the model is the one that was asked for, so far */
    unsigned code;
};

/* A scalar of any kind as text. */
static bool take_value(struct walk *w, char out[static VALUE])
{
    struct list l = walk_open(w, '{');
    char kind[16];
    bool fits = false;

    out[0] = '\0';
    while (walk_member(w, &l, kind, sizeof kind)) {
        struct span number;
        bool is_text = walk_peek(w) == '"';

        if (strcmp(kind, "stringValue") != 0 && strcmp(kind, "intValue") != 0 &&
            strcmp(kind, "doubleValue") != 0)
            walk_skip(w);
        else if (is_text)
            fits = walk_text(w, out, VALUE);
        else if (walk_number(w, &number) && (fits = number.n < VALUE))
            snprintf(out, VALUE, "%.*s", (int)number.n, (const char *)number.p);
    }
    return fits;
}

static bool count_of(const char *text, uint64_t *ret_count)
{
    return usage_decimal(span_text(text), 0, USAGE_TOKEN_MAX, ret_count);
}

static void set_lease(struct call *c, const char *text)
{
    c->item.why = lease_form(text) ? NULL : "strongroom.lease_id is not a lease's token or id";
    if (c->item.why == NULL)
        memcpy(c->item.lease, text, strlen(text) + 1);
}

static void set_key(struct call *c, const char *text)
{
    memcpy(c->item.key, text, strlen(text) + 1);
}

static void set_operation(struct call *c, const char *text)
{
    static const char *const calls[] = { "chat", "text_completion", "generate_content",
                                         "embeddings" };

    c->passed_over = true;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        c->passed_over &= strcmp(text, calls[i]) != 0;
}

static void set_asked_model(struct call *c, const char *text)
{
    if (c->item.model[0] != '\0' && !c->asked_model)
        return;
    model_set(&c->item, text);
    c->asked_model = true;
}

static void set_model(struct call *c, const char *text)
{
    model_set(&c->item, text);
    c->asked_model = false;
}

static void set_id(struct call *c, const char *text)
{
    id_add(&c->item, text);
}

static void set_input(struct call *c, const char *text)
{
    c->used |= count_of(text, &c->item.input_tokens);
}

static void set_output(struct call *c, const char *text)
{
    c->used |= count_of(text, &c->item.output_tokens);
}

static void set_cost(struct call *c, const char *text)
{
    c->used |=
        usage_decimal(span_text(text), 9, (uint64_t)USAGE_COST_MAX * NANO, &c->item.cost_nano);
}

static void set_code(struct call *c, const char *text)
{
    uint64_t code;

    if (number_parse(text, 100, 599, &code))
        c->code = (unsigned)code;
}

/* A class of errors, or a code. */
static void set_error(struct call *c, const char *text)
{
    c->failed = true;
    if (c->code == 0)
        set_code(c, text);
}

static const struct {
    const char *name;
    void (*set)(struct call *c, const char *text);
} attributes[] = {
    { "strongroom.lease_id", set_lease },
    { "strongroom.key", set_key },
    { "strongroom.cost", set_cost },
    { "gen_ai.operation.name", set_operation },
    { "gen_ai.request.model", set_asked_model },
    { "gen_ai.response.model", set_model },
    { "gen_ai.response.id", set_id },
    { "gen_ai.usage.input_tokens", set_input },
    { "gen_ai.usage.output_tokens", set_output },
    { "gen_ai.usage.prompt_tokens", set_input },      /* as they were called before */
    { "gen_ai.usage.completion_tokens", set_output }, /* too */
    { "gen_ai.usage.cost", set_cost },                /* in no registry, but written */
    { "http.response.status_code", set_code },
    { "http.status_code", set_code },
    { "error.type", set_error },
};

static void take_attribute(struct call *c, const char *name, struct walk value)
{
    char text[VALUE];

    if (strncmp(name, "gen_ai.", 7) == 0)
        c->gen_ai = true;
    if (is_content(name, content, sizeof content / sizeof content[0]))
        c->item.dropped++;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (strcmp(name, attributes[i].name) != 0)
            continue;
        if (take_value(&value, text))
            attributes[i].set(c, text);
    }
}

/* [{"key":..., "value":{...}}, ...]: the value may come before its name. */
static void take_attributes(struct walk *w, struct call *c)
{
    struct list list = walk_open(w, '[');

    while (walk_element(w, &list)) {
        struct list l = walk_open(w, '{');
        struct walk value = { .bad = true };
        char member[16], name[USAGE_MEMBER] = "";

        while (walk_member(w, &l, member, sizeof member)) {
            if (strcmp(member, "key") == 0) {
                (void)walk_text(w, name, sizeof name);
                continue;
            }
            if (strcmp(member, "value") == 0)
                value = *w;
            walk_skip(w);
        }
        if (!w->bad && !value.bad)
            take_attribute(c, name, value);
    }
}

static void take_hex(struct walk *w, char *out, size_t length)
{
    uint8_t bytes[TRACE_HEX / 2];

    if (!walk_text(w, out, length + 1) || !hex_parse(out, length, bytes, length / 2))
        out[0] = '\0';
}

/* Nanoseconds since 1970: as text, since many readers' numbers are too short for them. */
static void take_nano(struct walk *w, uint64_t *ret_time_us)
{
    char text[24];
    struct span number;
    uint64_t us;

    if (walk_peek(w) == '"') {
        if (!walk_text(w, text, sizeof text))
            return;
        number = span_text(text);
    } else if (!walk_number(w, &number)) {
        return;
    }
    if (usage_decimal(number, 0, INT64_MAX, &us))
        *ret_time_us = us / 1000;
}

static void take_span_status(struct walk *w, struct call *c)
{
    struct list l = walk_open(w, '{');
    char name[16], text[24];

    while (walk_member(w, &l, name, sizeof name)) {
        uint64_t code = 0;

        if (strcmp(name, "code") != 0)
            walk_skip(w);
        else if (walk_peek(w) == '"')
            c->failed |= walk_text(w, text, sizeof text) && strcmp(text, "STATUS_CODE_ERROR") == 0;
        else
            c->failed |= take_count(w, 2, &code) && code == 2;
    }
}

static void take_member(struct walk *w, const char *name, struct call *c)
{
    if (strcmp(name, "traceId") == 0) {
        take_hex(w, c->trace, TRACE_HEX);
    } else if (strcmp(name, "spanId") == 0) {
        take_hex(w, c->span, SPAN_HEX);
    } else if (strcmp(name, "startTimeUnixNano") == 0) {
        take_nano(w, &c->item.from_us);
    } else if (strcmp(name, "endTimeUnixNano") == 0 || strcmp(name, "timeUnixNano") == 0) {
        take_nano(w, &c->item.to_us);
    } else if (strcmp(name, "attributes") == 0) {
        take_attributes(w, c);
    } else if (strcmp(name, "status") == 0) {
        take_span_status(w, c);
    } else {
        if ((strcmp(name, "events") == 0 || strcmp(name, "body") == 0) && !walk_empty(w))
            c->item.dropped++;
        walk_skip(w);
    }
}

static void count_call(const struct call *c, bool logs, struct taking *t)
{
    struct usage_item *item;

    /* Of a span it is enough that it is a call; logs tell of one thing in many records. */
    if (!c->gen_ai || c->passed_over || (logs && !c->used))
        return;
    item = item_new(t);
    if (item == NULL)
        return;
    *item = c->item;
    item->requests = 1;
    if (c->code >= 400)
        item->ended[ending_of(c->code)] = 1;
    else
        item->ended[c->failed ? ENDED_BADLY : ENDED_WELL] = 1;
    if (item->model[0] == '\0')
        model_set(item, "unknown");
    if (c->span[0] != '\0')
        snprintf(item->once, sizeof item->once, "%s:%s", c->trace, c->span);
}

static void parse_records(struct walk *w, const struct call *base, bool logs, struct taking *t)
{
    struct list list = walk_open(w, '[');
    char name[USAGE_MEMBER];

    while (walk_element(w, &list)) {
        struct call c = *base;
        struct list l = walk_open(w, '{');

        c.gen_ai = c.used = false;
        while (walk_member(w, &l, name, sizeof name))
            take_member(w, name, &c);
        if (!w->bad)
            count_call(&c, logs, t);
    }
}

static void parse_scopes(struct walk *w, const struct call *base, bool logs, struct taking *t)
{
    struct list list = walk_open(w, '[');
    char name[USAGE_MEMBER];

    while (walk_element(w, &list)) {
        struct list l = walk_open(w, '{');

        while (walk_member(w, &l, name, sizeof name)) {
            if (strcmp(name, logs ? "logRecords" : "spans") == 0)
                parse_records(w, base, logs, t);
            else
                walk_skip(w);
        }
    }
}

static void take_resource(struct walk *w, struct call *c)
{
    struct list l = walk_open(w, '{');
    char name[USAGE_MEMBER];

    while (walk_member(w, &l, name, sizeof name)) {
        if (strcmp(name, "attributes") == 0)
            take_attributes(w, c);
        else
            walk_skip(w);
    }
}

/* The resource may come after what it is the resource of. */
static void parse_resource(struct walk *w, bool logs, struct taking *t)
{
    struct list l = walk_open(w, '{');
    struct walk scopes = { .bad = true };
    struct call base = { .code = 0 };
    char name[USAGE_MEMBER];

    while (walk_member(w, &l, name, sizeof name)) {
        if (strcmp(name, "resource") == 0) {
            take_resource(w, &base);
            continue;
        }
        if (strcmp(name, logs ? "scopeLogs" : "scopeSpans") == 0)
            scopes = *w;
        walk_skip(w);
    }
    if (!w->bad && !scopes.bad)
        parse_scopes(&scopes, &base, logs, t);
}

void otlp_parse(struct walk *w, struct taking *t, bool logs)
{
    struct list body, resources;
    char name[USAGE_MEMBER];

    if (walk_peek(w) != '{') {
        w->bad = true;
        return;
    }
    body = walk_open(w, '{');
    while (walk_member(w, &body, name, sizeof name)) {
        if (strcmp(name, logs ? "resourceLogs" : "resourceSpans") != 0) {
            walk_skip(w);
            continue;
        }
        resources = walk_open(w, '[');
        while (walk_element(w, &resources))
            parse_resource(w, logs, t);
    }
}
