/* Exported trails as files; ledger/bundle.h says what is in them and verifies them. */
#ifndef CLI_BUNDLE_H
#define CLI_BUNDLE_H

#include "file.h"
#include "trail.h"

struct cli;

int bundle_write_header(struct file_writer *w, const struct trail *t);
/* One line of an object, which is taken. */
int bundle_write_json(struct file_writer *w, json_t *taken);
int bundle_write_line(struct file_writer *w, struct span line);
int bundle_write_checkpoint(struct file_writer *w, const struct trail *t);

/* The text of --public-key: base64 or hexadecimal. */
bool bundle_key_parse(const char *text, uint8_t key[static 32]);
/* Verifies the file at path; t holds the verdict for trail_check. t is zero before, but for
 * step_ups. own_key: hold it against the key that it names, which is compared elsewhere; otherwise
 * against --public-key or the profile's. EXIT_USAGE for a file that is no bundle. */
int bundle_read(const struct cli *c, const char *path, bool own_key, struct trail *t);

#endif
