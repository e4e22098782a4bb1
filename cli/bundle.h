/*
 * An exported trail: JSON lines. A header, the records as the vault stores them, a checkpoint.
 *   {"strongroom_export":1,"vault":...,"log":...,"name":...,"public_key":...,"size":N}
 *   N records
 *   {"checkpoint":"<signed note>"}
 */
#ifndef CLI_BUNDLE_H
#define CLI_BUNDLE_H

#include "file.h"
#include "trail.h"

struct cli;

int bundle_write_header(struct file_writer *w, const struct trail *t);
int bundle_write_line(struct file_writer *w, struct span line);
int bundle_write_checkpoint(struct file_writer *w, const struct trail *t);

/* Reads the header of the file at path into t, hands every record to the verifier (from trail_begin
 * on), and reads the checkpoint. t is zero before, but for step_ups. EXIT_USAGE for a file that is
 * no bundle. */
int bundle_read(const struct cli *c, const char *path, struct trail *t);

#endif
