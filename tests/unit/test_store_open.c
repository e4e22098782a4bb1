/* Opening the database: keys, settings, migrations, and what its files may show. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "store/migration.h"
#include "unit/test_store_rig.h"

static void a_wrong_key_is_corrupt_and_changes_nothing(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *wrong = rig_key(0x43);
    struct store *s = NULL;
    size_t before_size, after_size;
    uint8_t *before = NULL;
    uint8_t *after = NULL;

    rig_fill(r);
    store_cleanup(&r->s);
    before = rig_read_file(r, "", &before_size);
    assert_status(store_open(r->dir, wrong, &s, &r->e), CORRUPT);
    assert_null(s);
    assert_int_equal(r->e.detail, SQLITE_NOTADB);
    after = rig_read_file(r, "", &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
    rig_open(r);
}

/* A crash leaves a WAL; opening it with a wrong key must not write it into the database. */
static void a_wrong_key_leaves_the_wal_of_a_crash_alone(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *wrong = rig_key(0x43);
    struct store *s = NULL;
    struct store_tenant t;
    long long size;
    int result;
    pid_t child;

    store_cleanup(&r->s);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (secret_start((size_t)64 * 1024, NULL) != OK)
            _exit(1);
        r->key = rig_key(0x42);
        rig_open(r);
        rig_fill(r);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    size = rig_file_size(r, "-wal");
    assert_true(size > 4096);
    assert_status(store_open(r->dir, wrong, &s, &r->e), CORRUPT);
    assert_int_equal(rig_file_size(r, "-wal"), size);
    rig_open(r);
    assert_ok(store_tenant(r->s, "acme", &t, &r->e));
}

static void a_key_that_is_not_32_bytes_is_refused(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *shorter = NULL;
    struct store *s = NULL;

    assert_ok(secret_new(16, &shorter, NULL));
    assert_status(store_open(r->dir, shorter, &s, &r->e), BUG);
}

static void a_missing_directory_is_io_and_a_long_path_bad_input(void **state)
{
    struct rig *r = *state;
    struct store *s = NULL;
    char path[5000];

    assert_status(store_open("/nonexistent/strongroom", r->key, &s, &r->e), IO);
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    r->e = (struct err){ 0 };
    assert_status(store_open(path, r->key, &s, &r->e), BAD_INPUT);
    assert_null(s);
}

