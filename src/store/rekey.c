/*
 * Another key for the database: copy, swap, erase.
 *
 * 1. SQLite's online backup reads pages through the codec of one connection and writes them through
 *    the codec of another. It sees every commit of the source's own connection, which is the only
 *    one, and writes pages that it has copied already once more.
 * 2. The copy has no journal and no WAL of its own: nobody needs half of it.
 * 3. A WAL belongs to one key. The old one is empty and gone before the new database takes the
 *    name that it would be found by.
 * 4. The old connection holds its lock until the new database is open.
 */
#include "store/rekey.h"

#include "db.h"

#define PAGE 4096 /* as the settings assert */
/* Left free by the copy, four times the WAL: a commit that finds the disk full ends the vault. */
#define ROOM_KEPT ((uint64_t)64 << 20)

static status next_name(const struct store *s, char ret_next[PATH_MAX], struct err *e)
{
    return file_name(sqlite3_db_filename(s->db, "main"), ".next", ret_next, e);
}

static status remove_wal(const char *path, struct err *e)
{
    char wal[PATH_MAX];
    status st = file_name(path, "-wal", wal, e);

    return st == OK ? file_remove(wal, e) : st;
}

status rekey_remove_rest(struct store *s, struct err *e)
{
    char next[PATH_MAX];
    uint64_t left = 0;
    status st = next_name(s, next, e);

    if (st == OK)
        st = file_erase(next, UINT64_MAX, &left, e);
    return st == OK ? remove_wal(next, e) : st;
}

/* Ends the copy's connection: whole if the last page was copied, to be thrown away otherwise. */
static int end_copy(struct store *s)
{
    int code = sqlite3_backup_finish(s->backup); /* NULL is fine */

    s->backup = NULL;
    open_free(s->copy);
    s->copy = NULL;
    return code;
}

void store_rekey_abandon(struct store *s)
{
    char next[PATH_MAX];

    if (s->copy == NULL)
        return;
    (void)end_copy(s);
    /* What stays is removed by the next opening. */
    if (next_name(s, next, NULL) == OK)
        (void)!file_remove(next, NULL);
}

static status give_up(struct store *s, int code, struct err *e)
{
    store_rekey_abandon(s);
    if ((code & 0xff) == SQLITE_FULL)
        return fail(e, LIMIT, "no room on the disk for the copy", code);
    return fail(e, db_status(code), "database cannot be copied", code);
}

static status check_idle(const struct store *s, struct err *e)
{
    if (s->failed)
        return fail(e, IO, "store has failed before", 0);
    if (s->transaction)
        return fail(e, BUG, "change of the key within a transaction", 0);
    return OK;
}

static status check_under_way(const struct store *s, struct err *e)
{
    if (s->copy == NULL)
        return fail(e, BUG, "no change of the key is under way", 0);
    return check_idle(s, e);
}

/* Pages that a step may copy. The very last is left for the end: with it the copy is committed, and
 * changes are no longer carried over. */
static int count_left(struct store *s, int *ret_left)
{
    int code = sqlite3_backup_step(s->backup, 0); /* only counts */

    *ret_left = sqlite3_backup_remaining(s->backup) - 1;
    return code;
}

/* Written and synced now, slice by slice, and not all of it by the commit. */
static int flush(struct store *copy)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_db_cacheflush(copy->db);

    if (code == SQLITE_OK)
        code = sqlite3_file_control(copy->db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);
    return code == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : code;
}

static status check_room(struct store *s, int left, struct err *e)
{
    status st =
        file_check_room(sqlite3_db_filename(s->db, "main"), (uint64_t)left * PAGE + ROOM_KEPT, e);

    if (st != OK)
        store_rekey_abandon(s);
    return st;
}

