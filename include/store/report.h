/* What gateways report of the use of keys, as rows of the store. See store/store.h. */
#ifndef STORE_REPORT_H
#define STORE_REPORT_H

#include "store/key.h"

#define STORE_MODEL   97             /* with the NUL */
#define STORE_SUM_MAX 99999999999999 /* where sums stop growing */

/* Sums of one day (UTC, since 1970) by key, gateway and model. */
struct store_usage {
    struct id tenant;
    struct id key;
    struct id gateway;
    uint64_t day;
    char model[STORE_MODEL];
    uint8_t class; /* enum key_class */
    uint64_t requests;
    uint64_t failures; /* of these */
    uint64_t input_tokens;
    uint64_t output_tokens;
    uint64_t cost_micro;
    uint64_t reports;
    uint64_t inferred; /* of these: named a key and no lease */
};
/* Adds to the row, or makes it. Each number is at most STORE_SUM_MAX. */
MUST_CHECK status store_usage_add(struct store *s, const struct store_usage *u, struct err *e);
/* How many models a key has on a day, and whether this one is among them. */
MUST_CHECK status store_usage_models(struct store *s, const struct store_usage *u,
                                     size_t *ret_count, bool *ret_known, struct err *e);

/* Calls each(context, key, day, cost) for every key and day of a tenant from a day on, until it
 * returns false. each may not use the store. */
typedef bool (*store_cost_fn)(void *context, const struct id *key, uint64_t day,
                              uint64_t cost_micro);
MUST_CHECK status store_usage_costs(struct store *s, const struct id *tenant, uint64_t from_day,
                                    store_cost_fn each, void *context, struct err *e);

/* Which sums are asked for, and by what they are told apart. Empty texts ask for all. */
struct store_usage_filter {
    uint64_t from_day;
    uint64_t to_day;          /* exclusive */
    unsigned by;              /* bits of enum usage_by */
    struct id tenant;         /* zero: of all, or of those the auditor has */
    char auditor[STORE_NAME]; /* a limited one */
    char key[STORE_NAME];
    char gateway[STORE_NAME];
    char model[STORE_MODEL];
};
/* What is not told apart is empty, or 0. class is 0 if keys of several are in one row. */
struct store_usage_row {
    struct store_usage sum; /* without ids */
    char tenant[STORE_NAME];
    char key[STORE_NAME];
    char gateway[STORE_NAME];
};
/* In the order of day, tenant, key, gateway, model. each may not use the store. */
typedef bool (*store_usage_fn)(void *context, const struct store_usage_row *row);
MUST_CHECK status store_usage(struct store *s, const struct store_usage_filter *f, size_t limit,
                              store_usage_fn each, void *context, struct err *e);

/* Which report numbers were seen of a lease, or (subject: the key) of a gateway that names none. */
struct store_usage_number {
    struct id tenant;
    struct id subject;
    struct id gateway;
    uint64_t next;     /* the number that is expected */
    uint64_t seen;     /* bit i: number next - 1 - i was there; 62 bits */
    uint64_t until_us; /* when the row may go */
};
/* Of a subject without a row: next 1, nothing seen. */
MUST_CHECK status store_usage_number(struct store *s, const struct id *tenant,
                                     const struct id *subject, const struct id *gateway,
                                     struct store_usage_number *ret_number, struct err *e);
MUST_CHECK status store_usage_number_set(struct store *s, const struct store_usage_number *n,
                                         struct err *e);

/* Deletes sums of days before `day`, and numbers of what was over at now_us. */
MUST_CHECK status store_usage_forget(struct store *s, uint64_t day, uint64_t now_us, struct err *e);

#endif
