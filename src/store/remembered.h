/*
 * Rows that were leasable lately, as store_leasable gave them. Any change but those of a list that
 * touches nothing they are made of (remembered.c) forgets them all, and none is kept until the
 * transaction that changed something is over.
 */
#ifndef STORE_REMEMBERED_H
#define STORE_REMEMBERED_H

#include "statement.h"
#include "store/store.h"

struct remembered;

/* false: not here. The view in *ret_leasable lives until the next call on the store. */
bool remembered_find(const struct store *s, const char *tenant, const char *key,
                     struct store_leasable *ret_leasable);
/* The same by ids. */
bool remembered_find_by_id(const struct store *s, const struct id *tenant, const struct id *key,
                           struct store_leasable *ret_leasable);
void remembered_keep(struct store *s, const char *tenant, const char *key,
                     const struct store_leasable *leasable);
/* One that is here by its names and was looked for by ids. */
void remembered_by_id_too(struct store *s, const char *tenant, const char *key);
/* A statement that changes something is about to run. */
void remembered_changes(struct store *s, enum statement which);
void remembered_forget(struct store *s);

#endif
