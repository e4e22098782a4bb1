/*
 * Must:
 *  1. A pinned value is never replaced by another: only a person may do that, with an editor.
 *  2. A checkpoint is never replaced by a smaller one; all are forgotten when operators have
 *     accepted a rollback.
 *  3. Two commands at once lose nothing of each other: changes are made under a lock, on top of
 *     what is on disk.
 */
#include "profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli.h"
#include "file.h"

#define PROFILE_FILE "profile.json"
#define PROFILE_MAX  (1024 * 1024)

int profile_locate(struct cli *c)
{
    char *out = c->profile.directory;
    size_t cap = sizeof(c->profile.directory);
    const char *given = cli_option(c, OPT_PROFILE);
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int n = 0;

    if (given != NULL)
        n = snprintf(out, cap, "%s", given);
    else if (config != NULL && config[0] == '/')
        n = snprintf(out, cap, "%s/strongroom", config);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, cap, "%s/.config/strongroom", home);
    if (n <= 0)
        return report(EXIT_USAGE, "no home directory to look for a profile: give --profile DIR");
    if ((size_t)n >= cap)
        return report(EXIT_USAGE, "the path of the profile is too long");
    return EXIT_DONE;
}

void profile_path(const struct profile *p, const char *file, char out[static PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", p->directory, file);
}

bool profile_exists(const struct cli *c)
{
    char path[PATH_MAX];

    profile_path(&c->profile, PROFILE_FILE, path);
    return access(path, F_OK) == 0;
}

static int read_root(const struct cli *c, json_t **ret_root)
{
    char path[PATH_MAX];
    struct err e = { 0 };
    json_error_t problem;
    AUTO(wiped) *held = wiping_malloc(PROFILE_MAX);
    char *text = (char *)held;

    profile_path(&c->profile, PROFILE_FILE, path);
    if (text == NULL)
        return report(EXIT_OTHER, "no memory");
    if (file_read(path, text, PROFILE_MAX, &e) != OK) {
        if (e.code == NOT_FOUND)
            return report(
                EXIT_DENIED,
                "no profile in %s: make one with 'strongroom init' or 'strongroom profile "
                "create', or name another with --profile",
                c->profile.directory);
        return report_file(path, &e);
    }
    *ret_root = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(*ret_root)) {
        json_decref(*ret_root);
        *ret_root = NULL;
        return report(EXIT_OTHER, "%s is damaged at line %d: restore it from a copy", path,
                      problem.line);
    }
    return EXIT_DONE;
}

int profile_load(struct cli *c)
{
    return c->profile.root != NULL ? EXIT_DONE : read_root(c, &c->profile.root);
}

void profile_clear(struct profile *p)
{
    json_t_cleanup(&p->root);
}

const char *profile_text(const struct profile *p, const char *name)
{
    return json_string_value(json_object_get(p->root, name));
}

bool profile_hex(const struct profile *p, const char *name, uint8_t *out, size_t n)
{
    const char *text = profile_text(p, name);

    return text != NULL && hex_parse(text, strlen(text), out, n);
}

static int write_root(const struct cli *c)
{
    char path[PATH_MAX];
    struct err e = { 0 };
    AUTO(wiped) *held = (struct wiped *)json_dumps(c->profile.root, JSON_INDENT(2));

    profile_path(&c->profile, PROFILE_FILE, path);
    if (held == NULL)
        return report(EXIT_OTHER, "no memory");
    if (file_write(path, FILE_PRIVATE, span_text((const char *)held), &e) != OK)
        return report_file(path, &e);
    return EXIT_DONE;
}

int profile_write_new(struct cli *c, json_t *root)
{
    struct err e = { 0 };

    profile_clear(&c->profile);
    c->profile.root = root;
    if (file_make_directory(c->profile.directory, &e) != OK)
        return report_file(c->profile.directory, &e);
    return write_root(c);
}

