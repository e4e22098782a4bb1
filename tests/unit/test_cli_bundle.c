/* Exported trails: what verifies, what does not, and that writing and reading fit together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/bundle.c"
#include "../../cli/file.c"
#include "../../cli/progress.c"
#include "../../cli/reply.c"
#include "../../cli/report.c"
#include "../../cli/roster.c"
#include "../../cli/step_up.c"
#include "../../cli/step_up_summary.c"
#include "../../cli/table.c"
#include "../../cli/trail.c"

#define GOLDEN        SOURCE_DIR "/tests/golden/ledger_bundle.jsonl"
#define TEXT_MAX_READ 65536

/* What the trail needs of a vault and a profile, and what this test has of them. */
static struct seen remembered;
static struct cli quiet = { .options = { .given = 0 } };

int https_call(struct cli *c, enum method method, const char *path, json_t *body,
               json_t **ret_reply)
{
    (void)c;
    (void)method;
    (void)path;
    (void)body;
    (void)ret_reply;
    return EXIT_UNREACHABLE;
}

/* The vault's records, by a bundle's; *served_short leaves some out. */
static char served[TEXT_MAX_READ];
static size_t served_skip;

int https_lines(struct cli *c, const char *path, struct span *ret_lines)
{
    (void)c;
    (void)path;
    *ret_lines = span_text(served + served_skip);
    return EXIT_DONE;
}

const char *profile_text(const struct profile *p, const char *name)
{
    (void)p;
    (void)name;
    return NULL;
}

bool profile_hex(const struct profile *p, const char *name, uint8_t *out, size_t n)
{
    (void)p;
    (void)name;
    (void)out;
    (void)n;
    return false;
}

int profile_pin(struct cli *c, const char *name, struct span value)
{
    (void)c;
    (void)name;
    (void)value;
    return EXIT_DONE;
}

void profile_seen(const struct profile *p, const struct id *log, struct seen *ret_seen)
{
    (void)p;
    (void)log;
    *ret_seen = remembered;
}

void wiping_free(void *p)
{
    free(p);
}

void wiped_cleanup(struct wiped **p)
{
    free(*p);
}

