/* What the parsers of the formats share. */
#ifndef USAGE_INTERNAL_H
#define USAGE_INTERNAL_H

#include "usage/usage.h"
#include "walk.h"

#define USAGE_MEMBER 64 /* names of members that are known are shorter */

/* Room for another item, zeroed; NULL (and *full) if there are as many as the format may have. */
struct taking {
    struct usage *usage;
    size_t cap;
    bool full;
};
struct usage_item *item_new(struct taking *t);

/* Each takes the value that comes next. */
void take_model(struct walk *w, struct usage_item *item); /* anything; "other" if it has no form */
void take_id(struct walk *w, struct usage_item *item); /* joins ids; what has no form is left out */
bool take_lease(struct walk *w, struct usage_item *item); /* false: not hex of a length */
bool take_key(struct walk *w, struct usage_item *item);   /* false: too long, or no text */
/* RFC 3339 as the vault writes it, or seconds since 1970. */
bool take_time(struct walk *w, uint64_t *ret_time_us);
bool take_cost(struct walk *w, uint64_t *ret_nano); /* a number, or one as text */
bool take_count(struct walk *w, uint64_t max, uint64_t *ret_count);
bool take_code(struct walk *w, unsigned *ret_code); /* an HTTP status, as number or text */

bool lease_form(const char *text);
bool id_form(const char *text);
void model_set(struct usage_item *item, const char *text);
void id_add(struct usage_item *item, const char *text);
enum usage_ending ending_of(unsigned code); /* 0: ENDED_BADLY */
/* Is name one of the words of the list, or does it begin with one that ends in a point? */
bool is_content(const char *name, const char *const *list, size_t count);

void native_parse(struct walk *w, struct taking *t);
void litellm_parse(struct walk *w, struct taking *t);
void otlp_parse(struct walk *w, struct taking *t, bool logs);

#endif
