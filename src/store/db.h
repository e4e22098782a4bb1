/*
 * What the files of this module share: the open database, and queries on it.
 *
 * A query is one use of a prepared statement: begin, put the parameters in order, then either
 * run it (a change) or step through rows and get the columns in order. Errors of put and get are
 * sticky and come out of run, step and end. It is reset when it goes out of scope, so that no
 * read transaction outlives a call.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#ifndef SQLITE_HAS_CODEC
#define SQLITE_HAS_CODEC /* declares sqlite3_key_v2 */
#endif
#include <limits.h>

#include <sqlcipher/sqlite3.h>

#include "remembered.h"
#include "statement.h"
#include "store/store.h"
#include "tail.h"

/* What the authorizer lets through. */
enum phase { PHASE_SETUP, PHASE_MIGRATE, PHASE_SERVE };

/* A copy handed out as a view, freed by the next call. */
struct view {
    struct view *next;
    uint8_t bytes[];
};

struct store {
    sqlite3 *db;
    enum phase phase;
    bool transaction; /* between begin and commit, as promised to the caller */
    bool taken;       /* it uses the connection: else all that it did stands in the tail's steps */
    bool begun;       /* SQLite's transaction is open */
    bool marked;
    bool failed;   /* after a failed commit: only close is left */
    int wal_pages; /* in the WAL after the last commit */
    struct store_counters counters;
    uint64_t records_pending; /* added in this transaction */
    uint64_t records_kept;    /* of these, before the mark */
    struct tail *tail;        /* NULL: none, as of a copy */
    int changes_before;       /* rows changed before this transaction began */
    struct view *views;
    struct remembered *remembered; /* NULL: nothing is */
    bool unsettled;                /* this transaction changed what may not be remembered */
    struct store *copy;            /* under another key, while that is under way; else NULL */
    sqlite3_backup *backup;
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

/* The status for an extended SQLite code. */
status db_status(int code);
/* Notes the connection's last error. why must be a literal. */
#define db_fail(s, e, why) db_note((s), (e), __func__, "" why "")
status db_note(struct store *s, struct err *e, const char *where, const char *why);

/* Runs SQL text without parameters or results. */
MUST_CHECK status db_run(struct store *s, const char *sql, struct err *e);
/* Drops the views handed out by the call before. */
void db_forget_views(struct store *s);
void db_finalize(struct store *s); /* all its statements */

struct query {
    struct store *s;
    sqlite3_stmt *statement;
    int put;    /* parameters put so far */
    int got;    /* columns got so far */
    int code;   /* first failed put */
    status bad; /* first failed get */
};

/* BUG: a change outside a transaction, or a statement in use (a callback came back). */
MUST_CHECK status query_begin(struct store *s, enum statement which, struct query *q,
                              struct err *e);
void query_cleanup(struct query *q);

void query_put_id(struct query *q, const struct id *id);
void query_put_id_or_null(struct query *q, const struct id *id); /* zero: NULL */
void query_put_text(struct query *q, const char *text);
void query_put_number(struct query *q, uint64_t value);
void query_put_span(struct query *q, struct span value);

/* Runs a change; *ret_changes (may be NULL) counts the rows it changed. */
MUST_CHECK status query_run(struct query *q, size_t *ret_changes, struct err *e);
/* Moves to the next row; false when there is none. */
MUST_CHECK status query_step(struct query *q, bool *ret_row, struct err *e);

void query_get_id(struct query *q, struct id *ret_id); /* NULL: zero */
void query_get_text(struct query *q, char *ret_text, size_t cap);
uint64_t query_get_number(struct query *q, uint64_t max);
void query_get_bytes(struct query *q, uint8_t *ret_bytes, size_t n); /* exactly n */
struct span query_get_span(struct query *q);                         /* lives until the next step */
struct span query_get_view(struct query *q); /* lives until the next call on the store */

/* To be called after the columns of a row: CORRUPT if one had a form we never write. */
MUST_CHECK status query_end(const struct query *q, struct err *e);

/* Refuses temporary files; forbids everything that the current phase does not need. */
MUST_CHECK status guard_register(struct err *e);
MUST_CHECK status guard_connection(struct store *s, struct err *e);
/* Temporary files that were asked for (and refused) so far in this process. */
unsigned guard_refused_files(void);
#define GUARD_VFS "strongroom"

/* The pragmas this module relies on, set and read back; the key is set in between. */
MUST_CHECK status setting_apply_before_key(struct store *s, struct err *e);
MUST_CHECK status setting_apply_before_read(struct store *s, struct err *e);
MUST_CHECK status setting_apply_after_read(struct store *s, struct err *e);
MUST_CHECK status setting_apply_for_copy(struct store *s, struct err *e);
/* Makes SQLite spill a sort and a table and sees that no file is wanted for it. */
MUST_CHECK status setting_prove_no_temporary_file(struct store *s, struct err *e);

/* Opens an existing file as a database to work with, or an empty one to be written by a backup. */
MUST_CHECK status open_database(const char *path, const struct secret *key,
                                struct store **ret_store, struct err *e);
MUST_CHECK status open_copy(const char *path, const struct secret *key, struct store **ret_store,
                            struct err *e);
/* Closes the connection as it is. */
void open_free(struct store *s);

/* Removes what a change of the key left beside the database. */
MUST_CHECK status rekey_remove_rest(struct store *s, struct err *e);

/* Files. Creating (what exists is fine), removing (what does not is fine) and exchanging are
 * durable on return. */
MUST_CHECK status file_name(const char *base, const char *suffix, char ret_path[PATH_MAX],
                            struct err *e);
MUST_CHECK status file_create(const char *path, struct err *e);
MUST_CHECK status file_remove(const char *path, struct err *e);
MUST_CHECK status file_exchange(const char *a, const char *b, struct err *e);
MUST_CHECK status file_sync_directory(const char *path, struct err *e);
/* Overwrites up to the last `bytes` of a file and cuts them off; removes it when *ret_left is 0. */
MUST_CHECK status file_erase(const char *path, uint64_t bytes, uint64_t *ret_left, struct err *e);
/* LIMIT: the disk of path has less than `bytes` free. */
MUST_CHECK status file_check_room(const char *path, uint64_t bytes, struct err *e);

/* Before anything is asked of SQLite: the connection is this thread's, and what the transaction has
 * only noted so far is done. changes: SQLite's transaction is open as well. */
MUST_CHECK status transaction_take(struct store *s, bool changes, struct err *e);
/* Commits with this generation of the tail. */
MUST_CHECK status transaction_settle(struct store *s, struct span generation, struct err *e);
/* Checkpoint without waiting, when the WAL has grown enough. */
MUST_CHECK status transaction_shrink_wal(struct store *s, struct err *e);

#endif
