/*
 * The pragmas this module relies on. Each is set and read back: a pragma that a build does not know
 * is silently ignored by SQLite, and what is not asserted is not there.
 */
#include "db.h"

#include <stdio.h>
#include <string.h>

struct setting {
    const char *set; /* NULL: only read */
    const char *get; /* NULL: cannot be read back */
    const char *expected;
};

#define CACHE      "-12288" /* KiB: an eighth of what the server may use in all */
#define COPY_CACHE "-2048"

/* Errors of the page cipher would go to standard error, past the program's own log. */
static const struct setting before_key[] = {
    { "PRAGMA cipher_log_level = NONE", NULL, NULL },
};

/* cipher_compatibility pins the file format against later defaults. With an exclusive lock the WAL
 * index is in memory: no -shm file, and a second process is refused. */
static const struct setting before_read[] = {
    { "PRAGMA cipher_log_level = NONE", NULL, NULL },
    { "PRAGMA cipher_compatibility = 4", "PRAGMA cipher_page_size", "4096" },
    { NULL, "PRAGMA cipher_use_hmac", "1" },
    { NULL, "PRAGMA cipher_hmac_algorithm", "HMAC_SHA512" },
    { "PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2" },
    { "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA main.locking_mode", "exclusive" },
    { "PRAGMA busy_timeout = 0", "PRAGMA busy_timeout", "0" },
    { "PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0" },
    { "PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0" },
    { "PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1" },
};

static const struct setting after_read[] = {
    { "PRAGMA journal_mode = WAL", "PRAGMA main.journal_mode", "wal" },
    { "PRAGMA synchronous = FULL", "PRAGMA main.synchronous", "2" },
    { "PRAGMA secure_delete = ON", "PRAGMA main.secure_delete", "1" },
    { "PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1" },
    { "PRAGMA recursive_triggers = OFF", "PRAGMA recursive_triggers", "0" },
    /* store_commit does it and sees the errors. */
    { "PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint", "0" },
    { "PRAGMA cache_size = " CACHE, "PRAGMA main.cache_size", CACHE },
};

/* A journal in memory never holds more than its header: the file was empty before. */
static const struct setting for_copy[] = {
    { "PRAGMA journal_mode = MEMORY", "PRAGMA main.journal_mode", "memory" },
    { "PRAGMA synchronous = FULL", "PRAGMA main.synchronous", "2" },
    { "PRAGMA cache_size = " COPY_CACHE, "PRAGMA main.cache_size", COPY_CACHE },
};

/* The first column of the first row as text. */
static status read_text(struct store *s, const char *sql, char *ret_text, size_t cap, struct err *e)
{
    sqlite3_stmt *statement = NULL;
    const char *text = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(statement, 0);
    (void)snprintf(ret_text, cap, "%s", text != NULL ? text : "");
    (void)sqlite3_finalize(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_fail(s, e, "setting cannot be read");
    return OK;
}

static status apply(struct store *s, const struct setting *settings, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        char text[32];
        status st = OK;

        if (settings[i].set != NULL)
            st = db_run(s, settings[i].set, e);
        if (st == OK && settings[i].get != NULL) {
            st = read_text(s, settings[i].get, text, sizeof(text), e);
            if (st == OK && strcmp(text, settings[i].expected) != 0)
                return fail(e, BUG, "SQLCipher lacks a required setting", i);
        }
        if (st != OK)
            return st;
    }
    return OK;
}

#define APPLY(s, table, e) apply((s), (table), sizeof(table) / sizeof((table)[0]), (e))

status setting_apply_before_key(struct store *s, struct err *e)
{
    return APPLY(s, before_key, e);
}

static status check_version(struct store *s, struct err *e)
{
    char text[64];
    unsigned major = 0;
    unsigned minor = 0;
    status st = read_text(s, "PRAGMA cipher_version", text, sizeof(text), e);

    if (st != OK)
        return st;
    /* Plain SQLite answers nothing here, and would write everything in clear. */
    if (sscanf(text, "%u.%u", &major, &minor) != 2)
        return fail(e, BUG, "library is not SQLCipher", 0);
    if (major < 4 || (major == 4 && minor < 5))
        return fail(e, BUG, "SQLCipher is older than 4.5", major * 100 + minor);
    /* 4.5.0 itself came with 3.36, which does not know strict tables. */
    if (sqlite3_libversion_number() < 3037000)
        return fail(e, BUG, "SQLite is older than 3.37", sqlite3_libversion_number());
    return OK;
}

status setting_apply_before_read(struct store *s, struct err *e)
{
    status st = check_version(s, e);

    if (st != OK)
        return st;
    return APPLY(s, before_read, e);
}

status setting_apply_after_read(struct store *s, struct err *e)
{
    return APPLY(s, after_read, e);
}

status setting_apply_for_copy(struct store *s, struct err *e)
{
    return APPLY(s, for_copy, e);
}

/*
 * 1.5 MB is more than the smallest share that a sort or a temporary table keeps in memory when
 * files are allowed. Some builds do write files although their compile options say otherwise, so
 * the behaviour is tested and not the option.
 */
status setting_prove_no_temporary_file(struct store *s, struct err *e)
{
    unsigned before = guard_refused_files();
    char text[8];
    struct err cause = { 0 };
    status st = db_run(s,
                       "PRAGMA main.cache_size = 10; PRAGMA temp.cache_size = 10;"
                       "CREATE TEMP TABLE spill AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL "
                       "SELECT i + 1 FROM n WHERE i < 1500) SELECT randomblob(1000) AS x FROM n",
                       &cause);

    if (st == OK)
        st = read_text(s, "SELECT 1 FROM temp.spill ORDER BY x", text, sizeof(text), &cause);
    if (st == OK)
        st = db_run(s, "DROP TABLE temp.spill", &cause);
    if (guard_refused_files() != before)
        return fail(e, BUG, "SQLCipher would write temporary files", cause.detail);
    if (st != OK)
        return fail(e, st, "temporary table in memory does not work", cause.detail);
    return OK;
}
