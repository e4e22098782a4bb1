/* wrap: pwrite fdatasync ftruncate fallocate fsync renameat2 */
/*
 * A keeper that is killed at every write, sync and rename of whatever changes slots and keys.
 * Whatever the moment: the operators of before or after open the vault, what was begun is finished
 * by nobody's doing, every provider key opens, and the log tells of no tombstone without a reason.
 */
#include "../unit/keeper_people.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* --- a disk that kills ----------------------------------------------------------------------- */

static unsigned kill_at; /* the call at which it kills, from 1; 0: none */
static unsigned calls;

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __real_fsync(int fd);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fsync(int fd);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);

static void count(void)
{
    if (kill_at != 0 && ++calls == kill_at)
        raise(SIGKILL);
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
    count();
    return __real_pwrite(fd, p, n, at);
}

int __wrap_fdatasync(int fd)
{
    (void)fd;
    count();
    return 0; /* no power fails here, only the process */
}

int __wrap_ftruncate(int fd, off_t size)
{
    count();
    return __real_ftruncate(fd, size);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
    count();
    return __real_fallocate(fd, mode, at, n);
}

int __wrap_fsync(int fd)
{
    (void)fd;
    count();
    return 0;
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    count();
    return __real_renameat2(from_dir, from, to_dir, to, flags);
}

/* --- the vault of every try ------------------------------------------------------------------ */

#define KEYS     6
#define FILES    4
#define FILE_MAX ((size_t)2 << 20)

static const char provider_key[] = "sk-proj-0123456789abcdefghijWXYZ";
#define TENANT     rig_id(1)
#define ENGAGEMENT rig_id(11)
#define ENDED      rig_id(2) /* a tenant whose engagement has ended */
#define ENDED_WORK rig_id(12)

/* Shared with the children: what the server knows survives a keeper that is killed. */
struct world {
    struct rig r;
    struct {
        uint8_t sealed[256];
        size_t n;
    } keys[KEYS + 1];
    bool hastened; /* the last of them may be gone */
    struct {
        char name[256];
        size_t n;
        uint8_t *bytes;
    } files[FILES];
    size_t file_count;
};

static struct id key_id(size_t n)
{
    return (struct id){ { 9, (uint8_t)n } };
}

static void keep_files(struct world *w)
{
    DIR *dir = opendir(w->r.keyring);
    struct dirent *d;
    char path[400];

    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL) {
        if (d->d_name[0] == '.')
            continue;
        assert_true(w->file_count < FILES);
        snprintf(w->files[w->file_count].name, sizeof(w->files[0].name), "%s", d->d_name);
        snprintf(path, sizeof(path), "%s/%s", w->r.keyring, d->d_name);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        w->files[w->file_count].bytes = malloc(FILE_MAX);
        w->files[w->file_count].n = fread(w->files[w->file_count].bytes, 1, FILE_MAX, f);
        fclose(f);
        w->file_count++;
    }
    closedir(dir);
}

static void put_files_back(const struct world *w)
{
    char path[400];

    for (size_t i = 0; i < w->file_count; i++) {
        snprintf(path, sizeof(path), "%s/%s", w->r.keyring, w->files[i].name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(w->files[i].bytes, 1, w->files[i].n, f), w->files[i].n);
        fclose(f);
    }
}

static void put(struct world *w, size_t n, struct id tenant, struct id engagement)
{
    struct rig *r = &w->r;

    assert_int_equal(rig_put(r, tenant, engagement, key_id(n), 1, provider_key), OK);
    assert_true(r->result.data.n <= sizeof(w->keys[n].sealed));
    memcpy(w->keys[n].sealed, r->data, r->result.data.n);
    w->keys[n].n = r->result.data.n;
}

/* Three operators, two of whom open the vault, and a card. */
static struct world *world_new(void)
{
    struct world *w =
        mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct rig *r = people_new(3, 2, 1);

    assert_true(w != MAP_FAILED);
    w->r = *r;
    free(r);
    r = &w->r;
    rig_tenant(r, TENANT, ENGAGEMENT);
    rig_tenant(r, ENDED, ENDED_WORK);
    for (size_t i = 0; i < KEYS; i++)
        put(w, i, TENANT, ENGAGEMENT);
    put(w, KEYS, ENDED, ENDED_WORK);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                       .tenant = ENDED,
                                                       .engagement = ENDED_WORK }),
                     OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    keeper_free(r->k);
    r->k = NULL;
    keep_files(w);
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < w->file_count; i++)
        free(w->files[i].bytes);
    nftw(w->r.dir, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    munmap(w, sizeof(*w));
}

/* --- what is done ---------------------------------------------------------------------------- */

static unsigned armed;

static void arm(void)
{
    calls = 0;
    kill_at = armed;
}

