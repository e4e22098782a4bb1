/*
 * Audit records: one line of JSON each, stored, hashed and exported as the same bytes and
 * never re-serialised. The keeper composes the line; the engine contributes only a checked
 * fragment of flat fields, so whatever the engine sends, a record says what the keeper did.
 *
 *   {"v":1,"log":"<32 hex>","seq":0,"prev":"<64 hex>","time":"<RFC 3339, us>","type":"<name>",
 *    "outcome":"ok|denied|failed"<,keeper fields><,engine fields>}
 *
 * The bytes have no white space outside strings and no newline; LIMIT_RECORD bounds them.
 */
#ifndef LEDGER_RECORD_H
#define LEDGER_RECORD_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "ledger/record_type.h"

enum outcome { OUTCOME_OK = 0, OUTCOME_DENIED = 1, OUTCOME_FAILED = 2 };

/*
 * Checks an engine-built fragment: zero or more of  ,"name":value  where name is [a-z_]{1,32},
 * not one the keeper writes and not repeated, and value is a JSON string (RFC 8259, valid UTF-8,
 * escapes allowed but for NUL and unpaired surrogates, no raw control characters), a whole number
 * of at most 15 digits without sign or leading zero, true or false.
 * BAD_INPUT otherwise, LIMIT above LIMIT_FIELDS.
 */
MUST_CHECK status record_fields_check(struct span fields, struct err *e);

/*
 * Builds a fragment. Values are escaped. Text that is not UTF-8 or holds a NUL, a number above 15
 * digits and a time after the year 9999 set overflow. After an overflow the view is one that
 * record_fields_check and record_compose refuse.
 */
struct fields {
    struct out out;
    uint8_t bytes[LIMIT_FIELDS];
};
void fields_init(struct fields *f);
void fields_text(struct fields *f, const char *name, const char *value); /* NULL value: nothing */
void fields_span(struct fields *f, const char *name, struct span value);
void fields_id(struct fields *f, const char *name, const struct id *id); /* 32 hex */
void fields_hex(struct fields *f, const char *name, struct span value);
void fields_number(struct fields *f, const char *name, uint64_t value);
void fields_true(struct fields *f, const char *name);
void fields_time(struct fields *f, const char *name, uint64_t time_us);
struct span fields_view(const struct fields *f);

/* What the head of a line says. */
struct record_head {
    struct id log;
    uint64_t seq;
    uint8_t prev[32];
    uint64_t time_us;
    uint16_t type;
    enum outcome outcome;
};

/*
 * Composes a line into out (cap LIMIT_RECORD). keeper_fields come from fields_*; engine_fields
 * must have passed record_fields_check. LIMIT if it does not fit, BAD_INPUT for an unknown type
 * or outcome, BUG if the line would not parse, such as when the two fragments share a name.
 */
MUST_CHECK status record_compose(const struct record_head *head, struct span keeper_fields,
                                 struct span engine_fields, struct out *out, struct err *e);
/* Parses the head of a line strictly (the exact bytes compose writes) and checks that the rest
 * is a well-formed fragment with a closing brace and that no name occurs twice in the line.
 * CORRUPT otherwise. Fuzzed. */
MUST_CHECK status record_parse(struct span line, struct record_head *ret_head, struct err *e);
/* Finds one field of a parsed line: view of the raw value (strings without their quotes, still
 * escaped). false if absent. */
bool record_field(struct span line, const char *name, struct span *ret_value);
/* The same, read as an identifier or a whole number within [min, max]; false for anything else. */
bool record_field_id(struct span line, const char *name, struct id *ret_id);
bool record_field_number(struct span line, const char *name, uint64_t min, uint64_t max,
                         uint64_t *ret_number);

#endif
