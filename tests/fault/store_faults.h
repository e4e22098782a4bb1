/*
 * A file system below the store's that fails on demand: the n-th operation that changes a file, or
 * all from there on.
 */
#ifndef STORE_FAULTS_H
#define STORE_FAULTS_H

#include <limits.h>
#include <signal.h>

#include "unit/test_store_rig.h"

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* follows in the same memory */
    bool counts;
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    long first; /* operation to fail, counted from 1; 0: none */
    long last;
    long operations;
    int code;
    const char *only; /* of files with this in the name; NULL: of all */
} faulty;

#define FAULT_KILL (-1) /* a code for fail_from: the process dies of it */

static bool fails_now(void)
{
    faulty.operations++;
    if (faulty.code == FAULT_KILL && faulty.operations == faulty.first)
        (void)raise(SIGKILL);
    return faulty.operations >= faulty.first && faulty.operations <= faulty.last;
}

static void fail_never(void)
{
    faulty.first = faulty.last = faulty.operations = 0;
    faulty.code = SQLITE_OK;
}

/* A disk that breaks. */
static void fail_from(long operation, int code)
{
    faulty.operations = 0;
    faulty.first = operation;
    faulty.last = LONG_MAX;
    faulty.code = code;
}

/* A disk that works again at once, which must not tempt anyone to try again. */
static void fail_once(long operation, int code)
{
    fail_from(operation, code);
    faulty.last = operation;
}

static bool failed(void)
{
    return faulty.first != 0 && faulty.operations >= faulty.first;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static bool file_fails_now(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->counts && fails_now();
}

static int faulty_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xClose(real);
}

static int faulty_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), to, n, at);
}

/* A write that fails has written half: what a power cut or a full disk leaves. */
static int faulty_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);

    if (!file_fails_now(file))
        return real->pMethods->xWrite(real, from, n, at);
    (void)real->pMethods->xWrite(real, from, n / 2, at);
    return faulty.code;
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (file_fails_now(file))
        return SQLITE_IOERR_TRUNCATE;
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    if (file_fails_now(file))
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int faulty_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int faulty_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int faulty_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int faulty_reserved(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int faulty_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int faulty_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int faulty_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: no shared memory, which an exclusive lock does without. */
static const sqlite3_io_methods faulty_methods = {
    .iVersion = 1,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_traits,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *ret_flags)
{
    struct faulty_file *f = (struct faulty_file *)file;
    int code;

    (void)vfs;
    f->counts = faulty.only == NULL || (name != NULL && strstr(name, faulty.only) != NULL);
    f->real = (sqlite3_file *)(f + 1);
    code = faulty.real->xOpen(faulty.real, name, f->real, flags, ret_flags);
    file->pMethods = code == SQLITE_OK ? &faulty_methods : NULL;
    return code;
}

static int faulty_register(void **state)
{
    faulty.real = sqlite3_vfs_find(NULL);
    assert_non_null(faulty.real);
    faulty.vfs = *faulty.real;
    faulty.vfs.pNext = NULL;
    faulty.vfs.zName = "faulty";
    faulty.vfs.szOsFile += (int)sizeof(struct faulty_file);
    faulty.vfs.xOpen = faulty_open;
    assert_int_equal(sqlite3_vfs_register(&faulty.vfs, 1), SQLITE_OK);
    return rig_slab(state);
}

#endif
