/*
 * The profile: who this user is to one vault, and what was learned about that vault. A directory
 * (0700) of profile.json, client.key (0600), client.crt and ca.crt. Pinned values (vault, intake
 * key, ledger key, delivery key) are set once; checkpoints only grow.
 */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include <jansson.h>
#include <limits.h>

#include "base/bytes.h"
#include "base/status.h"

struct cli;

struct profile {
    char directory[PATH_MAX - 64]; /* room for the names of its files */
    json_t *root;                  /* profile.json; NULL until loaded */
};

#define PROFILE_KEY         "client.key"
#define PROFILE_CERTIFICATE "client.crt"
#define PROFILE_CA          "ca.crt"

/* Finds the directory (--profile, XDG_CONFIG_HOME, HOME). Reads nothing. */
int profile_locate(struct cli *c);
bool profile_exists(const struct cli *c);
/* Reads profile.json once; EXIT_DENIED if there is none. */
int profile_load(struct cli *c);
void profile_clear(struct profile *p);
/* Path of one of its files; the directory was checked to leave room. */
void profile_path(const struct profile *p, const char *file, char out[static PATH_MAX]);

/* A text member, or NULL. */
const char *profile_text(const struct profile *p, const char *name);
bool profile_hex(const struct profile *p, const char *name, uint8_t *out, size_t n);

/* Writes a new profile.json in a directory that it makes. Takes root. */
int profile_write_new(struct cli *c, json_t *root);
/* Pins name = hex of value: EXIT_CONFLICT if another value is pinned already, even one that another
 * process pinned just now. */
int profile_pin(struct cli *c, const char *name, struct span value);

#define PROFILE_NOTE 8192 /* a checkpoint with as many witnesses as it may have */

/* The largest checkpoint seen of a log. */
struct seen {
    bool known;
    uint64_t size;
    uint8_t root[32];
    char note[PROFILE_NOTE]; /* as it was signed; "" if an earlier version remembered it */
};
void profile_seen(const struct profile *p, const struct id *log, struct seen *ret_seen);
/* Remembers it unless a larger one is there. */
int profile_see(struct cli *c, const struct id *log, const struct seen *seen);
/* After a rollback that was accepted: what is there now begins a new history of sightings. */
int profile_forget_seen(struct cli *c);

#endif
