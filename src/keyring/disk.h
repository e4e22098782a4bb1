/*
 * One file of fixed places, locked for life. The first failed write or sync breaks it: the page
 * cache may then differ from the disk, and trying again would only hide that.
 */
#ifndef KEYRING_DISK_H
#define KEYRING_DISK_H

#include "base/bytes.h"
#include "base/status.h"

struct disk {
    int fd;
    bool broken;
    bool dirty; /* written since the last sync */
    bool draft; /* not findable after a crash: sync is nothing, until it is to be kept */
};

/* A directory handle; made 0700 and durable if missing and make. NOT_FOUND, DENIED if others may
 * write to it, IO. */
enum disk_dir { DISK_DIR_EXISTING, DISK_DIR_MAKE };
MUST_CHECK status keyring_disk_dir(const char *dir, enum disk_dir mode, int *ret_fd, struct err *e);
/* A file, locked; made 0600 if missing and make. NOT_FOUND, CONFLICT if another process has it,
 * DENIED, IO. */
enum disk_file { DISK_FILE_EXISTING, DISK_FILE_MAKE };
MUST_CHECK status keyring_disk_open(int dir_fd, const char *name, enum disk_file mode,
                                    struct disk *ret_disk, struct err *e);
/* Begins a file beside name, locked and empty; publish syncs it and gives it its name, for good.
 * CONFLICT if name exists or another process is creating it. */
MUST_CHECK status keyring_disk_create(int dir_fd, const char *name, struct disk *ret_disk,
                                      struct err *e);
MUST_CHECK status keyring_disk_publish(int dir_fd, const char *name, struct disk *d, struct err *e);
/* Removes what create began and publish did not name. */
void keyring_disk_discard(int dir_fd, const char *name);
/* Exchanges two names in one step; durable. LIMIT, with nothing changed, if the file system
 * cannot do that. After IO either of the two may be the case. */
MUST_CHECK status keyring_disk_exchange(int dir_fd, const char *one, const char *other,
                                        struct err *e);
void keyring_disk_close(struct disk *d);

MUST_CHECK status keyring_disk_size(const struct disk *d, uint64_t *ret_size, struct err *e);
/* Fills to; a file that ends before is CORRUPT. */
MUST_CHECK status keyring_disk_read(const struct disk *d, uint64_t at, struct mspan to,
                                    struct err *e);
MUST_CHECK status keyring_disk_write(struct disk *d, uint64_t at, struct span from, struct err *e);
/* Makes room for [from, to), zeros where the file ended before; durable. LIMIT, with nothing
 * changed and nothing broken, if the disk has no room. */
MUST_CHECK status keyring_disk_grow(struct disk *d, uint64_t from, uint64_t to, struct err *e);
MUST_CHECK status keyring_disk_sync(struct disk *d, struct err *e);
/* Ends a draft: all of it is durable. */
MUST_CHECK status keyring_disk_keep(struct disk *d, struct err *e);
/* Overwrites the whole content with random bytes and cuts it off, each durable. */
MUST_CHECK status keyring_disk_wipe(struct disk *d, struct err *e);

#endif