/* Takes the lock and reads the profile afresh. The caller closes *ret_lock, whatever happens. */
static int begin_change(struct cli *c, int *ret_lock)
{
    char path[PATH_MAX];

    profile_path(&c->profile, "lock", path);
    *ret_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*ret_lock < 0 || flock(*ret_lock, LOCK_EX) != 0)
        return report(EXIT_OTHER, "%s: cannot lock the profile: %s", path, strerror(errno));
    profile_clear(&c->profile);
    return profile_load(c);
}

static int pin_locked(struct cli *c, const char *name, struct span value)
{
    uint8_t held[64];
    char text[2 * sizeof(held) + 1];

    if (profile_text(&c->profile, name) != NULL) {
        if (profile_hex(&c->profile, name, held, value.n) &&
            span_same(value, span_of(held, value.n)))
            return EXIT_DONE;
        return report(EXIT_CONFLICT, "the vault's %s is not the one in the profile", name);
    }
    hex_format(value, text);
    if (json_object_set_new(c->profile.root, name, json_string(text)) != 0)
        return report(EXIT_OTHER, "no memory");
    return write_root(c);
}

int profile_pin(struct cli *c, const char *name, struct span value)
{
    int lock = -1;
    int code = begin_change(c, &lock);

    if (code == EXIT_DONE)
        code = pin_locked(c, name, value);
    if (lock >= 0)
        close(lock);
    return code;
}

void profile_seen(const struct profile *p, const struct id *log, struct seen *ret_seen)
{
    char name[ID_HEX_LENGTH + 1];
    json_t *checkpoints = json_object_get(p->root, "checkpoints");

    hex_format(SPAN(log->b), name);
    json_t *one = json_object_get(checkpoints, name);
    json_t *size = json_object_get(one, "size");
    const char *root = json_string_value(json_object_get(one, "root"));

    *ret_seen = (struct seen){ 0 };
    if (!json_is_integer(size) || json_integer_value(size) < 0 || root == NULL ||
        !hex_parse(root, strlen(root), ret_seen->root, sizeof(ret_seen->root)))
        return;
    const char *note = json_string_value(json_object_get(one, "note"));

    if (note != NULL)
        snprintf(ret_seen->note, sizeof(ret_seen->note), "%s", note);
    ret_seen->size = (uint64_t)json_integer_value(size);
    ret_seen->known = true;
}

static int see_locked(struct cli *c, const struct id *log, const struct seen *seen)
{
    char name[ID_HEX_LENGTH + 1];
    char root[65];
    struct seen held;
    json_t *checkpoints = json_object_get(c->profile.root, "checkpoints");

    profile_seen(&c->profile, log, &held);
    if (held.known && (held.size > seen->size || (held.size == seen->size && held.note[0] != '\0')))
        return EXIT_DONE;
    hex_format(SPAN(log->b), name);
    hex_format(SPAN(seen->root), root);
    if (!json_is_object(checkpoints)) {
        checkpoints = json_object();
        if (json_object_set_new(c->profile.root, "checkpoints", checkpoints) != 0)
            return report(EXIT_OTHER, "no memory");
    }
    if (json_object_set_new(checkpoints, name,
                            json_pack("{s:I, s:s, s:s}", "size", (json_int_t)seen->size, "root",
                                      root, "note", seen->note)) != 0)
        return report(EXIT_OTHER, "no memory");
    return write_root(c);
}

int profile_see(struct cli *c, const struct id *log, const struct seen *seen)
{
    int lock = -1;
    int code = begin_change(c, &lock);

    if (code == EXIT_DONE)
        code = see_locked(c, log, seen);
    if (lock >= 0)
        close(lock);
    return code;
}

int profile_forget_seen(struct cli *c)
{
    int lock = -1;
    int code = begin_change(c, &lock);

    if (code == EXIT_DONE)
        (void)json_object_del(c->profile.root, "checkpoints");
    if (code == EXIT_DONE)
        code = write_root(c);
    if (lock >= 0)
        close(lock);
    return code;
}
