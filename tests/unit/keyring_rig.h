/* What the keyring tests share: a directory, a key, cells and slots with known content. */
#ifndef KEYRING_RIG_H
#define KEYRING_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyring/journal.h"
#include "keyring/keyring.h"

#define RIG_CELLS_AT  ((size_t)8192 + (LIMIT_SLOTS + 2) * SLOT_SIZE)
#define RIG_SLOTS_AT  ((size_t)8192)
#define RIG_PATH_SIZE 128

struct rig {
    char dir[64];
    char file[RIG_PATH_SIZE];
    struct secret *key;
    struct keyring *k;
    struct err e;
};

/* base's fail() hides cmocka's, hence _fail. */
#define assert_status(got, want)                                                 \
    do {                                                                         \
        status rig_st = (got);                                                   \
        if (rig_st != (want)) {                                                  \
            print_error("%s, not %s\n", status_name(rig_st), status_name(want)); \
            _fail(__FILE__, __LINE__);                                           \
        }                                                                        \
    } while (0)

/* As above, but says why. */
#define assert_ok(got, e)                                                                 \
    do {                                                                                  \
        if ((got) != OK) {                                                                \
            print_error("%s: %s (%lld)\n", (e)->where, (e)->why, (long long)(e)->detail); \
            _fail(__FILE__, __LINE__);                                                    \
        }                                                                                 \
    } while (0)

static inline void rig_dir_make(char dir[64])
{
    snprintf(dir, 64, "%s/keyring-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static inline void rig_dir_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL)
        unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
    rmdir(dir);
}

static inline struct id rig_id(uint32_t n)
{
    struct id id = { { 0 } };

    for (size_t i = 0; i < sizeof(id.b); i++)
        id.b[i] = (uint8_t)(n >> (8 * (i % 4)) ^ i * 37);
    return id;
}

/* A value that can be looked for in the file: no two of (n, salt) share eight bytes. */
static inline void rig_value(uint32_t n, uint32_t salt, uint8_t out[SEALED_KEY_SIZE])
{
    uint64_t x = ((uint64_t)salt << 32 | n) * UINT64_C(0x9E3779B97F4A7C15) + 1;

    for (size_t i = 0; i < SEALED_KEY_SIZE; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 24);
    }
}

static inline struct cell rig_cell(uint8_t type, uint32_t n, uint32_t salt)
{
    struct cell cell = { .type = type,
                         .epoch = 1,
                         .id = rig_id(n),
                         .parent = rig_id(n % 7 + 900000),
                         .engagement = rig_id(n % 5 + 800000),
                         .version = 1,
                         .created_us = 1000 + salt };

    if (type == CELL_ENGAGEMENT || type == CELL_REKEY)
        cell.due_us = salt;
    else
        rig_value(n, salt, cell.sealed);
    return cell;
}

static inline struct slot rig_slot(uint32_t n, uint32_t generation)
{
    struct slot s = { .kind = SLOT_FIDO2,
                      .user_verification = 1,
                      .x = (uint8_t)(n % 255 + 1),
                      .generation = generation,
                      .epoch = 1,
                      .id = rig_id(n),
                      .label = "operator",
                      .credential_id_length = 64,
                      .created_us = 5 };

    for (size_t i = 0; i < 64; i++)
        s.credential_id[i] = (uint8_t)(n + i);
    rig_value(n, 7000 + generation, s.sealed_private);
    for (size_t i = 0; i < sizeof(s.sealed_share); i++)
        s.sealed_share[i] = (uint8_t)(i * 3 + generation);
    return s;
}

static inline struct keyring_info rig_info(void)
{
    struct keyring_info info = { .vault = rig_id(1), .region = "eu", .epoch = 1, .k = 1, .n = 2 };

    info.root_check[0] = 77;
    info.created_us = 12;
    return info;
}

static inline struct secret *rig_key(uint8_t fill)
{
    uint8_t bytes[KEY_SIZE];
    struct secret *key = NULL;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(fill + i);
    assert_status(secret_copy(SPAN(bytes), &key, NULL), OK);
    return key;
}