static void unlock(struct world *w, const size_t *order, size_t people)
{
    for (size_t i = 0; i < people && rig_hello(&w->r).state == KEEPER_LOCKED; i++) {
        struct wire_slot slot;
        if (people_slot(&w->r, &w->r.slots[order[i]], &slot) && !slot.pending)
            assert_int_equal(rig_share(&w->r, order[i], NULL), OK);
    }
    assert_int_equal(rig_hello(&w->r).state, KEEPER_UNLOCKED);
    assert_int_equal(rig_load_heads(&w->r), OK);
}

static const size_t in_order[] = { 0, 1, 2, 3 };
static const size_t in_reverse[] = { 3, 2, 1, 0 };

/* Approved in peace, carried out with death near. */
static void do_near_death(struct world *w, struct wire_operation m)
{
    assert_int_equal(people_approve(&w->r, 0, &m), OK);
    assert_int_equal(people_approve(&w->r, 1, &m), OK);
    arm();
    assert_int_equal(people_carry_out(&w->r, &m), OK);
    people_settle(&w->r);
}

static void act_unlock(struct world *w)
{
    (void)w; /* see below: it is the unlock itself */
}

static void act_approve(struct world *w)
{
    struct wire_operation m = people_operation(OPERATION_REKEY_ROOT);

    arm();
    assert_int_equal(people_approve(&w->r, 0, &m), OK);
    assert_int_equal(people_card_approve(&w->r, 0, &m), DENIED);
    m = people_remove("carol");
    assert_int_equal(people_card_approve(&w->r, 0, &m), OK);
}

static void act_add(struct world *w)
{
    assert_int_equal(people_enrol(&w->r, 3, "dave"), OK);
    do_near_death(w, people_add(&w->r, 3, "dave"));
}

static void act_remove(struct world *w)
{
    do_near_death(w, people_remove("carol"));
}

static void act_quorum(struct world *w)
{
    struct wire_operation m = people_operation(OPERATION_QUORUM_SET);

    m.number = 3;
    do_near_death(w, m);
}

static void act_cards(struct world *w)
{
    struct wire_operation m = people_operation(OPERATION_CARD_RENEW);

    m.number = 2;
    box_public(SPAN(rig_card_private), m.recovery_key);
    do_near_death(w, m);
}

static void act_root(struct world *w)
{
    do_near_death(w, people_operation(OPERATION_REKEY_ROOT));
}

static void act_tenant(struct world *w)
{
    struct wire_operation m = people_operation(OPERATION_REKEY_TENANT);

    m.tenant = TENANT;
    assert_int_equal(people_approve(&w->r, 0, &m), OK);
    arm();
    assert_int_equal(people_carry_out(&w->r, &m), OK);
    people_settle(&w->r);
}

static void act_database(struct world *w)
{
    struct wire_operation m = people_operation(OPERATION_REKEY_DATABASE);

    assert_int_equal(people_approve(&w->r, 0, &m), OK);
    arm();
    assert_int_equal(people_carry_out(&w->r, &m), OK);
    assert_int_equal(rig_entry(&w->r, (struct wire_entry){ .kind = ENTRY_DATABASE_REKEYED }), OK);
}

static struct wire_operation about_ended(uint8_t code)
{
    struct wire_operation m = people_operation(code);

    m.tenant = ENDED;
    m.engagement = ENDED_WORK;
    return m;
}

static void act_hold(struct world *w)
{
    struct wire_operation lift = about_ended(OPERATION_HOLD_LIFT);

    assert_int_equal(people_approve(&w->r, 0, &lift), OK);
    assert_int_equal(people_approve(&w->r, 1, &lift), OK);
    do_near_death(w, about_ended(OPERATION_HOLD_SET));
    assert_int_equal(people_carry_out(&w->r, &lift), OK);
}

static void act_purge(struct world *w)
{
    w->hastened = true;
    do_near_death(w, about_ended(OPERATION_PURGE_NOW));
    keeper_tick(w->r.k);
}

/* --- what must be afterwards ----------------------------------------------------------------- */

static void check_key(struct world *w, size_t n, struct id tenant, status expected)
{
    struct wire_entry open =
        rig_open_entry(tenant, key_id(n), 1, span_of(w->keys[n].sealed, w->keys[n].n));

    assert_int_equal(rig_entry(&w->r, open), expected);
    if (expected == OK)
        assert_true(span_same(span_of(w->r.data, w->r.result.data.n), span_text(provider_key)));
}

static status destroy_ended(struct world *w)
{
    return rig_entry(&w->r, (struct wire_entry){ .kind = ENTRY_KEY_DESTROY,
                                                 .tenant = ENDED,
                                                 .key = key_id(KEYS),
                                                 .version = 1,
                                                 .reason = DESTROY_REVOKED });
}

