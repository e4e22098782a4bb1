/*
 * Queries on the open database.
 *
 * 1. A change outside a transaction is refused here, once for all statements.
 * 2. After a failed commit nothing runs any more: what is on disk is unknown until a restart.
 * 3. What we read is checked like any other input: a row of a form we never write is CORRUPT.
 */
#include "db.h"

#include <stdlib.h>
#include <string.h>

status db_status(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_FOREIGNKEY: return CONFLICT;
    case SQLITE_IOERR_NOMEM: return NO_MEMORY;
    default: break;
    }
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return OK;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return CORRUPT;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS: return IO;
    case SQLITE_NOMEM: return NO_MEMORY;
    case SQLITE_TOOBIG:
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return LIMIT;
    /* The other constraints (a number or a length out of range) are ours to keep. */
    default: return BUG;
    }
}

status db_note(struct store *s, struct err *e, const char *where, const char *why)
{
    int code = sqlite3_extended_errcode(s->db);
    status st = db_status(code);

    return err_note(e, st != OK ? st : BUG, where, why, code);
}

status db_run(struct store *s, const char *sql, struct err *e)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(s, e, "database refuses a command");
    return OK;
}

void db_forget_views(struct store *s)
{
    while (s->views != NULL) {
        struct view *next = s->views->next;

        free(s->views);
        s->views = next;
    }
}

void db_finalize(struct store *s)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(s->statements[i]);
}

static status prepare(struct store *s, enum statement which, struct err *e)
{
    if (s->statements[which] != NULL)
        return OK;
    if (sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &s->statements[which], NULL) != SQLITE_OK)
        return db_fail(s, e, "statement cannot be prepared");
    return OK;
}

status query_begin(struct store *s, enum statement which, struct query *q, struct err *e)
{
    sqlite3_stmt *statement = NULL;
    bool ends = which == SQL_BEGIN || which == SQL_COMMIT || which == SQL_ROLLBACK, changes;
    status st = OK;

    if (s->failed)
        return fail(e, IO, "store has failed before", 0);
    db_forget_views(s);
    if (!ends)
        st = transaction_take(s, false, e);
    if (st == OK)
        st = prepare(s, which, e);
    if (st != OK)
        return st;
    statement = s->statements[which];
    if (sqlite3_stmt_busy(statement))
        return fail(e, BUG, "statement is in use", 0);
    changes = !sqlite3_stmt_readonly(statement);
    if (!s->transaction && changes)
        return fail(e, BUG, "change outside a transaction", 0);
    if (!ends && (changes || which == SQL_MARK))
        st = transaction_take(s, true, e);
    if (st != OK)
        return st;
    if (changes) {
        remembered_changes(s, which);
        tail_changes(s, which);
    }
    /* SQLite ends a transaction by itself after some write errors. Without this, the rest of it
     * would be written on its own. */
    if (s->begun && sqlite3_get_autocommit(s->db))
        return fail(e, IO, "transaction was lost", 0);
    *q = (struct query){ .s = s, .statement = statement };
    return OK;
}

void query_cleanup(struct query *q)
{
    if (q->statement == NULL)
        return;
    (void)sqlite3_reset(q->statement); /* repeats an error that step has reported */
    (void)sqlite3_clear_bindings(q->statement);
    q->statement = NULL;
}

static void note_put(struct query *q, int code)
{
    if (q->code == SQLITE_OK)
        q->code = code;
}

/* Parameters are borrowed: they live as long as the call that puts them. */
void query_put_span(struct query *q, struct span value)
{
    /* A NULL pointer would be SQL's NULL and not the empty value. */
    const void *p = value.n > 0 ? (const void *)value.p : "";

    note_put(q, sqlite3_bind_blob64(q->statement, ++q->put, p, value.n, SQLITE_STATIC));
}

void query_put_id(struct query *q, const struct id *id)
{
    query_put_span(q, SPAN(id->b));
}

