/* Numbered schema changes, embedded at build time from migrations/, and their application. */
#ifndef STORE_MIGRATION_H
#define STORE_MIGRATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct store;

struct store_migration {
    uint32_t number;  /* 1, 2, ... without gaps */
    const char *name; /* "0001_initial" */
    const char *sql;
    const char *sha256; /* hex, of the file */
};

extern const struct store_migration store_migrations[];
extern const size_t store_migration_count;

/* Compares what the database has applied with list and applies the rest, each in its own
 * transaction. CORRUPT: applied is not a prefix of list. */
MUST_CHECK status migrate(struct store *s, const struct store_migration *list, size_t count,
                          struct err *e);

#endif