static void check_trail(struct world *w)
{
    while (rig_hello(&w->r).journal_count > 0)
        assert_int_equal(people_folded(&w->r, RECORD_TOMBSTONE_ALARM), 0);
}

/* One seed for each tenant: what moved has arrived. */
static void check_seeds(struct world *w)
{
    size_t seeds = 0, engagements = 0;

    out_u64(rig_begin(&w->r, WIRE_CELLS), 0);
    assert_int_equal(rig_call(&w->r), OK);
    in_u64(&w->r.body);
    for (uint16_t left = in_u16(&w->r.body); left > 0; left--) {
        struct wire_cell cell;
        wire_get_cell(&w->r.body, &cell);
        seeds += cell.type == CELL_TENANT_SEED;
        engagements += cell.type == CELL_ENGAGEMENT;
    }
    assert_true(in_end(&w->r.body));
    assert_int_equal(seeds, engagements);
}

static void check_slots(struct world *w)
{
    rig_begin(&w->r, WIRE_SLOTS);
    assert_int_equal(rig_call(&w->r), OK);
    for (uint16_t left = in_u16(&w->r.body); left > 0; left--) {
        struct wire_slot slot;
        wire_get_slot(&w->r.body, &slot);
        assert_int_equal(slot.pending, 0);
    }
    assert_true(in_end(&w->r.body));
}

static void reopen(struct world *w, const size_t *order)
{
    rig_restart(&w->r);
    unlock(w, order, 4);
}

/* The card that the server knows of, if its slot is there; with alice. */
static void check_card(struct world *w)
{
    struct wire_slot slot;

    rig_restart(&w->r);
    if (!people_slot(&w->r, &w->r.cards[0], &slot))
        return;
    assert_int_equal(rig_card_share(&w->r, 0), OK);
    for (size_t key = 0; rig_hello(&w->r).state == KEEPER_LOCKED; key++)
        assert_int_equal(rig_share(&w->r, key, NULL), OK);
}

static void check(struct world *w)
{
    rig_open(&w->r);
    w->r.ack = 0;
    unlock(w, in_order, 4);
    for (size_t i = 0; i < KEYS; i += 3)
        check_key(w, i, TENANT, OK);
    check_trail(w);
    people_settle(&w->r);
    check_trail(w);
    check_slots(w);
    check_seeds(w);
    uint32_t epoch = rig_hello(&w->r).epoch;
    assert_int_equal(rig_batch(&w->r, NULL, 0), OK);
    check_card(w);
    reopen(w, in_reverse);
    people_settle(&w->r);
    assert_int_equal(rig_hello(&w->r).epoch, epoch);
    for (size_t i = 0; i < KEYS; i++)
        check_key(w, i, TENANT, OK);
    check_trail(w);
    if (!w->hastened)
        assert_int_equal(destroy_ended(w), OK);
    keeper_free(w->r.k);
}

/* --- every moment ---------------------------------------------------------------------------- */

static const struct scenario {
    const char *name;
    void (*act)(struct world *w);
} scenarios[] = {
    { "unlock", act_unlock },           { "approve", act_approve },
    { "operator.add", act_add },        { "operator.remove", act_remove },
    { "quorum.set", act_quorum },       { "card.renew", act_cards },
    { "rekey.root", act_root },         { "rekey.tenant", act_tenant },
    { "rekey.database", act_database }, { "hold", act_hold },
    { "purge.now", act_purge },
};

/* In a child, in which a failed assertion is its end: its signal, or 0. */
static int act_in_child(struct world *w, const struct scenario *s)
{
    int result = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        if (secret_start((size_t)1 << 20, NULL) != OK)
            _exit(1);
        rig_open(&w->r);
        w->r.ack = 0;
        if (s->act == act_unlock)
            arm();
        unlock(w, in_order, 4);
        s->act(w);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &result, 0), pid);
    return WIFSIGNALED(result) ? WTERMSIG(result) : WEXITSTATUS(result) == 0 ? 0 : -1;
}

static void check_scenario(void **state)
{
    const struct scenario *s = *state;
    struct world *w = world_new();
    static struct rig before;
    int result = SIGKILL;

    before = w->r;
    for (armed = 1; result == SIGKILL; armed++) {
        put_files_back(w);
        w->r = before;
        result = act_in_child(w, s);
        assert_true(result == SIGKILL || result == 0);
        check(w);
    }
    assert_true(armed > 8);
    world_free(w);
}

/* The last moment; after a failure the one at which it shows. */
static int say_when(void **state)
{
    print_message("killed at calls 1 to %u\n", armed);
    (void)state;
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[sizeof(scenarios) / sizeof(scenarios[0])];

    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        tests[i] = (struct CMUnitTest){ .name = scenarios[i].name,
                                        .test_func = check_scenario,
                                        .teardown_func = say_when,
                                        .initial_state = (void *)(uintptr_t)&scenarios[i] };
    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
