/*
 * Transactions, savepoints and the WAL.
 *
 * A failed commit or sync is final: whether the frames reached the disk is unknown, and the kernel
 * may have dropped them while calling them clean, so trying again would prove nothing. The same
 * holds for a checkpoint, which is why it is not left to SQLite's own hook: it ignores errors.
 */
#include "db.h"

#define WAL_PAGES_MAX 8000 /* 32 MB: one checkpoint in some twenty thousand leases */

static status control(struct store *s, enum statement which, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, which, &q, e);

    if (st != OK)
        return st;
    return query_run(&q, NULL, e);
}

static void end_transaction(struct store *s)
{
    s->transaction = false;
    s->taken = false;
    s->unsettled = false;
    s->marked = false;
    s->records_pending = 0;
}

static status begin(struct store *s, struct err *e)
{
    status st = s->begun ? OK : control(s, SQL_BEGIN, e);

    s->begun |= st == OK;
    return st;
}

static status roll_back(struct store *s)
{
    s->begun = false;
    return control(s, SQL_ROLLBACK, NULL);
}

static status take_first(struct store *s, struct err *e)
{
    bool noted = tail_has_noted(s);
    status st = OK;

    s->taken = true;
    s->changes_before = sqlite3_total_changes(s->db);
    if (noted)
        st = begin(s, e);
    return st == OK && noted ? tail_do_noted(s, e) : st;
}

status transaction_take(struct store *s, bool changes, struct err *e)
{
    struct err cause = { 0 };
    status st = tail_wait(s, &cause);

    if (st == OK && s->transaction && !s->taken)
        st = take_first(s, &cause);
    if (st != OK) {
        s->failed = true;
        return fail(e, IO, "commit failed", cause.detail);
    }
    return changes ? begin(s, e) : OK;
}

status store_begin_append(struct store *s, struct err *e)
{
    if (s->transaction)
        return fail(e, BUG, "transaction within a transaction", 0);
    if (s->failed)
        return fail(e, IO, "store has failed before", 0);
    s->transaction = true;
    tail_begin(s);
    return OK;
}

status store_begin(struct store *s, struct err *e)
{
    status st = store_begin_append(s, e);

    if (st != OK)
        return st;
    st = transaction_take(s, true, e);
    if (st != OK)
        end_transaction(s);
    return st;
}

static status sql_commit(struct store *s, struct err *e)
{
    status st = control(s, SQL_COMMIT, e);

    if (st != OK) {
        (void)roll_back(s);
        s->failed = true;
    }
    s->begun = false;
    return st;
}

status transaction_settle(struct store *s, struct span generation, struct err *e)
{
    status st = tail_set_generation(s, generation, e);

    return st == OK ? sql_commit(s, e) : st;
}

static status commit(struct store *s, struct err *e)
{
    status st = s->failed ? fail(e, IO, "store has failed before", 0) : OK;

    if (st == OK)
        st = transaction_take(s, false, e);
    if (st == OK && !s->begun)
        return OK; /* nothing was done, and nothing is carried */
    if (st == OK)
        st = tail_settle(s, e);
    if (st == OK)
        st = sql_commit(s, e);
    if (st == OK)
        tail_settled(s);
    else if (s->begun)
        (void)roll_back(s);
    return st;
}

status store_commit(struct store *s, struct err *e)
{
    struct err cause = { 0 };
    uint64_t records = s->records_pending;

    if (!s->transaction)
        return fail(e, BUG, "commit outside a transaction", 0);
    if (s->marked)
        return fail(e, BUG, "commit with an open savepoint", 0);
    if (commit(s, &cause) != OK) {
        end_transaction(s);
        s->failed = true;
        return fail(e, IO, "commit failed", cause.detail);
    }
    end_transaction(s);
    s->counters.commits++;
    s->counters.records += records;
    return transaction_shrink_wal(s, e);
}

status store_append(struct store *s, bool *ret_unsynced, struct err *e)
{
    struct err cause = { 0 };
    uint64_t records = s->records_pending;
    bool carried = false;

    *ret_unsynced = false;
    if (!s->transaction || s->marked || s->failed)
        return store_commit(s, e); /* which says what is wrong */
    if (tail_carry(s, &carried, &cause) != OK) {
        end_transaction(s);
        s->failed = true;
        return fail(e, IO, "commit failed", cause.detail);
    }
    if (!carried)
        return store_commit(s, e);
    end_transaction(s);
    s->counters.commits++;
    s->counters.records += records;
    *ret_unsynced = true;
    return OK;
}