static void an_open_database_is_not_opened_twice(void **state)
{
    struct rig *r = *state;
    struct store *s = NULL;
    int result;
    pid_t child;

    assert_status(store_open(r->dir, r->key, &s, &r->e), CONFLICT);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct secret *key = NULL;

        if (secret_start((size_t)64 * 1024, NULL) != OK || secret_new(32, &key, NULL) != OK)
            _exit(1);
        memset(secret_fill(key).p, 0x42, 32);
        _exit(store_open(r->dir, key, &s, NULL) == CONFLICT ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    rig_fill(r);
}

static void a_database_cut_short_is_corrupt(void **state)
{
    struct rig *r = *state;
    struct store *s = NULL;
    char path[128];

    rig_fill(r);
    store_cleanup(&r->s);
    rig_path(r, "", path, sizeof(path));
    assert_int_equal(truncate(path, 1000), 0);
    assert_status(store_open(r->dir, r->key, &s, &r->e), CORRUPT);
    assert_int_equal(truncate(path, 0), 0);
    rig_open(r);
}

/* Every page but the first in turn would take long; the pages of the tables do. */
static void a_changed_byte_in_a_page_is_corrupt(void **state)
{
    struct rig *r = *state;
    unsigned found = 0;
    size_t size;
    uint8_t *bytes;
    char path[128];

    rig_fill(r);
    store_cleanup(&r->s);
    bytes = rig_read_file(r, "", &size);
    rig_path(r, "", path, sizeof(path));
    for (size_t page = 1; page < size / 4096; page++) {
        struct store_leasable l;
        int fd = open(path, O_RDWR);
        uint8_t other = bytes[page * 4096 + 200] ^ 1;

        assert_int_equal(pwrite(fd, &other, 1, (off_t)(page * 4096 + 200)), 1);
        (void)close(fd);
        r->e = (struct err){ 0 };
        if (store_open(r->dir, r->key, &r->s, &r->e) != OK ||
            store_leasable(r->s, "acme", "openai", &l, &r->e) != OK) {
            assert_status(r->e.code, CORRUPT);
            found++;
        }
        store_cleanup(&r->s);
        fd = open(path, O_RDWR);
        assert_int_equal(pwrite(fd, bytes + page * 4096, 4096, (off_t)(page * 4096)), 4096);
        (void)close(fd);
    }
    free(bytes);
    assert_true(found >= 5);
    rig_open(r);
}

static void an_edited_migration_is_corrupt(void **state)
{
    struct rig *r = *state;
    struct store *s = NULL;

    store_cleanup(&r->s);
    rig_tamper(r, "UPDATE migration SET sha256 = replace(hex(zeroblob(32)), '0', 'f')");
    assert_status(store_open(r->dir, r->key, &s, &r->e), CORRUPT);
    rig_remove_files(r);
    rig_open(r);
}

static void a_newer_schema_is_corrupt(void **state)
{
    struct rig *r = *state;
    struct store *s = NULL;

    store_cleanup(&r->s);
    rig_tamper(r, "INSERT INTO migration SELECT max(number) + 1, 'later', sha256 FROM migration");
    assert_status(store_open(r->dir, r->key, &s, &r->e), CORRUPT);
    assert_string_equal(r->e.why, "database is newer than this program");
}

static void a_missing_migration_is_corrupt(void **state)
{
    struct rig *r = *state;
    struct store *s = NULL;

    store_cleanup(&r->s);
    rig_tamper(r, "UPDATE migration SET number = number + 1000");
    assert_status(store_open(r->dir, r->key, &s, &r->e), CORRUPT);
}

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define MIGRATIONS_MAX 64

/* Those of the program, to which a test adds some. */
static void own_migrations(struct store_migration *list)
{
    assert_true(store_migration_count <= MIGRATIONS_MAX);
    memcpy(list, store_migrations, store_migration_count * sizeof *list);
}

static void a_failing_migration_leaves_nothing_of_itself(void **state)
{
    struct rig *r = *state;
    uint32_t n = (uint32_t)store_migration_count;
    struct store_migration list[MIGRATIONS_MAX + 2];

    own_migrations(list);
    list[n] = (struct store_migration){ n + 1, "9998_good", "CREATE TABLE two (x);", SUM };
    list[n + 1] =
        (struct store_migration){ n + 2, "9999_bad", "CREATE TABLE three (x); SELEC", SUM };
    r->s->phase = PHASE_MIGRATE;
    assert_status(migrate(r->s, list, n + 2, &r->e), BUG);
    assert_ok(db_run(r->s, "SELECT x FROM two", &r->e));
    assert_status(db_run(r->s, "SELECT x FROM three", NULL), BUG);
    r->e = (struct err){ 0 };
    list[n + 1].sql = "CREATE TABLE three (x);";
    assert_ok(migrate(r->s, list, n + 2, &r->e));
    assert_ok(migrate(r->s, list, n + 2, &r->e));
    assert_ok(db_run(r->s, "SELECT x FROM three", &r->e));
    assert_status(migrate(r->s, list, n + 1, &r->e), CORRUPT);
}

static void a_migration_may_not_end_its_transaction(void **state)
{
    struct rig *r = *state;
    uint32_t n = (uint32_t)store_migration_count;
    struct store_migration list[MIGRATIONS_MAX + 2];

    own_migrations(list);
    list[n] = (struct store_migration){ n + 1, "9999_ends", "COMMIT", SUM };
    r->s->phase = PHASE_MIGRATE;
    assert_status(migrate(r->s, list, n + 1, &r->e), BUG);
    assert_ok(migrate(r->s, list, n, NULL));
}

/* --- a database from before the indexes of records took another form ------------------------------ */

static const char older[] =
    "DROP INDEX record_event; CREATE INDEX record_event ON record (id, type) "
    "WHERE type IN (102, 201, 202, 304, 308, 401, 403, 405, 419);"
    "DROP INDEX record_operator; CREATE INDEX record_operator ON record (log, seq) "
    "WHERE type IN (1, 10, 13, 14, 17);"
    "DELETE FROM migration WHERE number >= 10;";

/* Types as they come, three decimal digits each in one number. */
static bool note_type(void *context, const struct store_record *record)
{
    uint64_t *types = context;

    *types = *types * 1000 + record->type;
    return true;
}

static void add_records(struct rig *r, uint64_t from)
{
    static const uint16_t types[] = { 1, 10, 102, 300, 308 };

    rig_begin(r);
    for (uint64_t i = 0; i < COUNT(types); i++) {
        struct store_record record = { .seq = from + i, .time_us = 1000 + i, .type = types[i] };

        record.line = span_text("{\"a\":\"record\"}");
        assert_ok(store_record_add(r->s, &record, &r->e));
    }
    rig_commit(r);
}

static void records_of_an_older_database_are_found_by_its_new_indexes(void **state)
{
    struct rig *r = *state;
    uint64_t operators = 0, events = 0, acknowledgements = 0;

    add_records(r, 0);
    store_cleanup(&r->s);
    rig_tamper(r, older);
    rig_open(r);
    add_records(r, 5);
    assert_ok(store_operator_records(r->s, 0, note_type, &operators, &r->e));
    assert_int_equal(operators, 1010001010);
    assert_ok(store_event_records(r->s, 0, 10, note_type, &events, &r->e));
    assert_int_equal(events, 102102);
    assert_ok(store_acknowledgements(r->s, 0, note_type, &acknowledgements, &r->e));
    assert_int_equal(acknowledgements, 308308);
    rig_reopen(r);
    operators = 0;
    assert_ok(store_operator_records(r->s, 2, note_type, &operators, &r->e));
    assert_int_equal(operators, 1010);
}

static int note_text(void *context, int columns, char **values, char **names)
{
    (void)columns;
    (void)names;
    (void)snprintf(context, 32, "%s", values[0] != NULL ? values[0] : "");
    return 0;
}

static void every_setting_holds_while_serving(void **state)
{
    static const char *const settings[][2] = {
        { "PRAGMA journal_mode", "wal" },       { "PRAGMA synchronous", "2" },
        { "PRAGMA temp_store", "2" },           { "PRAGMA secure_delete", "1" },
        { "PRAGMA foreign_keys", "1" },         { "PRAGMA trusted_schema", "0" },
        { "PRAGMA cell_size_check", "1" },      { "PRAGMA mmap_size", "0" },
        { "PRAGMA cipher_page_size", "4096" },  { "PRAGMA busy_timeout", "0" },
        { "PRAGMA locking_mode", "exclusive" },
    };
    struct rig *r = *state;

    r->s->phase = PHASE_SETUP; /* pragmas are forbidden otherwise */
    for (size_t i = 0; i < COUNT(settings); i++) {
        char text[32] = "";

        assert_int_equal(sqlite3_exec(r->s->db, settings[i][0], note_text, text, NULL), SQLITE_OK);
        assert_string_equal(text, settings[i][1]);
    }
    r->s->phase = PHASE_SERVE;
}

static void only_rows_can_be_read_and_changed_while_serving(void **state)
{
    static const char *const forbidden[] = {
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "SELECT load_extension('x')",
        "SELECT sqlcipher_export('main')",
        "SELECT randomblob(8)",
        "PRAGMA temp_store = FILE",
        "PRAGMA rekey = 'x'",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM sqlite_master",
        "UPDATE sqlite_master SET sql = ''",
        "DELETE FROM sqlite_master",
        "DELETE FROM migration",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER tr AFTER INSERT ON tenant BEGIN SELECT 1; END",
        "DROP TABLE record",
        "ALTER TABLE record ADD COLUMN x",
        "VACUUM",
        "VACUUM INTO '/tmp/copy'",
        "REINDEX",
        "ANALYZE",
    };
    struct rig *r = *state;

    for (size_t i = 0; i < COUNT(forbidden); i++)
        assert_int_not_equal(sqlite3_exec(r->s->db, forbidden[i], NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(r->s->db, "SELECT name FROM tenant", NULL, NULL, NULL),
                     SQLITE_OK);
}

static void attaching_is_forbidden_in_every_phase(void **state)
{
    struct rig *r = *state;

    for (int phase = PHASE_SETUP; phase <= PHASE_SERVE; phase++) {
        r->s->phase = (enum phase)phase;
        assert_status(db_run(r->s, "ATTACH ':memory:' AS other", NULL), BUG);
        assert_status(db_run(r->s, "SELECT load_extension('x')", NULL), BUG);
    }
}

static void nothing_is_spilled_to_a_file(void **state)
{
    static const char big[] =
        "PRAGMA cache_size = 10;"
        "CREATE TEMP TABLE big AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 20000) SELECT hex(randomblob(200)) AS x FROM n;"
        "CREATE INDEX temp.big_x ON big (x); SELECT x, count(*) FROM big GROUP BY x ORDER BY 2, 1";
    struct rig *r = *state;
    unsigned before = guard_refused_files();
    char private_dir[] = "/tmp/strongroom-spill-XXXXXX";

    assert_non_null(mkdtemp(private_dir));
    assert_int_equal(setenv("SQLITE_TMPDIR", private_dir, 1), 0);
    r->s->phase = PHASE_SETUP;
    assert_ok(db_run(r->s, big, &r->e));
    assert_int_equal(guard_refused_files(), before);
    assert_int_equal(rmdir(private_dir), 0); /* empty */
    (void)unsetenv("SQLITE_TMPDIR");
}

/* The proof at start would be worthless if it could not fail. */
static void a_library_that_wants_temporary_files_is_found_out(void **state)
{
    struct rig *r = *state;
    unsigned before = guard_refused_files();

    r->s->phase = PHASE_SETUP;
    assert_ok(db_run(r->s, "PRAGMA temp_store = FILE", &r->e));
    assert_status(setting_prove_no_temporary_file(r->s, &r->e), BUG);
    assert_string_equal(r->e.why, "SQLCipher would write temporary files");
    assert_true(guard_refused_files() > before);
}

static bool contains(const uint8_t *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

static void no_file_shows_a_name(void **state)
{
    static const char *const words[] = { "acme",         "openai",     "SQLite format",
                                         "CREATE TABLE", "sealed for", "leased by nobody" };
    static const char *const files[] = { "", "-wal" };
    struct rig *r = *state;
    struct store_record line = record_of(1, 0, "leased by nobody");

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_record_add(r->s, &line, &r->e));
    rig_commit(r);
    for (size_t i = 0; i < COUNT(files); i++) {
        size_t size;
        uint8_t *bytes = rig_read_file(r, files[i], &size);

        assert_true(size >= 4096);
        for (size_t w = 0; w < COUNT(words); w++)
            assert_false(contains(bytes, size, words[w]));
        free(bytes);
    }
}

static void the_files_are_for_the_owner_alone_and_few(void **state)
{
    struct rig *r = *state;
    struct dirent *entry = NULL;
    unsigned files = 0;
    DIR *dir = opendir(r->dir);

    rig_fill(r);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct stat info;
        char path[512];

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", r->dir, entry->d_name);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
        files++;
    }
    (void)closedir(dir);
    assert_int_equal(files, 3); /* the database, its WAL and its tail: no shared memory file */
}

static void closing_empties_the_wal(void **state)
{
    struct rig *r = *state;

    rig_fill(r);
    assert_true(rig_file_size(r, "-wal") > 0);
    store_cleanup(&r->s);
    assert_null(r->s);
    assert_int_equal(rig_file_size(r, "-wal"), 0);
    store_close(NULL);
    rig_open(r);
}

static void opening_again_applies_no_migration_twice(void **state)
{
    struct rig *r = *state;
    struct store_tenant t;

    rig_fill(r);
    rig_reopen(r);
    rig_reopen(r);
    assert_ok(store_tenant(r->s, "bolt", &t, &r->e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_wrong_key_is_corrupt_and_changes_nothing),
        sentence(a_wrong_key_leaves_the_wal_of_a_crash_alone),
        sentence(a_key_that_is_not_32_bytes_is_refused),
        sentence(a_missing_directory_is_io_and_a_long_path_bad_input),
        sentence(an_open_database_is_not_opened_twice),
        sentence(a_database_cut_short_is_corrupt),
        sentence(a_changed_byte_in_a_page_is_corrupt),
        sentence(an_edited_migration_is_corrupt),
        sentence(a_newer_schema_is_corrupt),
        sentence(a_missing_migration_is_corrupt),
        sentence(a_failing_migration_leaves_nothing_of_itself),
        sentence(records_of_an_older_database_are_found_by_its_new_indexes),
        sentence(a_migration_may_not_end_its_transaction),
        sentence(every_setting_holds_while_serving),
        sentence(only_rows_can_be_read_and_changed_while_serving),
        sentence(attaching_is_forbidden_in_every_phase),
        sentence(nothing_is_spilled_to_a_file),
        sentence(a_library_that_wants_temporary_files_is_found_out),
        sentence(no_file_shows_a_name),
        sentence(the_files_are_for_the_owner_alone_and_few),
        sentence(closing_empties_the_wal),
        sentence(opening_again_applies_no_migration_twice),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
