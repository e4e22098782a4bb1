/*
 * Opening and closing the database. The order matters: nothing is read before the key is set,
 * nothing is written before a page has opened with it, and nothing of ours runs before every
 * setting has been read back.
 */
#include <stdlib.h>
#include <unistd.h>

#include "db.h"
#include "migration.h"
#include "store/rekey.h"

#define RAW_KEY_SIZE   32
#define RAW_KEY_LENGTH (2 + 2 * RAW_KEY_SIZE + 1) /* x'..' */

void open_free(struct store *s)
{
    db_forget_views(s);
    remembered_forget(s);
    tail_close(s);
    db_finalize(s);
    (void)sqlite3_close(s->db);
    free(s);
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    store_rollback(s);
    store_rekey_abandon(s);
    /* Nobody is left to be told; what stays in the WAL is found there at the next start. */
    if (!s->failed)
        (void)!store_checkpoint(s, NULL);
    open_free(s);
}

void store_cleanup(struct store **s)
{
    store_close(*s);
    *s = NULL;
}

/* A raw key in SQLCipher's form: no derivation, and no copy in an SQL text. */
static status set_key(struct store *s, const struct secret *key, struct err *e)
{
    AUTO(secret) *raw = NULL;
    char *text = NULL;
    status st = secret_new(RAW_KEY_LENGTH + 1, &raw, e);

    if (st != OK)
        return st;
    text = (char *)secret_fill(raw).p;
    text[0] = 'x';
    text[1] = '\'';
    hex_format(secret_view(key), text + 2);
    text[RAW_KEY_LENGTH - 1] = '\'';
    if (sqlite3_key_v2(s->db, "main", text, RAW_KEY_LENGTH) != SQLITE_OK)
        return db_fail(s, e, "SQLCipher refuses the key");
    return OK;
}

/* Reads the first page. */
static status check_key(struct store *s, struct err *e)
{
    int code = sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        return OK;
    if ((code & 0xff) == SQLITE_BUSY)
        return fail(e, CONFLICT, "another process has the database open", code);
    if ((code & 0xff) == SQLITE_NOTADB)
        return fail(e, CORRUPT, "wrong key or damaged database", code);
    return db_fail(s, e, "database cannot be read");
}

static int note_wal_pages(void *context, sqlite3 *db, const char *name, int pages)
{
    struct store *s = context;

    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

/* From a connection to a database that has opened with the key. */
static status start(struct store *s, const struct secret *key, struct err *e)
{
    status st = guard_connection(s, e);

    if (st == OK)
        st = setting_apply_before_key(s, e);
    if (st == OK)
        st = set_key(s, key, e);
    if (st == OK)
        st = setting_apply_before_read(s, e);
    if (st == OK)
        st = check_key(s, e);
    return st == OK ? setting_prove_no_temporary_file(s, e) : st;
}

static status serve(struct store *s, struct err *e)
{
    status st = setting_apply_after_read(s, e);

    if (st != OK)
        return st;
    sqlite3_wal_hook(s->db, note_wal_pages, s);
    s->phase = PHASE_MIGRATE;
    st = migrate(s, store_migrations, store_migration_count, e);
    s->phase = PHASE_SERVE;
    return st;
}

static status await_backup(struct store *s, struct err *e)
{
    status st = setting_apply_for_copy(s, e);

    s->phase = PHASE_SERVE;
    return st;
}

static status connect(const char *path, struct store *s, struct err *e)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(path, &s->db, flags, GUARD_VFS);

    if (s->db == NULL)
        return fail(e, NO_MEMORY, "no memory for the database", code);
    (void)sqlite3_extended_result_codes(s->db, 1);
    if (code != SQLITE_OK)
        return db_fail(s, e, "database cannot be opened");
    return OK;
}

static status open_file(const char *path, const struct secret *key,
                        status (*go_on)(struct store *s, struct err *e), struct store **ret_store,
                        struct err *e)
{
    struct store *s = NULL;
    status st = OK;

    if (secret_view(key).n != RAW_KEY_SIZE)
        return fail(e, BUG, "database key is not 32 bytes", 0);
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return fail(e, NO_MEMORY, "no memory for the store", 0);
    s->phase = PHASE_SETUP;
    st = connect(path, s, e);
    if (st == OK)
        st = start(s, key, e);
    if (st == OK)
        st = go_on(s, e);
    if (st != OK) {
        open_free(s);
        return st;
    }
    *ret_store = s;
    return OK;
}

status open_database(const char *path, const struct secret *key, struct store **ret_store,
                     struct err *e)
{
    return open_file(path, key, serve, ret_store, e);
}

status open_copy(const char *path, const struct secret *key, struct store **ret_store,
                 struct err *e)
{
    return open_file(path, key, await_backup, ret_store, e);
}

#define NAME "/strongroom.db"

bool store_exists(const char *dir)
{
    char path[PATH_MAX];

    return file_name(dir, NAME, path, NULL) == OK && access(path, F_OK) == 0;
}

status store_open_either(const char *dir, const struct secret *key, const struct secret *next_key,
                         struct store **ret_store, bool *ret_next, struct err *e)
{
    char path[PATH_MAX];
    struct store *s = NULL;
    struct err cause = { 0 };
    bool next = false;
    status st = file_name(dir, NAME, path, e);

    if (st == OK)
        st = guard_register(e);
    if (st == OK)
        st = file_create(path, e);
    if (st != OK)
        return st;
    st = open_database(path, key, &s, &cause);
    if (st == CORRUPT && next_key != NULL && open_database(path, next_key, &s, NULL) == OK) {
        next = true;
        st = OK;
    }
    if (st != OK)
        return err_note(e, st, cause.where, cause.why, cause.detail);
    st = rekey_remove_rest(s, e); /* with the lock: it is nobody's work in progress */
    if (st == OK)
        st = tail_open(s, path, next ? next_key : key, e);
    if (st != OK) {
        open_free(s);
        return st;
    }
    *ret_store = s;
    *ret_next = next;
    return OK;
}

status store_open(const char *dir, const struct secret *key, struct store **ret_store,
                  struct err *e)
{
    bool next = false;

    return store_open_either(dir, key, NULL, ret_store, &next, e);
}
