/* {"cursor":1,"log":"*","next":"1234","last":"<hex64>"}: replaced as a whole, not written into. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli.h"
#include "file.h"
#include "stream.h"

#define CURSOR_MAX 512

/* The lock is a file of its own: the cursor's name belongs to another file after each step. */
static int lock(struct cursor *cursor)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s.lock", cursor->path);

    if (n < 0 || (size_t)n >= sizeof(path))
        return report(EXIT_USAGE, "the path of the cursor is too long");
    cursor->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (cursor->lock < 0)
        return report(EXIT_OTHER, "%s: %s", path, strerror(errno));
    if (flock(cursor->lock, LOCK_EX | LOCK_NB) != 0)
        return report(EXIT_CONFLICT, "%s: another process uses this cursor; each sink has its own",
                      cursor->path);
    return EXIT_DONE;
}

static bool parse(struct cursor *cursor, const char *text)
{
    AUTO(json_t) *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *next = json_string_value(json_object_get(root, "next"));
    const char *last = json_string_value(json_object_get(root, "last"));
    const char *log = json_string_value(json_object_get(root, "log"));

    if (json_integer_value(json_object_get(root, "cursor")) != 1 || next == NULL || last == NULL ||
        log == NULL || strcmp(log, cursor->log) != 0)
        return false;
    cursor->known = true;
    return number_parse(next, 0, INT64_MAX, &cursor->next) &&
           hex_parse(last, strlen(last), cursor->last, sizeof(cursor->last));
}

int cursor_open(struct cursor *cursor, const char *path, const char *log)
{
    char text[CURSOR_MAX];
    struct err e = { 0 };
    status st;

    *cursor = (struct cursor){ .path = path, .log = log, .lock = -1 };
    int code = lock(cursor);

    if (code != EXIT_DONE)
        return code;
    st = file_read(path, text, sizeof(text), &e);
    if (st == NOT_FOUND)
        return EXIT_DONE;
    if (st != OK)
        return report_file(path, &e);
    if (!parse(cursor, text))
        return report(EXIT_USAGE,
                      "%s is not a cursor of this log: use another file, or remove it to "
                      "begin with the first record",
                      path);
    return EXIT_DONE;
}

status cursor_save(const struct cursor *cursor, struct err *e)
{
    char text[CURSOR_MAX], last[65];
    int n;

    hex_format(SPAN(cursor->last), last);
    n = snprintf(text, sizeof(text),
                 "{\"cursor\":1,\"log\":\"%s\",\"next\":\"%llu\",\"last\":\"%s\"}\n", cursor->log,
                 (unsigned long long)cursor->next, last);
    return file_write(cursor->path, FILE_PRIVATE, span_of(text, (size_t)n), e);
}