void query_put_id_or_null(struct query *q, const struct id *id)
{
    if (id_is_zero(id))
        note_put(q, sqlite3_bind_null(q->statement, ++q->put));
    else
        query_put_id(q, id);
}

void query_put_text(struct query *q, const char *text)
{
    note_put(q, sqlite3_bind_text(q->statement, ++q->put, text, -1, SQLITE_STATIC));
}

void query_put_number(struct query *q, uint64_t value)
{
    q->put++;
    if (value > INT64_MAX)
        note_put(q, SQLITE_RANGE);
    else
        note_put(q, sqlite3_bind_int64(q->statement, q->put, (sqlite3_int64)value));
}

status query_step(struct query *q, bool *ret_row, struct err *e)
{
    int code = SQLITE_OK;

    if (q->code != SQLITE_OK)
        return fail(e, db_status(q->code), "parameter is out of range", q->code);
    q->got = 0;
    code = sqlite3_step(q->statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_fail(q->s, e, "database refuses a statement");
    *ret_row = code == SQLITE_ROW;
    return OK;
}

status query_run(struct query *q, size_t *ret_changes, struct err *e)
{
    bool row = false;
    status st = query_step(q, &row, e);

    if (st != OK)
        return st;
    if (row)
        return fail(e, BUG, "change returned a row", 0);
    if (ret_changes != NULL)
        *ret_changes = (size_t)sqlite3_changes(q->s->db);
    return OK;
}

static void note_get(struct query *q, status bad)
{
    if (q->bad == OK)
        q->bad = bad;
}

struct span query_get_span(struct query *q)
{
    int column = q->got++;
    /* Pointer before length: asking for the pointer may convert the value. */
    const void *p = sqlite3_column_blob(q->statement, column);
    size_t n = (size_t)sqlite3_column_bytes(q->statement, column);

    if (p == NULL && n > 0)
        note_get(q, NO_MEMORY);
    return p == NULL ? (struct span){ NULL, 0 } : span_of(p, n);
}

void query_get_bytes(struct query *q, uint8_t *ret_bytes, size_t n)
{
    struct span value = query_get_span(q);

    if (value.n == n)
        memcpy(ret_bytes, value.p, n);
    else
        note_get(q, CORRUPT);
}

void query_get_id(struct query *q, struct id *ret_id)
{
    if (sqlite3_column_type(q->statement, q->got) == SQLITE_NULL) {
        *ret_id = (struct id){ .b = { 0 } };
        q->got++;
        return;
    }
    query_get_bytes(q, ret_id->b, sizeof(ret_id->b));
}

void query_get_text(struct query *q, char *ret_text, size_t cap)
{
    struct span value = query_get_span(q);

    if (value.n >= cap || (value.n > 0 && memchr(value.p, '\0', value.n) != NULL)) {
        note_get(q, CORRUPT);
        return;
    }
    if (value.n > 0)
        memcpy(ret_text, value.p, value.n);
    ret_text[value.n] = '\0';
}

uint64_t query_get_number(struct query *q, uint64_t max)
{
    sqlite3_int64 value = sqlite3_column_int64(q->statement, q->got++);

    if (value < 0 || (uint64_t)value > max) {
        note_get(q, CORRUPT);
        return 0;
    }
    return (uint64_t)value;
}

struct span query_get_view(struct query *q)
{
    struct span value = query_get_span(q);
    struct view *view = NULL;

    if (value.n == 0)
        return value;
    view = malloc(sizeof(*view) + value.n);
    if (view == NULL) {
        note_get(q, NO_MEMORY);
        return (struct span){ NULL, 0 };
    }
    memcpy(view->bytes, value.p, value.n);
    view->next = q->s->views;
    q->s->views = view;
    return span_of(view->bytes, value.n);
}

status query_end(const struct query *q, struct err *e)
{
    if (q->bad == OK)
        return OK;
    return fail(e, q->bad, "stored row cannot be read", 0);
}
