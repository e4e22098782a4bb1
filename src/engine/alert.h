/*
 * Alerts: records about other records, for whoever watches the trail. Each rule sees every record
 * as it is stored and remembers only what it must; what it finds is written a moment later, in a
 * batch of the engine's own, so that no lease waits for it. Alerts are about records and never
 * about alerts.
 *
 * Must:
 *  1. A lease does not fail or wait for an alert. What is too much for memory is not watched.
 *  2. What was found is told once: again after a restart only if its record was not stored.
 *  3. A subject (a rule and whom it is about) has one alert an hour, a log ALERTS_PER_LOG of a
 *     rule. What comes on top is counted and told when the hour is over.
 */
#ifndef ENGINE_ALERT_H
#define ENGINE_ALERT_H

#include "internal.h"

#define HOUR_US        (3600 * SECOND_US)
#define ALERTS_PER_LOG 20

enum alert_rule {
    ALERT_FIRST_USE,
    ALERT_DENIED_BURST,
    ALERT_USE_AFTER_ROTATION,
    ALERT_USAGE_SPIKE,
    ALERT_ODD_HOURS,
    ALERT_RULES
};

/* alert.c */
status alerts_new(struct alerts **ret_alerts, struct err *e);
void alerts_free(struct alerts *a);
/* A record is being stored, in the transaction that stores it. */
status alerts_heard(struct engine *en, const struct store_record *r, struct err *e);
/* After a start: looks back, and tells what the last server did not. */
status alerts_rebuild(struct engine *en, struct err *e);
/* Writes what was found. */
status alerts_write(struct engine *en, struct err *e);
/* Forgets what is over, and finds what was counted and is to be told. */
status alerts_sweep(struct engine *en, struct err *e);
/* How many alerts were raised within the last 24 hours. */
uint64_t alerts_today(struct engine *en);

/*
 * For the rules. Begin with whom it is about, then alert_end, then how much:
 *   alert_begin(&f, ALERT_ODD_HOURS), fields_text(&f, "slot", ...), alert_about(&f, rule),
 *   fields_number(&f, "count", ...), alert_raise(...)
 */
void alert_begin(struct fields *f, enum alert_rule rule);
void alert_about(struct fields *f, enum alert_rule rule);
void alert_raise(struct alerts *a, enum alert_rule rule, const struct id *log, uint64_t time_us,
                 const struct fields *f, const struct store_first_use *first);

/* alert_rules.c: what each rule keeps in memory, and what it makes of a record. */
enum alert_phase {
    ALERT_EARLY, /* stored before the memory is built: it will be seen again */
    ALERT_AGAIN, /* from the trail */
    ALERT_LIVE
};
struct alert_rules;
status alert_rules_new(struct alert_rules **ret_rules, struct err *e);
void alert_rules_free(struct alert_rules *rules);
status alert_rules_heard(struct engine *en, struct alerts *a, struct alert_rules *rules,
                         const struct store_record *r, enum alert_phase phase, struct err *e);
void alert_rules_sweep(struct alert_rules *rules, uint64_t now_us);
status alert_first_uses_rebuild(struct engine *en, struct alerts *a, struct err *e);

#endif
