/*
 * What the database may never do, whatever a statement says.
 *
 * 1. No temporary file is opened. SQLCipher does not encrypt those, and whether a build wants them
 *    is not visible from outside: the file system layer below refuses them, so a build that ignores
 *    temp_store fails instead of leaking.
 * 2. After the migrations only reading and changing rows is allowed: no schema change, no pragma,
 *    no other database, no function but the few we use.
 */
#include "db.h"

#include <string.h>

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *base;
    unsigned refused;
} guard;

static int guard_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    const int temporary = SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB |
                          SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL;

    (void)vfs;
    if (name == NULL || (flags & temporary) != 0) {
        guard.refused++;
        file->pMethods = NULL;
        return SQLITE_CANTOPEN;
    }
    return guard.base->xOpen(guard.base, name, file, flags, ret_flags);
}

status guard_register(struct err *e)
{
    if (guard.base != NULL)
        return OK;
    guard.base = sqlite3_vfs_find(NULL);
    if (guard.base == NULL)
        return fail(e, BUG, "SQLite has no file system", 0);
    guard.vfs = *guard.base;
    guard.vfs.pNext = NULL;
    guard.vfs.zName = GUARD_VFS;
    guard.vfs.xOpen = guard_open;
    if (sqlite3_vfs_register(&guard.vfs, 0) != SQLITE_OK) {
        guard.base = NULL;
        return fail(e, BUG, "SQLite refuses a file system", 0);
    }
    return OK;
}

unsigned guard_refused_files(void)
{
    return guard.refused;
}

static bool own_table(const char *table)
{
    return table != NULL && strncmp(table, "sqlite_", 7) != 0;
}

/* Pure, and sums of what is there. */
static bool own_function(const char *name)
{
    static const char *const names[] = { "coalesce", "count", "sum", "min", "max" };

    for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool allowed_when_serving(int action, const char *first, const char *second)
{
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT: return true;
    case SQLITE_READ: return own_table(first);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE: return own_table(first) && strcmp(first, "migration") != 0;
    case SQLITE_FUNCTION: return own_function(second);
    default: return false;
    }
}

static int authorize(void *context, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    const struct store *s = context;
    bool allowed = true;

    (void)trigger;
    if (action == SQLITE_ATTACH || action == SQLITE_DETACH)
        return SQLITE_DENY;
    if (action == SQLITE_FUNCTION && second != NULL && strcmp(second, "load_extension") == 0)
        return SQLITE_DENY;
    switch (s->phase) {
    case PHASE_SETUP: break;
    case PHASE_MIGRATE: allowed = action != SQLITE_PRAGMA; break;
    case PHASE_SERVE:
        allowed = (database == NULL || strcmp(database, "main") == 0) &&
                  allowed_when_serving(action, first, second);
        break;
    }
    return allowed ? SQLITE_OK : SQLITE_DENY;
}

static status configure(struct store *s, struct err *e)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },
        { SQLITE_DBCONFIG_DQS_DDL, 0 },
        { SQLITE_DBCONFIG_DQS_DML, 0 },
        { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
        { SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
        { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
        { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        /* Closing after a wrong key or a failed commit must not touch the file. */
        { SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 },
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int now = -1;
        int code = sqlite3_db_config(s->db, options[i].option, options[i].value, &now);

        if (code != SQLITE_OK || now != options[i].value)
            return fail(e, BUG, "SQLite lacks a required setting", options[i].option);
    }
    return OK;
}

status guard_connection(struct store *s, struct err *e)
{
    status st = configure(s, e);

    if (st != OK)
        return st;
    sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(s->db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 1 << 20);
    sqlite3_limit(s->db, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
    if (sqlite3_set_authorizer(s->db, authorize, s) != SQLITE_OK)
        return fail(e, BUG, "SQLite refuses an authorizer", 0);
    return OK;
}
