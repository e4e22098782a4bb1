/*
 * Reads published vectors from the .rsp files of this directory: blocks of "Name = value"
 * lines, parted by empty lines; values are hex unless said otherwise. "Case" names a block in
 * its publication. A lone word is a mark.
 */
#ifndef TEST_RSP_H
#define TEST_RSP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif

#define LINE_SIZE  20480
#define MAX_FIELDS 8
#define MAX_VALUE  (LINE_SIZE / 2)

struct field {
    char name[16];
    char text[LINE_SIZE];
    uint8_t bytes[MAX_VALUE];
};

static struct block {
    const char *file;
    struct field fields[MAX_FIELDS];
    size_t count;
} block;

/* NULL if the block has no such field; the value of a mark is empty. */
static inline struct field *field_of(const char *name)
{
    for (size_t i = 0; i < block.count; i++) {
        if (strcmp(block.fields[i].name, name) == 0)
            return &block.fields[i];
    }
    return NULL;
}

/* Fails with the names of the file and the case. */
static inline void check_that(bool holds, const char *what)
{
    const struct field *name = field_of("Case");

    if (!holds)
        print_error("%s, %s: %s\n", block.file, name == NULL ? "no name" : name->text, what);
    assert_true(holds);
}

static inline const char *text_of(const char *name)
{
    const struct field *f = field_of(name);

    check_that(f != NULL, name);
    return f->text;
}

/* Valid until the next block. */
static inline struct span bytes_of(const char *name)
{
    struct field *f = field_of(name);
    size_t size = 0;

    check_that(f != NULL, name);
    size = strlen(f->text) / 2;
    check_that(hex_parse(f->text, strlen(f->text), f->bytes, size), name);
    return span_of(f->bytes, size);
}

static inline void check_bytes(const uint8_t *got, size_t n, struct span expected)
{
    check_that(span_same(span_of(got, n), expected), "gives other bytes");
}

/* The fields CT and Tag as one piece in buffer. */
static inline struct span cipher_and_tag(uint8_t *buffer, size_t size)
{
    struct out o;

    out_init(&o, buffer, size);
    out_raw(&o, bytes_of("CT"));
    out_raw(&o, bytes_of("Tag"));
    check_that(!o.overflow, "is too large");
    return span_of(buffer, o.n);
}

static inline void take_line(const char *line)
{
    struct field *f = &block.fields[block.count];
    const char *value = strstr(line, " =");
    size_t name_length = value == NULL ? strlen(line) : (size_t)(value - line);

    assert_true(block.count < MAX_FIELDS && name_length < sizeof(f->name));
    memset(f->name, 0, sizeof(f->name));
    memcpy(f->name, line, name_length);
    strcpy(f->text, value != NULL && value[2] == ' ' ? value + 3 : ""); /* as large as the line */
    block.count++;
}

/* Calls check for every block of a file and returns how many there were. */
static inline size_t for_each_block(const char *name, void (*check)(void))
{
    static char line[LINE_SIZE];
    char path[512];
    FILE *file = NULL;
    size_t count = 0;
    bool more = true;

    snprintf(path, sizeof(path), "%s/tests/golden/%s", SOURCE_DIR, name);
    file = fopen(path, "r");
    assert_non_null(file);
    block.file = name;
    block.count = 0;
    while (more) {
        more = fgets(line, sizeof(line), file) != NULL;
        if (more && line[0] == '#')
            continue;
        line[strcspn(line, "\n")] = '\0';
        if (more && line[0] != '\0') {
            take_line(line);
        } else if (block.count > 0) {
            check();
            block.count = 0;
            count++;
        }
    }
    fclose(file);
    return count;
}

#endif
