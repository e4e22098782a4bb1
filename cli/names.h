/* Names for the identifiers in records, as far as this user may ask the vault for them. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <jansson.h>

struct cli;

struct names {
    json_t *keys;        /* id -> the key as the vault lists it */
    json_t *engagements; /* id -> name */
    json_t *gateways;    /* id -> name */
    json_t *people;      /* names behind tags, see people.h */
};

/* What the vault tells about a log's tenant. A refusal is no failure: the ids stay then. */
void names_load(struct cli *c, const char *log, struct names *ret);
void names_clear(struct names *n);

/* "name=value ..." of what a record says beyond the columns that every record has, for people:
 * names for ids, nothing twice, no hashes. Adds it to the record as member "details". */
void names_describe(const struct names *n, json_t *record);

#endif
