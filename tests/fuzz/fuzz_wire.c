/*
 * Every decoder of the wire, chosen by the first byte. What a decoder accepts in full must come
 * out of the encoder again byte for byte: then no two messages mean the same.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t buffer[LIMIT_FRAME];

#define ROUND_TRIP(name)                                \
    static void try_##name(struct in in, struct out *o) \
    {                                                   \
        struct wire_##name m;                           \
        wire_get_##name(&in, &m);                       \
        if (in_end(&in))                                \
            wire_put_##name(o, &m);                     \
    }

ROUND_TRIP(header)
ROUND_TRIP(hello)
ROUND_TRIP(session_request)
ROUND_TRIP(session)
ROUND_TRIP(slot)
ROUND_TRIP(init_request)
ROUND_TRIP(init)
ROUND_TRIP(unlock_request)
ROUND_TRIP(unlock)
ROUND_TRIP(system_keys)
ROUND_TRIP(entry)
ROUND_TRIP(record)
ROUND_TRIP(result)
ROUND_TRIP(cell)
ROUND_TRIP(enrolment)

/* What decodes can be written down and so be approved. */
static void try_operation(struct in in, struct out *o)
{
    struct wire_operation m;
    uint8_t text[OPERATION_TEXT_MAX];
    struct out t;

    wire_get_operation(&in, &m);
    if (!in_end(&in))
        return;
    wire_put_operation(o, &m);
    out_init(&t, text, sizeof(text));
    operation_text(&m, &t);
    if (t.overflow || operation_parse(operation_name(m.code)) != m.code)
        abort();
}

static void (*const tries[])(struct in in, struct out *o) = {
    try_header,       try_hello,  try_session_request, try_session, try_slot,
    try_init_request, try_init,   try_unlock_request,  try_unlock,  try_system_keys,
    try_entry,        try_record, try_result,          try_cell,    try_enrolment,
    try_operation,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct out o;

    if (size < 1 || data[0] >= sizeof(tries) / sizeof(tries[0]) || size > sizeof(buffer))
        return 0;
    out_init(&o, buffer, sizeof(buffer));
    tries[data[0]](in_of(span_of(data + 1, size - 1)), &o);
    if (o.overflow)
        abort();
    if (o.n != 0 && !span_same(span_of(o.p, o.n), span_of(data + 1, size - 1)))
        abort();
    return 0;
}