status store_sync(struct store *s, struct err *e)
{
    struct err cause = { 0 };

    return tail_sync(s, &cause) == OK ? OK : fail(e, IO, "commit failed", cause.detail);
}

status store_commit_append(struct store *s, struct err *e)
{
    bool unsynced;
    status st = store_append(s, &unsynced, e);

    if (st != OK || !unsynced)
        return st;
    st = store_sync(s, e);
    s->failed |= st != OK;
    return st;
}

status store_settle(struct store *s, struct err *e)
{
    status st;

    if (s->transaction)
        return OK;
    st = transaction_take(s, false, e);
    if (st != OK || !s->begun)
        return st;
    st = store_begin(s, e);
    return st == OK ? store_commit(s, e) : st;
}

/* SQLite's transaction goes, and what was carried with it comes again from the tail. */
static void rollback_to_carried(struct store *s)
{
    if (sqlite3_total_changes(s->db) != s->changes_before &&
        (roll_back(s) != OK || begin(s, NULL) != OK || tail_again(s, NULL) != OK))
        s->failed = true;
    end_transaction(s);
    remembered_forget(s);
}

void store_rollback(struct store *s)
{
    if (!s->transaction)
        return;
    if (s->taken && tail_carries(s)) {
        rollback_to_carried(s);
        return;
    }
    if (s->taken && s->begun && roll_back(s) != OK && !sqlite3_get_autocommit(s->db))
        s->failed = true;
    end_transaction(s); /* what is only noted goes with it */
}

status store_mark(struct store *s, struct err *e)
{
    status st = OK;

    if (!s->transaction || s->marked)
        return fail(e, BUG, "savepoint outside a transaction or within another", 0);
    st = control(s, SQL_MARK, e);
    if (st != OK)
        return st;
    s->marked = true;
    tail_changes(s, SQL_MARK); /* what is undone would stay among the steps */
    s->records_kept = s->records_pending;
    return OK;
}

status store_keep(struct store *s, struct err *e)
{
    if (!s->marked)
        return fail(e, BUG, "no savepoint to keep", 0);
    s->marked = false;
    return control(s, SQL_KEEP, e);
}

status store_undo(struct store *s, struct err *e)
{
    struct err cause = { 0 };

    if (!s->marked)
        return fail(e, BUG, "no savepoint to undo", 0);
    s->marked = false;
    s->records_pending = s->records_kept;
    if (control(s, SQL_UNDO, &cause) == OK && control(s, SQL_KEEP, &cause) == OK)
        return OK;
    /* What should be undone may still be in the transaction: it must not be committed. */
    store_rollback(s);
    s->failed = true;
    return fail(e, IO, "savepoint cannot be undone", cause.detail);
}

static status checkpoint(struct store *s, int mode, struct err *e)
{
    int code = sqlite3_wal_checkpoint_v2(s->db, "main", mode, NULL, NULL);

    if (code == SQLITE_OK)
        return OK;
    if (db_status(code) == LIMIT)
        return fail(e, LIMIT, "database is being read", code);
    s->failed = true;
    return db_fail(s, e, "checkpoint failed");
}

status transaction_shrink_wal(struct store *s, struct err *e)
{
    struct err cause = { 0 };
    status st = OK;

    if (s->wal_pages < WAL_PAGES_MAX)
        return OK;
    st = checkpoint(s, SQLITE_CHECKPOINT_PASSIVE, &cause);
    /* A reader is in the way: the next commit tries again. */
    if (st == OK || st == LIMIT)
        return OK;
    return fail(e, IO, "checkpoint after a commit failed", cause.detail);
}

status store_checkpoint(struct store *s, struct err *e)
{
    status st = OK;

    if (s->transaction)
        return fail(e, BUG, "checkpoint within a transaction", 0);
    st = store_settle(s, e);
    if (st != OK)
        return st;
    if (s->failed)
        return fail(e, IO, "store has failed before", 0);
    st = checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE, e);
    if (st == OK)
        s->wal_pages = 0;
    return st;
}

const struct store_counters *store_counters(const struct store *s)
{
    return &s->counters;
}
