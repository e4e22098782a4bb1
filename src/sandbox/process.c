/*
 * What a process gives up by its own will: core dumps, tracers, an orphan's life, a user's rights.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

status sandbox_no_dump(struct err *e)
{
    const struct rlimit none = { 0, 0 };

    umask(0077);
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return fail(e, IO, "cannot forbid core files", errno);
    /* Also keeps other processes of the same user from attaching or reading the memory. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail(e, IO, "cannot forbid dumps", errno);
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail(e, DENIED, "the process can still be dumped", 0);
    return OK;
}

status sandbox_die_with_parent(int parent_pid, struct err *e)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return fail(e, IO, "cannot ask for the parent's death signal", errno);
    /* It may have died before we asked: then no signal will ever come. */
    if (getppid() != parent_pid)
        return fail(e, DENIED, "the parent process is gone", 0);
    return OK;
}

status sandbox_files(uint64_t wanted, uint64_t *ret_allowed, struct err *e)
{
    struct rlimit limit, more;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return fail(e, IO, "cannot read how many files may be open", errno);
    if (limit.rlim_cur < wanted) {
        more.rlim_cur = wanted;
        more.rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max; /* root may */
        if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
            more = (struct rlimit){ limit.rlim_max, limit.rlim_max };
            if (setrlimit(RLIMIT_NOFILE, &more) != 0)
                return fail(e, IO, "cannot raise how many files may be open", errno);
        }
        limit = more;
    }
    *ret_allowed = limit.rlim_cur;
    return OK;
}

static status no_way_back(uid_t uid, gid_t gid, struct err *e)
{
    uid_t r = 0;
    uid_t f = 0;
    uid_t s = 0;
    gid_t rg = 0;
    gid_t fg = 0;
    gid_t sg = 0;

    if (getresuid(&r, &f, &s) != 0 || r != uid || f != uid || s != uid)
        return fail(e, DENIED, "the user was not dropped", 0);
    if (getresgid(&rg, &fg, &sg) != 0 || rg != gid || fg != gid || sg != gid)
        return fail(e, DENIED, "the group was not dropped", 0);
    if (setuid(0) == 0 || setgid(0) == 0)
        return fail(e, DENIED, "the rights of root can be taken back", 0);
    return OK;
}

/* The kernel forgets both of these when a process changes its user. */
struct kept {
    int death_signal;
    int dumpable;
    pid_t parent;
};

static struct kept keep(void)
{
    struct kept kept = { .parent = getppid() };

    if (prctl(PR_GET_PDEATHSIG, &kept.death_signal, 0, 0, 0) != 0)
        kept.death_signal = 0;
    kept.dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    return kept;
}

static status restore(const struct kept *kept, struct err *e)
{
    if (kept->dumpable == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail(e, IO, "cannot forbid dumps", errno);
    if (kept->death_signal == 0)
        return OK;
    if (prctl(PR_SET_PDEATHSIG, kept->death_signal, 0, 0, 0) != 0)
        return fail(e, IO, "cannot ask for the parent's death signal", errno);
    if (getppid() != kept->parent)
        return fail(e, DENIED, "the parent process is gone", 0);
    return OK;
}

status sandbox_drop_user(const char *user, struct err *e)
{
    bool named = user != NULL && user[0] != '\0';

    if (!named && geteuid() != 0)
        return OK;
    if (!named)
        return fail(e, DENIED, "refusing to run as root: name a user in the settings", 0);
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL)
        return fail(e, errno == 0 ? NOT_FOUND : IO, "no such user", errno);
    if (pw->pw_uid == 0)
        return fail(e, DENIED, "the user to run as is root", 0);
    if (geteuid() != 0) {
        if (geteuid() == pw->pw_uid)
            return OK;
        return fail(e, DENIED, "only root can become another user", 0);
    }
    struct kept kept = keep();
    if (setgroups(1, &pw->pw_gid) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
        return fail(e, IO, "cannot become the user", errno);
    status st = restore(&kept, e);
    return st == OK ? no_way_back(pw->pw_uid, pw->pw_gid, e) : st;
}
