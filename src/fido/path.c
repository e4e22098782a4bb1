/*
 * Which device, and why not this one. The library answers "internal error" to a missing node, to a
 * lack of permission and to a key that another program holds, and lists no key that it may not
 * open; the difference is found out here, where a person can still be told.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define LISTED_MAX   64
#define MEMORY_MAJOR 1
#define LOCK_PAUSE   ((struct timespec){ .tv_nsec = 100 * 1000 * 1000 })
/* Some programs look at every key for a moment when one is plugged in. Others wait for a touch. */
#define LOCK_TRIES_SILENT 10
#define LOCK_TRIES        60

static status lock_wait(int fd, const struct fido_ui *ui, struct err *e)
{
    int tries = ui != NULL ? LOCK_TRIES : LOCK_TRIES_SILENT;

    for (int i = 0; i < tries; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return OK; /* closing gives it back */
        if (errno != EWOULDBLOCK && errno != EINTR)
            return OK; /* the library will see for itself */
        if (ui != NULL && fido_cancelled(ui))
            return fido_fail(e, FIDO_ERR_KEEPALIVE_CANCEL);
        if (i == LOCK_TRIES_SILENT)
            fido_say(ui, "Another program is using the key; waiting for it.");
        nanosleep(&LOCK_PAUSE, NULL);
    }
    return fail(e, CONFLICT, FIDO_WHY_IN_USE, EWOULDBLOCK);
}

static status open_failed(int error, struct err *e)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
    case EIO: /* a pseudo terminal whose other end is gone */
        return fail(e, NOT_FOUND, FIDO_WHY_NOT_THERE, error);
    case EACCES:
    case EPERM:
    case EROFS: return fail(e, DENIED, FIDO_WHY_FORBIDDEN, error);
    case EBUSY: return fail(e, CONFLICT, FIDO_WHY_IN_USE, error);
    default: return fail(e, IO, "The device cannot be opened.", error);
    }
}

status fido_path_check(const char *path, const struct fido_ui *ui, struct err *e)
{
    struct stat info;
    status st;
    int fd;

    if (stat(path, &info) != 0)
        return open_failed(errno, e);
    if (!S_ISCHR(info.st_mode))
        return fail(e, NOT_FOUND, FIDO_WHY_NO_DEVICE, 0);
    /* /dev/zero and its like never block, and the library would read from one without end. */
    if (major(info.st_rdev) == MEMORY_MAJOR)
        return fail(e, NOT_FOUND, FIDO_WHY_NO_KEY, 0);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return open_failed(errno, e);
    st = lock_wait(fd, ui, e);
    close(fd);
    return st;
}

/* A report descriptor that begins with usage page 0xf1d0, the one of FIDO keys. */
static bool describes_key(const char *file)
{
    static const uint8_t usage_page[] = { 0x06, 0xd0, 0xf1 };
    uint8_t head[sizeof usage_page];
    ssize_t n;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    n = read(fd, head, sizeof head);
    close(fd);
    return n == (ssize_t)sizeof head && span_same(SPAN(head), SPAN(usage_page));
}

bool fido_path_plugged(const char *sysfs_root)
{
    char name[512];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(name, sizeof name, "%s/class/hidraw", sysfs_root);
    dir = opendir(name);
    if (dir == NULL)
        return false;
    while (!found && (entry = readdir(dir)) != NULL) {
        int n;

        if (entry->d_name[0] == '.')
            continue;
        n = snprintf(name, sizeof name, "%s/class/hidraw/%s/device/report_descriptor", sysfs_root,
                     entry->d_name);
        found = n > 0 && (size_t)n < sizeof name && describes_key(name);
    }
    closedir(dir);
    return found;
}

/* False for a device of which the library tells no path that fits. */
static bool describe(const fido_dev_info_t *info, struct fido_key *ret_key)
{
    const char *path = fido_dev_info_path(info);
    const char *maker = fido_dev_info_manufacturer_string(info);
    const char *product = fido_dev_info_product_string(info);
    struct fido_key key = { "", "" };

    if (path == NULL || strlen(path) >= sizeof key.path)
        return false;
    snprintf(key.path, sizeof key.path, "%s", path);
    snprintf(key.name, sizeof key.name, "%s %s", maker != NULL ? maker : "",
             product != NULL ? product : "");
    *ret_key = key;
    return true;
}

status fido_path_list(const char *sysfs_root, struct fido_key ret_keys[static FIDO_KEYS_MAX],
                      size_t *ret_count, struct err *e)
{
    fido_dev_info_t *list = fido_dev_info_new(LISTED_MAX);
    size_t found = 0, count = 0;

    if (list == NULL)
        return fail(e, NO_MEMORY, "no memory for the list of keys", 0);
    /* Old versions call an empty list an error. */
    if (fido_dev_info_manifest(list, LISTED_MAX, &found) != FIDO_OK)
        found = 0;
    for (size_t i = 0; i < found && count < FIDO_KEYS_MAX; i++)
        if (describe(fido_dev_info_ptr(list, i), &ret_keys[count]))
            count++;
    fido_dev_info_free(&list, LISTED_MAX);

    if (count == 0 && fido_path_plugged(sysfs_root))
        return fail(e, DENIED, FIDO_WHY_ALL_FORBIDDEN, EACCES);
    if (count == 0)
        return fail(e, NOT_FOUND, FIDO_WHY_NONE, 0);
    *ret_count = count;
    return OK;
}

status fido_list(struct fido_key ret_keys[static FIDO_KEYS_MAX], size_t *ret_count, struct err *e)
{
    fido_init(FIDO_DISABLE_U2F_FALLBACK);
    return fido_path_list("/sys", ret_keys, ret_count, e);
}