static inline void rig_make(struct rig *r, size_t slot_count, size_t cell_count)
{
    struct keyring_info info = rig_info();
    struct slot *slots = calloc(slot_count + 1, sizeof(*slots));
    struct cell *cells = calloc(cell_count + 1, sizeof(*cells));

    *r = (struct rig){ .k = NULL };
    rig_dir_make(r->dir);
    snprintf(r->file, sizeof(r->file), "%s/keyring", r->dir);
    r->key = rig_key(1);
    assert_non_null(slots);
    assert_non_null(cells);
    for (size_t i = 0; i < slot_count; i++)
        slots[i] = rig_slot((uint32_t)i + 1, 1);
    for (size_t i = 0; i < cell_count; i++)
        cells[i] = rig_cell(CELL_DATA_KEY, (uint32_t)i + 1, 1);
    assert_ok(keyring_create(r->dir, false, &info, slots, slot_count, cells, cell_count, r->key,
                             &r->k, &r->e),
              &r->e);
    free(slots);
    free(cells);
}

static inline void rig_shut(struct rig *r)
{
    keyring_close(r->k);
    r->k = NULL;
}

static inline void rig_reopen_locked(struct rig *r)
{
    rig_shut(r);
    assert_ok(keyring_open(r->dir, false, &r->k, &r->e), &r->e);
}

static inline void rig_reopen(struct rig *r)
{
    rig_reopen_locked(r);
    assert_ok(keyring_authenticate(r->k, r->key, &r->e), &r->e);
}

static inline void rig_end(struct rig *r)
{
    rig_shut(r);
    secret_free(r->key);
    rig_dir_remove(r->dir);
}

static inline void rig_put(struct rig *r, uint8_t type, uint32_t n, uint32_t salt)
{
    struct cell cell = rig_cell(type, n, salt);

    assert_ok(keyring_put(r->k, &cell, &r->e), &r->e);
}

static inline void rig_destroy(struct rig *r, uint8_t type, uint32_t n, uint8_t reason)
{
    struct id id = rig_id(n);

    assert_ok(keyring_destroy(r->k, type, &id, 1, reason, 77, &r->e), &r->e);
}

static inline void rig_commit(struct rig *r)
{
    assert_ok(keyring_commit(r->k, &r->e), &r->e);
}

/* 0: not there; else the salt of the value that is there, and all else as it was put. */
static inline uint32_t rig_salt(struct keyring *k, uint8_t type, uint32_t n)
{
    struct id id = rig_id(n);
    struct cell got, want;
    status st = keyring_cell(k, type, &id, 1, &got, NULL);

    if (st == NOT_FOUND)
        return 0;
    assert_status(st, OK);
    want = rig_cell(type, n, (uint32_t)(got.created_us - 1000));
    assert_memory_equal(got.sealed, want.sealed, sizeof(got.sealed));
    assert_true(id_same(&got.id, &want.id) && id_same(&got.parent, &want.parent) &&
                id_same(&got.engagement, &want.engagement));
    assert_true(got.type == type && got.version == 1 && got.epoch == 1);
    assert_true(got.due_us == want.due_us);
    return (uint32_t)(got.created_us - 1000);
}

static inline uint8_t *rig_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *bytes;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *ret_n = (size_t)st.st_size;
    bytes = malloc(*ret_n + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *ret_n, f), *ret_n);
    fclose(f);
    return bytes;
}

static inline void rig_file_write(const char *path, const uint8_t *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

/* Whether any group of eight bytes of what stands in the file. */
static inline bool rig_file_has(const char *path, const uint8_t *what, size_t n)
{
    size_t size;
    uint8_t *bytes = rig_file(path, &size);
    bool found = false;

    for (size_t i = 0; !found && i + 8 <= n; i += 8)
        found = memmem(bytes, size, what + i, 8) != NULL;
    free(bytes);
    return found;
}

/* Where in the file a value stands: the start of its cell. */
static inline size_t rig_cell_at(const char *path, uint32_t n, uint32_t salt)
{
    uint8_t value[SEALED_KEY_SIZE], *bytes, *p;
    size_t size, at;

    rig_value(n, salt, value);
    bytes = rig_file(path, &size);
    p = memmem(bytes, size, value, sizeof(value));
    assert_non_null(p);
    at = (size_t)(p - bytes) - 88;
    free(bytes);
    return at;
}

static inline int rig_start(void **state)
{
    (void)state;
    return secret_start((size_t)1024 * 1024, NULL) == OK ? 0 : -1;
}

#endif
