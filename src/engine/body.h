/* From a request's body, and into records and replies. */
#ifndef ENGINE_BODY_H
#define ENGINE_BODY_H

#include "internal.h"

/* fields.c: what every record of a request says, and replies */
/* Begins the fields of a record in log. */
void fields_of(struct engine *en, struct fields *f, const struct request *rq, const struct id *log);
/* The name itself, for what is shown and not recorded. */
const char *actor_of(const struct request *rq, char out[2 * STORE_NAME]);
/* How records of log call whoever asked: by a tag if it is a person. May use the store. */
status actor_text(struct engine *en, const struct request *rq, const struct id *log,
                  char out[2 * STORE_NAME], struct err *e);
json_t *json_time(uint64_t time_us); /* null for 0 */
json_t *json_id(const struct id *id);
json_t *json_hex(struct span s);
json_t *json_next(const char *last, size_t count, size_t page); /* name, or null on the last page */

/* body.c: members of a request's body. BAD_INPUT when absent (unless optional) or of another form.
 * Views die with the body. */
status body_name(const struct request *rq, const char *member, const char **ret_name,
                 struct err *e);
status body_text(const struct request *rq, const char *member, bool optional, size_t max,
                 const char **ret_text, struct err *e);
status body_number(const struct request *rq, const char *member, uint64_t absent, uint64_t min,
                   uint64_t max, uint64_t *ret_number, struct err *e);
status body_hex(const struct request *rq, const char *member, size_t max, struct out *out,
                struct err *e);
status body_hex_exact(const struct request *rq, const char *member, uint8_t *out, size_t n,
                      struct err *e);
status body_id(const struct request *rq, const char *member, struct id *ret_id, struct err *e);
/* A tenant's data stays in the region of its vault: a "region" that is another one is DENIED as
 * misdirected. */
status body_region(const struct engine *en, struct request *rq, struct err *e);
/* "tenant/name" or "tenant/pattern" into two parts. */
status key_path_parse(const char *path, bool pattern, char tenant[STORE_NAME],
                      char key[STORE_PATTERN], struct err *e);

#endif