void json_t_cleanup(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static char text[TEXT_MAX_READ];
static char path[] = "/tmp/strongroom-bundle-XXXXXX";

static void load_golden(void)
{
    FILE *file = fopen(GOLDEN, "re");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
}

static void store(const char *content)
{
    assert_int_equal(file_write(path, FILE_PUBLIC, span_text(content), NULL), OK);
}

/* Reads the bundle at path to its verdict. */
static int verdict(void)
{
    struct trail t = { .step_ups = NULL };
    int code = bundle_read(&quiet, path, false, &t);

    return code == EXIT_DONE ? trail_finish(&quiet, &t) : code;
}

static void the_golden_bundle_verifies(void **state)
{
    struct trail t = { .step_ups = NULL };

    (void)state;
    assert_int_equal(bundle_read(&quiet, GOLDEN, false, &t), EXIT_DONE);
    assert_string_equal(t.name, "acme");
    assert_int_equal(t.size, 50);
    assert_int_equal(trail_finish(&quiet, &t), EXIT_DONE);
}

static void one_changed_byte_anywhere_in_a_record_is_found(void **state)
{
    (void)state;
    load_golden();
    char *first = strchr(text, '\n') + 1;
    char *last = strstr(text, "{\"checkpoint\"");

    for (char *p = first; p < last; p += 97) {
        if (*p == '\n')
            p++;
        *p ^= 1;
        store(text);
        assert_int_equal(verdict(), EXIT_UNVERIFIED);
        *p ^= 1;
    }
    store(text);
    assert_int_equal(verdict(), EXIT_DONE);
}

static void a_missing_record_is_found(void **state)
{
    (void)state;
    load_golden();
    char *first = strchr(text, '\n') + 1;
    char *second = strchr(first, '\n') + 1;

    memmove(first, second, strlen(second) + 1);
    store(text);
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
}

static void a_bundle_that_is_cut_off_does_not_verify(void **state)
{
    (void)state;
    load_golden();
    char *last = strstr(text, "{\"checkpoint\"");

    *last = '\0';
    store(text);
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
    last[0] = '{';
    last[20] = '\0';
    store(text);
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
    *strchr(text, '\n') = '\0';
    store(text);
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
}

static void what_has_no_header_is_no_bundle(void **state)
{
    (void)state;
    store("");
    assert_int_equal(verdict(), EXIT_USAGE);
    store("nonsense\n");
    assert_int_equal(verdict(), EXIT_USAGE);
}

static void a_line_without_end_is_refused(void **state)
{
    static char endless[4 * TEXT_MAX_READ];

    (void)state;
    load_golden();
    size_t n = (size_t)(strchr(text, '\n') + 1 - text);

    memcpy(endless, text, n);
    memset(endless + n, 'a', sizeof(endless) - 1 - n);
    store(endless);
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
}

static void a_header_with_more_or_less_is_refused(void **state)
{
    static const char *const headers[] = {
        "{}\n{}\n",
        "{\"strongroom_export\":1,\"vault\":\"000102030405060708090a0b0c0d0e0f\","
        "\"log\":\"101112131415161718191a1b1c1d1e1f\",\"name\":\"acme\","
        "\"public_key\":\"dyyKRCt9sG4WbPvBzLy83m8+unak6Y7z/8UZUCI31u8=\",\"size\":0,\"from\":0,\"to\":0}\n{}\n",
        "{\"strongroom_export\":2,\"vault\":\"000102030405060708090a0b0c0d0e0f\","
        "\"log\":\"101112131415161718191a1b1c1d1e1f\",\"name\":\"acme\","
        "\"public_key\":\"dyyKRCt9sG4WbPvBzLy83m8+unak6Y7z/8UZUCI31u=\",\"size\":0,\"from\":0,\"to\":0}\n{}\n",
        "{\"strongroom_export\":2,\"vault\":\"0\",\"log\":\"101112131415161718191a1b1c1d1e1f\","
        "\"name\":\"acme\",\"public_key\":\"dyyKRCt9sG4WbPvBzLy83m8+unak6Y7z/8UZUCI31u8=\","
        "\"size\":0,\"from\":0,\"to\":0}\n{}\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        store(headers[i]);
        assert_int_equal(verdict(), EXIT_USAGE);
    }
}

static void another_history_than_the_remembered_one_is_a_fork(void **state)
{
    struct trail t = { .step_ups = NULL };

    (void)state;
    quiet.profile.root = json_object();
    load_golden();
    store(text);
    /* The true root at some earlier size, taken from the records themselves. */
    remembered = (struct seen){ 0 };
    assert_int_equal(bundle_read(&quiet, path, false, &t), EXIT_DONE);
    remembered.known = true;
    remembered.size = t.tree->size;
    ledger_root(t.tree, remembered.root);
    assert_int_equal(verdict(), EXIT_DONE);
    remembered.root[5] ^= 1;
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
    remembered.size = 17;
    assert_int_equal(verdict(), EXIT_UNVERIFIED);
    remembered.known = false;
    assert_int_equal(verdict(), EXIT_DONE);
    json_t_cleanup(&quiet.profile.root);
}

static int copy_line(void *context, struct span line)
{
    return bundle_write_line(context, line);
}

/* From the records that a vault would serve to a file with the same bytes as the golden one. */
static void what_is_written_is_what_the_golden_bundle_has(void **state)
{
    struct trail t = { .step_ups = NULL };
    struct file_writer w;
    static char again[TEXT_MAX_READ];

    (void)state;
    load_golden();
    assert_int_equal(bundle_read(&quiet, GOLDEN, false, &t), EXIT_DONE);
    snprintf(served, sizeof(served), "%s", strchr(text, '\n') + 1);
    json_t *last = json_loads(strstr(served, "{\"checkpoint\""), 0, NULL);

    snprintf(t.note, sizeof(t.note), "%s", reply_text(last, "checkpoint"));
    json_decref(last);
    *strstr(served, "{\"checkpoint\"") = '\0';
    served_skip = 0;
    assert_int_equal(file_begin(&w, path, FILE_PUBLIC, NULL), OK);
    assert_int_equal(bundle_write_header(&w, &t), EXIT_DONE);
    assert_int_equal(trail_stream(&quiet, &t, copy_line, &w), EXIT_DONE);
    assert_int_equal(bundle_write_checkpoint(&w, &t), EXIT_DONE);
    assert_int_equal(file_commit(&w, NULL), OK);
    assert_int_equal(file_read(path, again, sizeof(again), NULL), OK);
    assert_string_equal(again, text);
}

static int pass(void *context, struct span line)
{
    (void)context;
    (void)line;
    return EXIT_DONE;
}

static void a_page_with_other_than_the_promised_records_is_refused(void **state)
{
    struct trail t = { .step_ups = NULL };

    (void)state;
    assert_int_equal(bundle_read(&quiet, GOLDEN, false, &t), EXIT_DONE);
    served_skip = (size_t)(strchr(served, '\n') + 1 - served);
    assert_int_equal(trail_stream(&quiet, &t, pass, NULL), EXIT_UNVERIFIED);
    served_skip = 0;
    t.to--;
    assert_int_equal(trail_stream(&quiet, &t, pass, NULL), EXIT_UNVERIFIED);
    t.size++;
    served[strlen(served) - 1] = '\0'; /* the last line has no end */
    assert_int_equal(trail_stream(&quiet, &t, pass, NULL), EXIT_UNVERIFIED);
}

static void an_existing_private_file_is_not_replaced(void **state)
{
    struct err e = { 0 };

    (void)state;
    store("mine");
    assert_int_equal(file_write(path, FILE_PRIVATE_NEW, span_text("other"), &e), CONFLICT);
    assert_int_equal(file_read(path, text, sizeof(text), NULL), OK);
    assert_string_equal(text, "mine");
}

static void a_file_that_does_not_fit_is_refused(void **state)
{
    char small[5];

    (void)state;
    store("12345");
    assert_int_equal(file_read(path, small, sizeof(small), NULL), LIMIT);
    store("1234");
    assert_int_equal(file_read(path, small, sizeof(small), NULL), OK);
    assert_string_equal(small, "1234");
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_bundle_verifies),
        cmocka_unit_test(one_changed_byte_anywhere_in_a_record_is_found),
        cmocka_unit_test(a_missing_record_is_found),
        cmocka_unit_test(a_bundle_that_is_cut_off_does_not_verify),
        cmocka_unit_test(what_has_no_header_is_no_bundle),
        cmocka_unit_test(a_line_without_end_is_refused),
        cmocka_unit_test(a_header_with_more_or_less_is_refused),
        cmocka_unit_test(another_history_than_the_remembered_one_is_a_fork),
        cmocka_unit_test(what_is_written_is_what_the_golden_bundle_has),
        cmocka_unit_test(a_page_with_other_than_the_promised_records_is_refused),
        cmocka_unit_test(an_existing_private_file_is_not_replaced),
        cmocka_unit_test(a_file_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