status store_rekey_begin(struct store *s, const struct secret *new_key, struct err *e)
{
    char next[PATH_MAX];
    int left = 0;
    int code;
    status st = store_settle(s, e);

    if (st == OK)
        st = check_idle(s, e);
    if (st == OK && s->copy != NULL)
        return fail(e, CONFLICT, "a change of the key is under way", 0);
    if (st == OK)
        st = rekey_remove_rest(s, e);
    if (st == OK)
        st = next_name(s, next, e);
    if (st == OK)
        st = file_create(next, e);
    if (st != OK)
        return st;
    st = open_copy(next, new_key, &s->copy, e);
    if (st != OK) {
        (void)!file_remove(next, NULL);
        return st;
    }
    s->backup = sqlite3_backup_init(s->copy->db, "main", s->db, "main");
    code = s->backup != NULL ? count_left(s, &left) : sqlite3_extended_errcode(s->copy->db);
    if (code != SQLITE_OK)
        return give_up(s, code, e);
    return check_room(s, left, e);
}

status store_rekey_step(struct store *s, unsigned pages, uint32_t *ret_left, uint32_t *ret_total,
                        struct err *e)
{
    int left = 0;
    int code;
    status st = check_under_way(s, e);

    if (st != OK)
        return st;
    code = count_left(s, &left);
    if (code == SQLITE_OK && left > 0) {
        st = check_room(s, left, e);
        if (st != OK)
            return st;
        code = sqlite3_backup_step(s->backup, pages < (unsigned)left ? (int)pages : left);
    }
    if (code == SQLITE_OK)
        code = flush(s->copy);
    if (code != SQLITE_OK)
        return give_up(s, code, e);
    *ret_left = (uint32_t)sqlite3_backup_remaining(s->backup) - 1;
    *ret_total = (uint32_t)sqlite3_backup_pagecount(s->backup);
    return OK;
}

/* The rest of the pages, committed and durable, in a file that is no longer open. */
static status complete(struct store *s, const char *next, const struct secret *new_key,
                       struct err *e)
{
    struct store *proof = NULL;
    int code = sqlite3_backup_step(s->backup, -1);
    status st;

    if (code != SQLITE_DONE)
        return give_up(s, code, e);
    code = end_copy(s);
    st = code == SQLITE_OK ? open_database(next, new_key, &proof, e)
                           : fail(e, db_status(code), "copy cannot be completed", code);
    if (st == OK) {
        open_free(proof); /* it has only read */
        return remove_wal(next, e);
    }
    (void)!rekey_remove_rest(s, NULL);
    return st;
}

static status swap(const char *path, const char *next, const struct secret *new_key,
                   struct store **ret_store, struct err *e)
{
    status st = remove_wal(path, e);

    if (st == OK)
        st = file_exchange(next, path, e);
    return st == OK ? open_database(path, new_key, ret_store, e) : st;
}

status store_rekey_finish(struct store **s, const struct secret *new_key, struct err *e)
{
    struct store *old = *s;
    struct store *fresh = NULL;
    const char *path = sqlite3_db_filename(old->db, "main");
    struct err cause = { 0 };
    char next[PATH_MAX];
    status st = check_under_way(old, e);

    if (st == OK)
        st = next_name(old, next, e);
    if (st == OK)
        st = store_checkpoint(old, e);
    if (st == OK)
        st = complete(old, next, new_key, e);
    if (st == IO)
        old->failed = true;
    if (st != OK)
        return st;
    tail_close(old); /* empty: nothing is carried while the copy is made */
    st = swap(path, next, new_key, &fresh, &cause);
    if (st == OK)
        st = tail_open(fresh, path, new_key, &cause);
    if (st != OK) {
        if (fresh != NULL)
            open_free(fresh);
        old->failed = true;
        return err_note(e, IO, cause.where, cause.why, cause.detail);
    }
    fresh->counters = old->counters;
    open_free(old);
    *s = fresh;
    return OK;
}

status store_rekey_erase(struct store *s, unsigned pages, uint32_t *ret_left, struct err *e)
{
    char next[PATH_MAX];
    uint64_t left = 0;
    status st;

    if (s->copy != NULL)
        return fail(e, CONFLICT, "a change of the key is under way", 0);
    st = next_name(s, next, e);
    if (st == OK)
        st = file_erase(next, (uint64_t)pages * PAGE, &left, e);
    if (st == OK)
        *ret_left = (uint32_t)((left + PAGE - 1) / PAGE);
    return st;
}
