/*
 * The record line. Two promises hold it together: what compose writes parse accepts, and what
 * parse accepts has exactly the head that compose would write. So a record's bytes and its
 * meaning determine each other, and hashing the bytes is enough.
 */
#include "ledger/record.h"

#include "base/clock.h"
#include "fragment.h"
#include "text.h"

#define OPENING        "{\"v\":1"
#define OPENING_LENGTH (sizeof(OPENING) - 1)
#define HEAD_MAX       384 /* longest head: all lengths are fixed but seq, type and outcome */
#define SEQ_MAX        (((uint64_t)1 << LIMIT_TREE_LEVELS) - 1)

/* The fields of the head in their order, after "v". */
enum head_field { HEAD_LOG, HEAD_SEQ, HEAD_PREV, HEAD_TIME, HEAD_TYPE, HEAD_OUTCOME, HEAD_COUNT };

static const char *const outcome_names[] = {
    [OUTCOME_OK] = "ok",
    [OUTCOME_DENIED] = "denied",
    [OUTCOME_FAILED] = "failed",
};

#define OUTCOME_COUNT (sizeof(outcome_names) / sizeof(outcome_names[0]))

/*
 * Names that only the keeper writes. A taken-over server must not be able to put words into
 * the keeper's mouth, so an engine fragment may use none of them, in no record type.
 */
#define NAME(text)                        \
    {                                     \
        (text), (uint8_t)sizeof(text) - 1 \
    }
static const struct {
    const char *text;
    uint8_t n;
} keeper_names[] = {
    NAME("v"),         NAME("log"),       NAME("seq"),        NAME("prev"),
    NAME("time"),      NAME("type"),      NAME("outcome"),    NAME("key_id"),
    NAME("version"),   NAME("lease_id"),  NAME("gateway_id"), NAME("engagement_id"),
    NAME("tenant_id"), NAME("slot_id"),   NAME("expires"),    NAME("due"),
    NAME("reason"),    NAME("attempt"),   NAME("number"),     NAME("happened"),
    NAME("journal"),   NAME("recovery"),  NAME("region"),     NAME("scars"),
    NAME("vault_id"),  NAME("operation"), NAME("operator"),   NAME("public_key"),
    NAME("aaguid"),    NAME("context"),   NAME("text"),       NAME("have"),
    NAME("need"),      NAME("what"),      NAME("epoch"),      NAME("quorum"),
    NAME("cards"),     NAME("share"),     NAME("delivery"),
};

#define KEEPER_NAME_COUNT (sizeof(keeper_names) / sizeof(keeper_names[0]))

static bool is_keeper_name(struct span name)
{
    for (size_t i = 0; i < KEEPER_NAME_COUNT; i++) {
        if (keeper_names[i].n == name.n && keeper_names[i].text[0] == (char)name.p[0] &&
            span_same(name, span_of(keeper_names[i].text, name.n)))
            return true;
    }
    return false;
}

status record_fields_check(struct span fields, struct err *e)
{
    if (fields.n > LIMIT_FIELDS)
        return fail(e, LIMIT, "record fields too long", fields.n);
    if (fragment_check(fields, is_keeper_name, NULL, 0))
        return OK;
    if (fragment_check(fields, NULL, NULL, 0))
        return fail(e, BAD_INPUT, "record field has a name that the keeper writes", 0);
    return fail(e, BAD_INPUT, "record fields are malformed or repeat a name", 0);
}

/* Everything up to and including the outcome. */
static void head_put(struct out *o, const struct record_head *head)
{
    out_text(o, OPENING ",\"log\":\"");
    text_hex_put(o, SPAN(head->log.b));
    out_text(o, "\",\"seq\":");
    text_number_put(o, head->seq);
    out_text(o, ",\"prev\":\"");
    text_hex_put(o, SPAN(head->prev));
    out_text(o, "\",\"time\":\"");
    text_time_put(o, head->time_us);
    out_text(o, "\",\"type\":\"");
    out_text(o, record_type_name(head->type));
    out_text(o, "\",\"outcome\":\"");
    out_text(o, outcome_names[head->outcome]);
    out_text(o, "\"");
}

/* What lies between {"v":1 and the closing brace is one fragment, head and all. */
static bool line_inside(struct span line, struct span *ret_inside)
{
    if (line.n < OPENING_LENGTH + 1 || line.n > LIMIT_RECORD || line.p[line.n - 1] != '}' ||
        !span_same(span_of(line.p, OPENING_LENGTH), span_text(OPENING)))
        return false;
    *ret_inside = span_of(line.p + OPENING_LENGTH, line.n - OPENING_LENGTH - 1);
    return true;
}

static bool find(struct span inside, const char *name, struct span *ret_value)
{
    struct in rest = in_of(inside);
    struct fragment_field field;

    while (fragment_next(&rest, &field)) {
        if (span_same(field.name, span_text(name))) {
            *ret_value = field.value;
            return true;
        }
    }
    return false;
}

static bool is_version(struct span name)
{
    return name.n == 1 && name.p[0] == 'v';
}

/* One flat object without a repeated name, "v" included, which stands before the fragment that is
 * checked; the first of its fields are the head. */
