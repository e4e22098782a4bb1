/*
 * Records from outside, read as a line and as an engine's fragment. Beyond not crashing: a line
 * that parses has the one head that compose writes, and a fragment that passes the check can be
 * composed into a line that parses.
 */
#include <stdlib.h>

#include "ledger/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not an assert: it must hold in release builds too. */
static void must(bool condition)
{
    if (!condition)
        abort();
}

/* One pass finds what a look-up each finds. */
static void try_fields(struct span line)
{
    static const char *const names[] = { "seq", "outcome", "log", "lease_id", "expires", "why" };
    struct span several[6], one;

    must(record_fields(line, names, 6, 3, several));
    for (size_t i = 0; i < 6; i++) {
        must(record_field(line, names[i], &one) == (several[i].p != NULL));
        must(several[i].p == NULL || (several[i].p == one.p && several[i].n == one.n));
    }
}

static void try_line(struct span line)
{
    uint8_t bytes[LIMIT_RECORD];
    struct record_head head;
    struct span value;
    struct out o;

    if (record_parse(line, &head, NULL) != OK)
        return;
    out_init(&o, bytes, sizeof(bytes));
    must(record_compose(&head, span_of(NULL, 0), span_of(NULL, 0), &o, NULL) == OK);
    /* All of the bare line but its closing brace begins the given one. */
    must(line.n >= o.n && span_same(span_of(line.p, o.n - 1), span_of(o.p, o.n - 1)));
    must(record_field(line, "v", &value) && value.n == 1);
    must(record_field(line, "seq", &value) && value.n > 0);
    must(record_field(line, "outcome", &value) && value.n > 0);
    try_fields(line);
}

static void try_fragment(struct span fragment)
{
    const struct record_head head = { .seq = 1, .type = RECORD_LEASE_REFUSED };
    uint8_t bytes[LIMIT_RECORD];
    struct record_head back;
    struct span value;
    struct out o;

    if (record_fields_check(fragment, NULL) != OK)
        return;
    out_init(&o, bytes, sizeof(bytes));
    must(record_compose(&head, span_of(NULL, 0), fragment, &o, NULL) == OK);
    must(record_parse(span_of(o.p, o.n), &back, NULL) == OK);
    must(back.seq == 1 && back.type == RECORD_LEASE_REFUSED);
    must(!record_field(span_of(o.p, o.n), "lease_id", &value)); /* a name of the keeper's */
}

/* Any bytes as the value of a field: refused, or escaped into something that passes. */
static void try_value(struct span value)
{
    struct fields f;

    fields_init(&f);
    fields_span(&f, "why", value);
    must((record_fields_check(fields_view(&f), NULL) == OK) == !f.out.overflow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_line(span_of(data, size));
    try_fragment(span_of(data, size));
    try_value(span_of(data, size));
    return 0;
}
