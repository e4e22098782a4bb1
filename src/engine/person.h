/* Tags instead of people's names in records: see person.c. */
#ifndef ENGINE_PERSON_H
#define ENGINE_PERSON_H

#include "internal.h"
#include "ledger/person.h"

struct persons;

MUST_CHECK status persons_new(struct persons **ret_persons, struct err *e);
void persons_free(struct persons *ps);

/* How records of log call name. May use the store: views of it die. */
MUST_CHECK status person_text_of(struct engine *en, const struct id *log, const char *name,
                                 char out[static PERSON_TEXT_LENGTH + 1], struct err *e);
/* The same as a member of a record. If there is no tag to be had the fields overflow, and no record
 * is written. */
void fields_person(struct engine *en, struct fields *f, const char *member, const char *name,
                   const struct id *log);

/* Names that a record to come needs and the database lacks. */
bool persons_waiting(const struct engine *en);
status persons_store(struct engine *en, struct err *e); /* in the open transaction */

#endif