static bool line_check(struct span line, struct fragment_field head[HEAD_COUNT])
{
    struct span inside;

    return line_inside(line, &inside) && fragment_check(inside, is_version, head, HEAD_COUNT);
}

status record_compose(const struct record_head *head, struct span keeper_fields,
                      struct span engine_fields, struct out *out, struct err *e)
{
    struct fragment_field parsed[HEAD_COUNT];
    size_t start = out->n;

    if (record_type_name(head->type) == NULL || (unsigned)head->outcome >= OUTCOME_COUNT)
        return fail(e, BAD_INPUT, "no such record type or outcome", head->type);
    if (head->seq > SEQ_MAX)
        return fail(e, LIMIT, "sequence number too large", 0);
    head_put(out, head);
    out_raw(out, keeper_fields);
    out_raw(out, engine_fields);
    out_u8(out, '}');
    if (out->overflow || out->n - start > LIMIT_RECORD)
        return fail(e, LIMIT, "record too long", 0);
    /* Looked at as a whole once more: a line that does not parse would spoil the log for ever,
     * and only here is it seen that the two fragments do not share a name. */
    if (!line_check(span_of(out->p + start, out->n - start), parsed))
        return fail(e, BUG, "record would not parse", head->type);
    return OK;
}

static bool outcome_parse(struct span name, enum outcome *ret_outcome)
{
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        if (span_same(name, span_text(outcome_names[i]))) {
            *ret_outcome = (enum outcome)i;
            return true;
        }
    }
    return false;
}

/* The values of the head fields; whether they were written as compose writes them is not
 * tested here but by writing them again. */
static bool head_read(const struct fragment_field field[HEAD_COUNT], struct record_head *ret_head)
{
    const char *log = (const char *)field[HEAD_LOG].value.p;
    const char *prev = (const char *)field[HEAD_PREV].value.p;
    const char *time = (const char *)field[HEAD_TIME].value.p;

    ret_head->type = record_type_parse(field[HEAD_TYPE].value);
    return ret_head->type != 0 &&
           hex_parse(log, field[HEAD_LOG].value.n, ret_head->log.b, sizeof(ret_head->log.b)) &&
           text_number_parse(field[HEAD_SEQ].value, SEQ_MAX, &ret_head->seq) &&
           hex_parse(prev, field[HEAD_PREV].value.n, ret_head->prev, sizeof(ret_head->prev)) &&
           time_parse(time, field[HEAD_TIME].value.n, &ret_head->time_us) &&
           outcome_parse(field[HEAD_OUTCOME].value, &ret_head->outcome);
}

status record_parse(struct span line, struct record_head *ret_head, struct err *e)
{
    struct fragment_field field[HEAD_COUNT];
    struct record_head head;
    uint8_t again[HEAD_MAX];
    struct out o;

    if (!line_check(line, field))
        return fail(e, CORRUPT, "record is malformed", 0);
    if (!head_read(field, &head))
        return fail(e, CORRUPT, "record head is malformed", 0);
    /* Names, order, letter case, quotes: all of it by one comparison. */
    out_init(&o, again, sizeof(again));
    head_put(&o, &head);
    if (o.overflow || line.n < o.n || !span_same(span_of(line.p, o.n), span_of(o.p, o.n)))
        return fail(e, CORRUPT, "record head is not in its one form", 0);
    *ret_head = head;
    return OK;
}

bool record_field(struct span line, const char *name, struct span *ret_value)
{
    struct span inside;

    if (!line_inside(line, &inside))
        return false;
    if (span_same(span_text(name), span_text("v"))) {
        *ret_value = span_of(line.p + OPENING_LENGTH - 1, 1);
        return true;
    }
    return find(inside, name, ret_value);
}

bool record_fields(struct span line, const char *const names[], size_t count, size_t needed,
                   struct span ret_values[])
{
    struct fragment_field field;
    struct span inside;
    struct in rest;

    for (size_t i = 0; i < count; i++)
        ret_values[i] = span_of(NULL, 0);
    if (!line_inside(line, &inside))
        return false;
    rest = in_of(inside);
    while (rest.n > 0) {
        if (!fragment_next(&rest, &field))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (field.name.p[0] == (uint8_t)names[i][0] &&
                span_same(field.name, span_text(names[i])))
                ret_values[i] = field.value;
        }
    }
    for (size_t i = 0; i < needed; i++) {
        if (ret_values[i].p == NULL)
            return false;
    }
    return true;
}

bool record_field_id(struct span line, const char *name, struct id *ret_id)
{
    struct span value;

    return record_field(line, name, &value) &&
           hex_parse((const char *)value.p, value.n, ret_id->b, sizeof(ret_id->b));
}

bool record_field_number(struct span line, const char *name, uint64_t min, uint64_t max,
                         uint64_t *ret_number)
{
    struct span value;
    char text[24];
    struct in from;

    if (!record_field(line, name, &value) || value.n >= sizeof(text))
        return false;
    from = in_of(value);
    in_copy(&from, (uint8_t *)text, value.n);
    text[value.n] = '\0';
    return number_parse(text, min, max, ret_number);
}
