/*
 * strongroom exec: a command with provider keys that are leased for as long as it runs.
 *
 * Must:
 *  1. A value is in struct secret here, in the environment of the command, or in a file in memory
 *     that only its user can read; nowhere else. This is the documented exception to "never in
 *     the environment".
 *  2. No file outlives its lease: it is removed when the command ends, when the lease is lost, and
 *     by the next exec if this one was killed.
 *  3. The command gets no descriptor and no signal mask of ours.
 */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H

#include <sys/types.h>

#include "cli.h"
#include "lease.h"
#include "provider/provider.h"
#include "secret/secret.h"

#define EXEC_LEASES 16

/* --- a directory in memory: exec_file.c ------------------------------------------------------- */

struct memory_directory {
    int fd; /* locked for as long as its owner lives; -1: none */
    char path[256];
};

/* Removes directories whose owners are gone; below all places where they may be. */
void memory_sweep(void);
/* A new directory, 0700, on a file system that is in memory. Failures are reported. */
int memory_make(struct memory_directory *d);
/* A file of that name, 0600: there is the old content or the new one at any time. */
MUST_CHECK status memory_put(const struct memory_directory *d, const char *name, struct span value,
                             struct err *e);
/* Overwritten and removed; whoever has it open reads zeros. */
void memory_drop(const struct memory_directory *d, const char *name);
void memory_remove(struct memory_directory *d);

/* --- a lease that is held: exec_lease.c ------------------------------------------------------- */

struct held {
    char key[LEASE_KEY];
    char file[LEASE_KEY]; /* its name in the directory */
    const struct provider *provider;
    char lease[65]; /* "": none */
    struct secret *value;
    uint64_t ttl_us; /* as it was issued */
    uint64_t end_us; /* on the monotonic clock */
    uint64_t due_us; /* when to look after it next */
    unsigned failures;
    bool lost; /* the command must not have it now */
};

enum tended { TENDED_SAME, TENDED_CHANGED, TENDED_LOST };

int held_take(struct cli *c, struct held *h);
/* Renews, or leases anew what cannot be renewed. why (ENOUGH): of what is lost. */
#define WHY 640
enum tended held_tend(struct cli *c, struct held *h, char why[static WHY]);
/* Gives the lease back, if the vault answers soon. */
void held_release(struct cli *c, struct held *h);

/* --- what ends meanwhile: exec_feed.c --------------------------------------------------------- */

struct feed {
    uint64_t after;
    uint64_t pause_us; /* not to be asked before; UINT64_MAX: there is none */
};

/* Where the feed is now; before the first lease. */
void feed_begin(struct cli *c, struct feed *f);
/* Waits for events, until then or for less; what they concern is due then. False at once if that
 * cannot be waited for now. */
bool feed_listen(struct cli *c, struct feed *f, struct held *held, size_t count, uint64_t until_us);

/* --- the command: exec_child.c ---------------------------------------------------------------- */

/* NAME=VALUE strings for execve. */
struct environment {
    struct secret *ours; /* each with its NUL */
    size_t used;
    char **list; /* views of ours and of the environment that we have */
    size_t count;
    size_t cap;
};

MUST_CHECK status environment_begin(struct environment *v, struct err *e);
/* Room for a value behind "NAME="; what was written there counts once it is added. */
MUST_CHECK status environment_room(struct environment *v, const char *name, struct mspan *ret_room,
                                   struct err *e);
/* The variable that room was made for last, in place of one that we were started with. CONFLICT if
 * a variable of that name was added before. */
MUST_CHECK status environment_add(struct environment *v, const char *name, size_t n, struct err *e);
MUST_CHECK status environment_text(struct environment *v, const char *name, const char *text,
                                   struct err *e);
void environment_clear(struct environment *v);

/* Takes the signals that are passed on. *ret_wake: readable after the command has ended. */
int child_prepare(int *ret_wake);
extern volatile sig_atomic_t child_stop; /* it has ended, or there is none and we shall end */
extern volatile sig_atomic_t child_told; /* the number of the signal that told us to end, or 0 */
/* Failures to start are reported: 126 or 127 as of a shell. */
int child_start(char *const *command, const struct environment *v);
bool child_runs(void);
void child_signal(int number);
/* Waits until then for it to end; true with its exit code (128 + n of a signal) if it has. */
bool child_wait(uint64_t until_us, int *ret_code);

#endif
