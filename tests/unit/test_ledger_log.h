/* What the tests of the ledger share: ids and keys, a log of composed records, comparisons. */
#ifndef TEST_LEDGER_LOG_H
#define TEST_LEDGER_LOG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ledger/checkpoint.h"
#include "ledger/record.h"
#include "ledger/tree.h"
#include "ledger/verify.h"

#define LOG_CAP  64
#define START_US ((uint64_t)1795251633123456)

static const struct id vault = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
static const struct id log_id = { { 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
                                    31 } };
static const uint8_t seed32[32] = { 0x49, 0x49, 0x49 };

/* A log under construction, and the bytes of its records. */
struct log {
    struct ledger_tree tree;
    size_t count;
    size_t length[LOG_CAP];
    uint8_t line[LOG_CAP][LIMIT_RECORD];
};

static inline struct span log_record(const struct log *l, size_t at)
{
    return span_of(l->line[at], l->length[at]);
}

static inline void log_add(struct log *l, uint16_t type, uint64_t time_us)
{
    struct record_head head = {
        .log = l->tree.log, .seq = l->tree.size, .time_us = time_us, .type = type
    };
    uint8_t leaf[SHA256_SIZE];
    struct fields keeper;
    struct fields engine;
    struct err e = { 0 };
    struct out o;

    assert_true(l->count < LOG_CAP);
    memcpy(head.prev, l->tree.prev, sizeof(head.prev));
    fields_init(&keeper);
    fields_number(&keeper, "number", head.seq);
    fields_init(&engine);
    fields_text(&engine, "actor", "gateway:edge-1");
    out_init(&o, l->line[l->count], LIMIT_RECORD);
    assert_int_equal(record_compose(&head, fields_view(&keeper), fields_view(&engine), &o, &e), OK);
    l->length[l->count] = o.n;
    ledger_leaf(log_record(l, l->count), leaf);
    assert_int_equal(ledger_append(&l->tree, leaf, time_us, &e), OK);
    l->count++;
}

/* The caller frees it. */
static inline struct log *log_new(size_t count)
{
    struct log *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    ledger_genesis(&vault, &log_id, &l->tree);
    for (size_t i = 0; i < count; i++)
        log_add(l, i == 0 ? RECORD_TENANT_CREATED : RECORD_LEASE_ISSUED, START_US + i / 2 * 1000);
    return l;
}

/* The signed note of l in bytes, which hold CHECKPOINT_MAX. */
static inline struct span log_note(const struct log *l, uint8_t *bytes)
{
    struct err e = { 0 };
    struct out o;

    out_init(&o, bytes, CHECKPOINT_MAX);
    assert_int_equal(checkpoint_sign(&vault, &l->tree, SPAN(seed32), &o, &e), OK);
    return span_of(o.p, o.n);
}

/* Compares bytes with hex text. */
static inline void assert_hex(struct span bytes, const char *hex)
{
    char text[2 * LEDGER_HEAD_MAX + 1];

    assert_true(bytes.n <= LEDGER_HEAD_MAX);
    hex_format(bytes, text);
    assert_string_equal(text, hex);
}

#endif
