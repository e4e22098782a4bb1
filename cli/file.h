/* Small files read whole, and files that appear whole or not at all. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <limits.h>

#include "base/bytes.h"
#include "base/status.h"
#include "secret/secret.h"

/* NUL-terminated text of a public file into out; LIMIT above cap - 1 bytes. IO: detail = errno. */
MUST_CHECK status file_read(const char *path, char *out, size_t cap, struct err *e);
/* A private file; DENIED if others than its owner may read it. */
MUST_CHECK status file_read_secret(const char *path, size_t cap, struct secret **ret_content,
                                   struct err *e);

/* FILE_NEW refuses to replace a file (CONFLICT). */
enum file_mode { FILE_PUBLIC, FILE_PRIVATE, FILE_PRIVATE_NEW };
/* Temporary file in the same directory, written, synced, renamed; then the directory synced. */
MUST_CHECK status file_write(const char *path, enum file_mode mode, struct span content,
                             struct err *e);

/* The same in pieces. After begin exactly one of commit and abandon. */
struct file_writer {
    int fd;
    enum file_mode mode;
    const char *path;
    char temporary[PATH_MAX];
};
MUST_CHECK status file_begin(struct file_writer *w, const char *path, enum file_mode mode,
                             struct err *e);
MUST_CHECK status file_append(struct file_writer *w, struct span s, struct err *e);
MUST_CHECK status file_commit(struct file_writer *w, struct err *e);
void file_abandon(struct file_writer *w);

/* Makes directory path and its missing parents, 0700. */
MUST_CHECK status file_make_directory(const char *path, struct err *e);

#endif
