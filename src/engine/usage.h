/*
 * What gateways say that they did with keys. A report is a record of the tenant's log, and what is
 * summed up is a fold over those records: stored in the transaction that stores the record, whoever
 * stores it, so that sums and trail cannot differ.
 *
 * Must:
 *  1. A number of a report counts once for a lease (or a key and a gateway), also across restarts.
 *  2. Reported is what a gateway claims. Nothing is opened or refused to a tenant because of it but
 *     by a policy that asks for it.
 *  3. Nothing of a report is kept but names, numbers and identifiers (usage/usage.h).
 */
#ifndef ENGINE_USAGE_H
#define ENGINE_USAGE_H

#include "internal.h"

#define USAGE_MODELS_MAX 32 /* of a key on a day; the others are summed up as "other" */
#define USAGE_KEPT_DAYS  400
#define USAGE_SPENT_DAYS 32 /* that are remembered for usage_spent */
#define USAGE_NUMBERS    62 /* below the expected one that are told apart */

/* --- for whoever decides by it --------------------------------------------------------------- */

/*
 * What was reported to have been spent since since_us, the beginning of a UTC day, with all keys of
 * the tenant or (key not NULL) with one of them; in millionths. From memory; the first call for a
 * tenant reads the database, so views of the store die. LIMIT: longer ago than USAGE_SPENT_DAYS.
 */
MUST_CHECK status usage_spent(struct engine *en, const struct id *tenant, const struct id *key,
                              uint64_t since_us, uint64_t *ret_micro, struct err *e);

/* What is remembered of reports while the database is open. */
struct tally {
    struct spending *spending;
    struct once *once;
};
MUST_CHECK status tally_new(struct tally **ret_tally, struct err *e);
void tally_free(struct tally *t);

/* usage_spent.c: costs by tenant, key and day. */
struct spending;
MUST_CHECK status spending_new(struct spending **ret_spending, struct err *e);
void spending_free(struct spending *s);
/* As far as the tenant's costs are in memory. */
MUST_CHECK status spending_add(struct spending *s, const struct store_usage *u, struct err *e);

/* usage_once.c: what tells of requests without numbering its reports */
struct once;
MUST_CHECK status once_new(struct once **ret_once, struct err *e);
void once_free(struct once *o);
#define ONCE_HASH 16
void once_hash(const struct id *gateway, const char *text, uint8_t out[static ONCE_HASH]);
bool once_seen(const struct once *o, const uint8_t hash[static ONCE_HASH]);
void once_note(struct once *o, const uint8_t hash[static ONCE_HASH]);

/* usage_count.c: a record is being stored, in the transaction that stores it. */
MUST_CHECK status usage_heard(struct engine *en, const struct store_record *r, struct err *e);
/* Drops sums and numbers that are too old, once a day. */
MUST_CHECK status usage_sweep(struct engine *en, struct err *e);
/* What a report number is: new (the expected one, or one that was missed), seen before, or new with
 * a gap: the numbers from next to number - 1 were never there. */
enum usage_number { NUMBER_NEW, NUMBER_SEEN, NUMBER_GAP };
enum usage_number usage_number_of(const struct store_usage_number *n, uint64_t number);
void usage_number_take(struct store_usage_number *n, uint64_t number);

#endif
