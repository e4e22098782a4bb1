/* What tags in records mean: names of people, and purposes of leases. See store/store.h. */
#ifndef STORE_PERSON_H
#define STORE_PERSON_H

#include "base/bytes.h"
#include "base/status.h"

struct store;

#define STORE_PERSON 129 /* a name or a purpose, with its NUL */

/* One meaning, of one log: the same name has another tag in every other log. */
struct store_person {
    struct id log;
    uint8_t tag[16];
    uint8_t salt[16];
    char name[STORE_PERSON];
};
/* CONFLICT if the log has the name or the tag. */
MUST_CHECK status store_person_add(struct store *s, const struct store_person *p, struct err *e);
/* NOT_FOUND. */
MUST_CHECK status store_person(struct store *s, const struct id *log, const char *name,
                               struct store_person *ret_person, struct err *e);
MUST_CHECK status store_person_by_tag(struct store *s, const struct id *log,
                                      const uint8_t tag[static 16], struct store_person *ret_person,
                                      struct err *e);
/* In order of tags, after the given one (NULL: from the start). */
MUST_CHECK status store_people(struct store *s, const struct id *log, const uint8_t *after_tag,
                               struct store_person *ret_people, size_t cap, size_t *ret_count,
                               struct err *e);
/* The row is overwritten; what the WAL holds goes with store_checkpoint. NOT_FOUND. */
MUST_CHECK status store_person_erase(struct store *s, const struct id *log,
                                     const uint8_t tag[static 16], struct err *e);

#endif
