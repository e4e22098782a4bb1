/* What tags in a log's records mean: names that the vault keeps apart from the trail. */
#ifndef CLI_PEOPLE_H
#define CLI_PEOPLE_H

#include <jansson.h>

#include "cli.h"

/* {"people": [{"tag", "salt", "name"}, ...]} of a log. */
int people_list(struct cli *c, const char *log, json_t **ret_people);
/* Puts names in the place of tags in a parsed record. A tag whose name is not known, or does not
 * belong to it, stays. */
void people_resolve(const json_t *people, json_t *record);

#endif
