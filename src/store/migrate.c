/*
 * Schema changes. The table migration says what was applied, by number and checksum; it must be
 * exactly the beginning of the list in this program. Editing a released migration, or starting an
 * older program on a newer database, is found here before any data is touched.
 */
#include "migration.h"

#include <string.h>

#include "db.h"

static const char table[] = "CREATE TABLE IF NOT EXISTS migration ("
                            "number INTEGER PRIMARY KEY CHECK (number > 0), "
                            "name TEXT NOT NULL, "
                            "sha256 TEXT NOT NULL CHECK (length(sha256) = 64)) STRICT";

static bool column_is(sqlite3_stmt *row, int column, const char *expected)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return text != NULL && strcmp(text, expected) == 0;
}

/* Steps through what was applied and compares it with the list. */
static status compare(struct store *s, sqlite3_stmt *rows, const struct store_migration *list,
                      size_t count, size_t *ret_applied, struct err *e)
{
    size_t applied = 0;
    int code = sqlite3_step(rows);

    for (; code == SQLITE_ROW; code = sqlite3_step(rows)) {
        if (applied == count)
            return fail(e, CORRUPT, "database is newer than this program", count);
        if (sqlite3_column_int64(rows, 0) != list[applied].number ||
            !column_is(rows, 1, list[applied].name) || !column_is(rows, 2, list[applied].sha256))
            return fail(e, CORRUPT, "applied migration differs from this program's",
                        list[applied].number);
        applied++;
    }
    if (code != SQLITE_DONE)
        return db_fail(s, e, "migrations cannot be read");
    *ret_applied = applied;
    return OK;
}

static status read_applied(struct store *s, const struct store_migration *list, size_t count,
                           size_t *ret_applied, struct err *e)
{
    sqlite3_stmt *rows = NULL;
    status st = OK;

    if (sqlite3_prepare_v2(s->db, "SELECT number, name, sha256 FROM migration ORDER BY number", -1,
                           &rows, NULL) != SQLITE_OK)
        return db_fail(s, e, "migrations cannot be read");
    st = compare(s, rows, list, count, ret_applied, e);
    (void)sqlite3_finalize(rows);
    return st;
}

static status write_applied(struct store *s, const struct store_migration *m, struct err *e)
{
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(s->db,
                                  "INSERT INTO migration (number, name, sha256) "
                                  "VALUES (?1, ?2, ?3)",
                                  -1, &insert, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(insert, 1, m->number);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(insert, 2, m->name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(insert, 3, m->sha256, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(insert);
    (void)sqlite3_finalize(insert);
    if (code != SQLITE_DONE)
        return db_fail(s, e, "migration cannot be recorded");
    return OK;
}

/* One migration and its mark, or neither. */
static status apply(struct store *s, const struct store_migration *m, struct err *e)
{
    status st = db_run(s, "BEGIN IMMEDIATE", e);

    if (st == OK)
        st = db_run(s, m->sql, e);
    /* A migration that commits by itself would not be undone with the rest. */
    if (st == OK && sqlite3_get_autocommit(s->db))
        st = fail(e, BUG, "migration ended its transaction", m->number);
    if (st == OK)
        st = write_applied(s, m, e);
    if (st == OK)
        st = db_run(s, "COMMIT", e);
    if (st != OK && !sqlite3_get_autocommit(s->db))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

status migrate(struct store *s, const struct store_migration *list, size_t count, struct err *e)
{
    size_t applied = 0;
    status st = OK;

    st = db_run(s, table, e);
    if (st == OK)
        st = read_applied(s, list, count, &applied, e);
    for (size_t i = applied; st == OK && i < count; i++)
        st = apply(s, &list[i], e);
    return st;
}
