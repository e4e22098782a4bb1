/*
 * The database: everything that is not a key. One SQLCipher file, WAL, opened at unlock with a raw
 * key. All SQL lives here; nothing of SQLite crosses this interface, so that another engine can
 * stand behind it. Functions that touch tenant data take the tenant. Provider keys are stored
 * sealed and bound to (vault, tenant, key, version): a row read by mistake does not open.
 *
 * One thread. Changes happen between store_begin and store_commit, anywhere else they are BUG; a
 * failed commit is IO and final: the process must end and be restarted from what is on disk.
 *
 * Strings in results are copied into fixed arrays; spans are views that die with the next call on
 * the store. A result is untouched on failure (of a list: the count). Strings and numbers are
 * expected to be valid (name_valid, at most 2^63 - 1): anything else is BUG.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/bytes.h"
#include "base/status.h"
#include "secret/secret.h"
#include "store/access.h"
#include "store/checkpoint.h"
#include "store/compat.h"
#include "store/key.h"
#include "store/person.h"
#include "store/policy.h"
#include "store/record.h"
#include "store/rekey.h"
#include "store/report.h"
#include "store/retention.h"
#include "store/tenant.h"
#include "store/usage.h"

/* What was committed since the store was opened. */
struct store_counters {
    uint64_t commits;
    uint64_t records;
};

/*
 * Opens dir/strongroom.db (created if missing) with the raw 32-byte key and brings its schema up to
 * date: numbered migrations, checksummed, each in a transaction, never edited after release.
 * Asserts the settings it depends on (SQLCipher >= 4.5, WAL, synchronous FULL, temp_store MEMORY
 * proven by making it spill, secure_delete, foreign keys, defensive, authorizer). Temporary files
 * are refused as long as the process lives. Removes what an interrupted change of the key left.
 * CORRUPT: wrong key, damaged file, a migration whose checksum differs or a schema newer than this
 * program. CONFLICT: the database is open already, here or in another process. BUG: the library
 * lacks a required setting. IO. An empty file opens with any key: the caller knows by the facts
 * whether it should be empty.
 */
MUST_CHECK status store_open(const char *dir, const struct secret *key, struct store **ret_store,
                             struct err *e);
/* Whether dir holds a database, whoever's it is. */
bool store_exists(const char *dir);
/* Rolls back what is open and checkpoints the WAL with TRUNCATE first. NULL is fine. */
void store_close(struct store *s);
void store_cleanup(struct store **s);

/* BUG inside a transaction. */
MUST_CHECK status store_begin(struct store *s, struct err *e);
/* The same for one that will, as far as is known, only append to logs (store_record_add and what
 * goes with it). Until it asks for something else it uses no database: another thread brings that
 * up to date behind store_append, and finds out then what does not fit, which is final: it is not
 * for records that may be there already. */
MUST_CHECK status store_begin_append(struct store *s, struct err *e);
/* BUG outside a transaction or with an open savepoint. IO: final, everything else fails from now
 * on; all of the transaction or nothing of it is there after a restart. */
MUST_CHECK status store_commit(struct store *s, struct err *e);
/* The same for a transaction that, as far as it goes, only appends to logs: what it did is durable
 * on return, in a file beside the database from which the next store_open takes it. Others are
 * committed as by store_commit, which also takes along what was committed so before. */
MUST_CHECK status store_commit_append(struct store *s, struct err *e);
/* The same in two halves, between which the next transaction may begin. *ret_unsynced: what it did
 * is written and not durable before store_sync, or before any store_commit, returns. */
MUST_CHECK status store_append(struct store *s, bool *ret_unsynced, struct err *e);
/* On any thread, beside anything but store_close. IO: final; who called it sees to that. */
MUST_CHECK status store_sync(struct store *s, struct err *e);
/* Takes it into the database now; nothing to do is fine. IO: final. */
MUST_CHECK status store_settle(struct store *s, struct err *e);
void store_rollback(struct store *s);

/* A savepoint: mark, then keep or undo. They do not nest: BUG. A failed undo is final as well. */
MUST_CHECK status store_mark(struct store *s, struct err *e);
MUST_CHECK status store_keep(struct store *s, struct err *e);
MUST_CHECK status store_undo(struct store *s, struct err *e);

/* Empties the WAL into the database and truncates it. BUG inside a transaction; LIMIT if a callback
 * of the store is running; IO is final. */
MUST_CHECK status store_checkpoint(struct store *s, struct err *e);
const struct store_counters *store_counters(const struct store *s);

/* Vault facts as name and value (vault id, schema-independent marks). get: NOT_FOUND. */
MUST_CHECK status store_fact_set(struct store *s, const char *name, struct span value,
                                 struct err *e);
MUST_CHECK status store_fact(struct store *s, const char *name, struct span *ret_value,
                             struct err *e);

#endif
