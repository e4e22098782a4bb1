/*
 * Another key for the database while the vault works, and opening when that was interrupted.
 *
 * The encrypted copy dir/strongroom.db.next grows in slices, between the transactions of the same
 * thread; what is committed meanwhile is carried over. finish puts it in the place of
 * dir/strongroom.db in one step. Whenever the process dies, dir/strongroom.db is complete, with
 * every committed row, under one key or the other: open it with store_open_either. In order:
 *
 *     begin, step until nothing is left, finish, erase until nothing is left
 *
 * What was the database is then dir/strongroom.db.next, under the old key. It is overwritten in
 * place and removed. On a file system that writes in place, on a disk that does so too, the old
 * pages are gone then; a copying file system, a snapshot, an SSD's spare blocks, the WAL and
 * backups may still hold them. A file system that cannot exchange two files removes the old one
 * without overwriting. Who has the old key and finds such a rest reads what was in it: a new key
 * protects what is written later.
 */
#ifndef STORE_REKEY_H
#define STORE_REKEY_H

#include "base/status.h"
#include "secret/secret.h"

struct store;

/*
 * Begins a copy of the open database under new_key (32 bytes, not kept). Whatever an interrupted
 * one left is removed first. CONFLICT if one is under way; LIMIT if the disk has no room for the
 * copy and some for the work meanwhile; BUG inside a transaction; IO. On failure nothing is left
 * and the store goes on.
 */
MUST_CHECK status store_rekey_begin(struct store *s, const struct secret *new_key, struct err *e);

/*
 * Copies up to `pages` pages of 4096 bytes and makes them durable. *ret_left: pages still to do
 * (0: ready to finish; more after further commits), *ret_total: of how many.
 * LIMIT: no room on the disk. That and every other failure gives the copy up and removes it; the
 * store goes on. BUG inside a transaction or without a copy under way: nothing happens.
 */
MUST_CHECK status store_rekey_step(struct store *s, unsigned pages, uint32_t *ret_left,
                                   uint32_t *ret_total, struct err *e);

/*
 * Copies the rest, proves that the copy opens with new_key, and swaps: *s becomes the database
 * under the new key, durably; its counters go on. All views and the old *s are gone.
 * CORRUPT: a page is damaged, or new_key is not the one that the copy was begun with: it is given
 * up. LIMIT as for step, or a callback of the store is running. BUG inside a transaction or without
 * a copy under way. After these *s goes on. IO is final: *s can only be closed, and either key may
 * be the one that opens the database.
 */
MUST_CHECK status store_rekey_finish(struct store **s, const struct secret *new_key, struct err *e);

/* Gives up what was begun and removes the copy. Nothing under way is fine; store_close does it. */
void store_rekey_abandon(struct store *s);

/*
 * Overwrites up to `pages` pages of what was the database, durably, and removes the file with the
 * last. *ret_left: pages still to do, 0 if there is no such file. Opening and beginning do all of
 * it at once. CONFLICT while a copy is under way; IO: it cannot be removed; the store goes on.
 */
MUST_CHECK status store_rekey_erase(struct store *s, unsigned pages, uint32_t *ret_left,
                                    struct err *e);

/*
 * As store_open; with next_key not NULL it also accepts a database that was swapped already.
 * *ret_next: it was next_key that opened it. Once it is open, an unfinished copy or an old database
 * beside it is removed. CORRUPT: neither key opens it; nothing was changed or removed.
 */
MUST_CHECK status store_open_either(const char *dir, const struct secret *key,
                                    const struct secret *next_key, struct store **ret_store,
                                    bool *ret_next, struct err *e);

#endif
