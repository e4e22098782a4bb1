/* A store in a directory of its own, and rows to put in it. */
#ifndef TEST_STORE_RIG_H
#define TEST_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/db.h"
#include "store/store.h"

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define assert_ok(expr)   assert_int_equal((expr), OK)
#define assert_status     assert_int_equal
#define CREATED_US        ((uint64_t)1700000000000000)
#define RIG_KEY_TEXT_SIZE (2 + 64 + 1 + 1)

struct rig {
    char dir[64];
    struct secret *key;
    struct store *s;
    struct err e;
};

static inline struct id id_of(unsigned n)
{
    struct id id = { .b = { 0xa5 } };

    id.b[13] = (uint8_t)(n >> 16);
    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

static inline struct secret *rig_key(uint8_t fill)
{
    struct secret *key = NULL;

    assert_ok(secret_new(32, &key, NULL));
    memset(secret_fill(key).p, fill, 32);
    return key;
}

static inline void rig_open(struct rig *r)
{
    r->e = (struct err){ 0 };
    assert_ok(store_open(r->dir, r->key, &r->s, &r->e));
}

static inline void rig_reopen(struct rig *r)
{
    store_cleanup(&r->s);
    rig_open(r);
}

static inline int rig_slab(void **state)
{
    (void)state;
    assert_ok(secret_start((size_t)64 * 1024, NULL));
    return 0;
}

static inline int rig_setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    (void)snprintf(r->dir, sizeof(r->dir), "/tmp/strongroom-store-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->key = rig_key(0x42);
    rig_open(r);
    *state = r;
    return 0;
}

static inline void rig_path(const struct rig *r, const char *suffix, char *ret_path, size_t cap)
{
    (void)snprintf(ret_path, cap, "%s/strongroom.db%s", r->dir, suffix);
}

static inline void rig_remove_files(const struct rig *r)
{
    static const char *const suffixes[] = { "",         "-wal",  "-shm",     "-tail",
                                            "-journal", ".next", ".next-wal" };
    char path[128];

    for (size_t i = 0; i < COUNT(suffixes); i++) {
        rig_path(r, suffixes[i], path, sizeof(path));
        (void)unlink(path);
    }
}

static inline int rig_teardown(void **state)
{
    struct rig *r = *state;

    store_cleanup(&r->s);
    secret_free(r->key);
    rig_remove_files(r);
    assert_int_equal(rmdir(r->dir), 0); /* nothing else was ever left there */
    free(r);
    return 0;
}

/* -1 if there is no such file. */
static inline long long rig_file_size(const struct rig *r, const char *suffix)
{
    struct stat info;
    char path[128];

    rig_path(r, suffix, path, sizeof(path));
    return stat(path, &info) == 0 ? (long long)info.st_size : -1;
}

/* The whole file; the caller frees it. */
static inline uint8_t *rig_read_file(const struct rig *r, const char *suffix, size_t *ret_size)
{
    long long size = rig_file_size(r, suffix);
    uint8_t *bytes = NULL;
    FILE *file = NULL;
    char path[128];

    assert_true(size >= 0);
    bytes = malloc((size_t)size + 1);
    rig_path(r, suffix, path, sizeof(path));
    file = fopen(path, "rb");
    assert_non_null(bytes);
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    (void)fclose(file);
    *ret_size = (size_t)size;
    return bytes;
}

/* Runs SQL on the closed database, past the store: what a tampered or a newer one looks like. */
static inline void rig_tamper(const struct rig *r, const char *sql)
{
    char key[RIG_KEY_TEXT_SIZE] = "x'";
    char path[128];
    sqlite3 *db = NULL;

    rig_path(r, "", path, sizeof(path));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    hex_format(secret_view(r->key), key + 2);
    key[66] = '\'';
    assert_int_equal(sqlite3_key_v2(db, "main", key, 67), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline void rig_begin(struct rig *r)
{
    r->e = (struct err){ 0 };
    assert_ok(store_begin(r->s, &r->e));
}

static inline void rig_commit(struct rig *r)
{
    assert_ok(store_commit(r->s, &r->e));
}

/* Rows. They belong to each other by number: tenant 1 has engagement 101 and key 1001. */
static inline struct store_tenant tenant_of(unsigned n, const char *name)
{
    struct store_tenant t = { .id = id_of(n), .region = "eu-central", .created_us = CREATED_US };

    (void)snprintf(t.name, sizeof(t.name), "%s", name);
    return t;
}

static inline struct store_engagement engagement_of(unsigned n, unsigned tenant, const char *name)
{
    struct store_engagement g = { .id = id_of(n),
                                  .tenant = id_of(tenant),
                                  .state = ENGAGEMENT_ACTIVE,
                                  .started_us = CREATED_US };

    (void)snprintf(g.name, sizeof(g.name), "%s", name);
    return g;
}

static inline struct store_key key_of(unsigned n, unsigned tenant, unsigned engagement,
                                      const char *name)
{
    struct store_key k = { .id = id_of(n),
                           .tenant = id_of(tenant),
                           .engagement = id_of(engagement),
                           .provider = 7,
                           .state = KEY_ACTIVE,
                           .version = 1,
                           .scope = 1,
                           .class = 2,
                           .created_us = CREATED_US };

    (void)snprintf(k.name, sizeof(k.name), "%s", name);
    return k;
}

static inline struct store_version version_of(unsigned key, unsigned tenant, uint32_t version,
                                              const char *sealed)
{
    return (struct store_version){ .tenant = id_of(tenant),
                                   .key = id_of(key),
                                   .version = version,
                                   .state = VERSION_CURRENT,
                                   .hint = "sk-...a1b2",
                                   .created_us = CREATED_US,
                                   .sealed = span_text(sealed) };
}

/* Tenants 1 "acme" and 2 "bolt", each with an engagement "audit" (101, 102) and a key "openai"
 * (1001, 1002) in its first version, all committed. */
static inline void rig_fill(struct rig *r)
{
    static const char *const names[] = { "acme", "bolt" };
    static const char *const sealed[] = { "sealed for acme", "sealed for bolt" };

    rig_begin(r);
    for (unsigned n = 1; n <= 2; n++) {
        struct store_tenant t = tenant_of(n, names[n - 1]);
        struct store_engagement g = engagement_of(100 + n, n, "audit");
        struct store_key k = key_of(1000 + n, n, 100 + n, "openai");
        struct store_version v = version_of(1000 + n, n, 1, sealed[n - 1]);

        assert_ok(store_tenant_add(r->s, &t, &r->e));
        assert_ok(store_engagement_add(r->s, &g, &r->e));
        assert_ok(store_key_add(r->s, &k, &r->e));
        assert_ok(store_version_add(r->s, &v, &r->e));
    }
    rig_commit(r);
}

static inline struct store_record record_of(unsigned log, uint64_t seq, const char *line)
{
    struct store_record r = { .log = id_of(log),
                              .seq = seq,
                              .time_us = CREATED_US + seq,
                              .type = 300,
                              .line = span_text(line) };

    memset(r.mac, 0x33, sizeof(r.mac));
    return r;
}

#define sentence(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

#endif
