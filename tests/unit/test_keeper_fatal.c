/* wrap: fdatasync pwrite */
/* A keyring that cannot be written ends the keeper: nothing is answered that is not durable. Each
 * case runs in a child, which makes its own slab. */
#include "keeper_rig.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char *dir; /* of the child's rig, for the parent to remove */
static bool failing;
static unsigned spared; /* calls that still succeed */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pwrite(int fd, const void *from, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t at);

static bool fails(void)
{
    if (!failing)
        return false;
    if (spared > 0) {
        spared--;
        return false;
    }
    errno = EIO;
    return true;
}

int __wrap_fdatasync(int fd)
{
    return fails() ? -1 : __real_fdatasync(fd);
}

ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t at)
{
    return fails() ? -1 : __real_pwrite(fd, from, n, at);
}

/* The exit code of a keeper whose calls fail from the given one on while it runs act. */
static int exit_code(void (*act)(struct rig *r), unsigned from)
{
    int how = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (secret_start((size_t)4 << 20, NULL) != OK)
            _exit(1);
        struct rig *r = rig_new();
        strcpy(dir, r->dir);
        rig_init(r);
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_VAULT_CREATED });
        rig_tenant(r, rig_id(1), rig_id(11));
        failing = true;
        spared = from;
        act(r);
        failing = false;
        rig_free(r);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &how, 0), pid);
    nftw(dir, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static void put(struct rig *r)
{
    rig_put(r, rig_id(1), rig_id(11), rig_id(21), 1, "sk-0123456789abcdefghij");
}

static void lock(struct rig *r)
{
    rig_batch(r, NULL, 0);
    rig_begin(r, WIRE_LOCK);
    rig_call(r);
}

static void end_and_purge(struct rig *r)
{
    rig_entry(r, (struct wire_entry){
                     .kind = ENTRY_ENGAGEMENT_END, .tenant = rig_id(1), .engagement = rig_id(11) });
    rig_pass(PURGE_DELAY_S);
    keeper_tick(r->k);
}

/* Fails the first call, the second, and so on until none is left to fail. */
static void try_every_call(void (*act)(struct rig *r), unsigned at_least)
{
    unsigned from = 0;

    for (int code = 0; (code = exit_code(act, from)) != 0; from++) {
        assert_int_equal(code, 70);
        assert_true(from < 64);
    }
    assert_true(from >= at_least);
}

static void a_failed_write_while_a_key_is_put_ends_the_keeper(void **state)
{
    (void)state;
    try_every_call(put, 2);
}

static void a_failed_write_while_locking_ends_the_keeper(void **state)
{
    (void)state;
    try_every_call(lock, 1);
}

static void a_failed_write_while_purging_ends_the_keeper(void **state)
{
    (void)state;
    try_every_call(end_and_purge, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_write_while_a_key_is_put_ends_the_keeper),
        cmocka_unit_test(a_failed_write_while_locking_ends_the_keeper),
        cmocka_unit_test(a_failed_write_while_purging_ends_the_keeper),
    };

    dir = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (dir == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
