/*
 * The flat fields inside a record:  ,"name":value  repeated. The grammar is that of
 * record_fields_check; which names are allowed where is the caller's matter. Private to the
 * module.
 */
#ifndef LEDGER_SRC_FRAGMENT_H
#define LEDGER_SRC_FRAGMENT_H

#include "base/bytes.h"
#include "base/limits.h"

/* Digits of a number: every JSON reader keeps 15 of them exactly, even one that uses doubles. */
#define FRAGMENT_NUMBER_MAX ((uint64_t)999999999999999)

/* Views into the fragment. A string's value is without its quotes, still escaped. */
struct fragment_field {
    struct span name;
    struct span value;
};

/* Takes the next field. false if there is none or it is malformed. */
bool fragment_next(struct in *rest, struct fragment_field *ret_field);
/* Well-formed from end to end, no name twice, and none that is taken already (NULL: none is). At
 * most LIMIT_RECORD bytes, and at least want fields, which first receives. */
bool fragment_check(struct span fragment, bool (*taken)(struct span name),
                    struct fragment_field *first, size_t want);

/* A member that an object must have. */
struct fragment_member {
    const char *name;
    bool text; /* a string; otherwise a number */
};

/* Whether line is the object  {"name":value,...}  of exactly these members in this order, without
 * white space. Fills values with views as above. */
bool fragment_object(struct span line, const struct fragment_member *members, size_t count,
                     struct span *ret_values);
/* Writes the text that a string's value stands for. */
void fragment_unescape(struct span value, struct out *o);

#endif
