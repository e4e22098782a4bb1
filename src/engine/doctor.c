/*
 * What is wrong with this vault as far as the daemon can tell, and what to do about it. One table;
 * a protection of the processes is a row of sandbox/hygiene.h, which speaks for itself.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rollback.h"
#include "sandbox/hygiene.h"
#include "session.h"
#include "tls_files.h"

#define SOON_US     (30 * DAY_S * SECOND_US) /* certificates are renewed in their last 30 days */
#define STILL_S_MAX 60 /* of an open vault: a rotation takes a step many times a second */
#define DETAIL      160
#define PAGE        100

/* What the checks look at beside the engine, and what they add to their sentence. */
struct facts {
    struct ways_in ways;
    char detail[DETAIL];
};

static void detail(struct facts *f, const char *text)
{
    snprintf(f->detail, sizeof f->detail, "%s", text);
}

static bool is_broken(struct engine *en, struct facts *f)
{
    if (en->state != VAULT_BROKEN)
        return false;
    detail(f, en->broken_why);
    return true;
}

static bool is_rolled_back(struct engine *en, struct facts *f)
{
    if (en->state != VAULT_ROLLED_BACK)
        return false;
    detail(f, rollback_why(en));
    return true;
}

static bool allows_missing(struct engine *en, struct facts *f)
{
    const struct hygiene_row *row;

    for (size_t i = 0; (row = hygiene_row(i)) != NULL; i++) {
        size_t n = strlen(f->detail);

        if ((en->settings.hygiene_allowed & row->fact) != 0)
            snprintf(f->detail + n, sizeof f->detail - n, "%s%s", n > 0 ? ", " : "", row->name);
    }
    return en->settings.hygiene_allowed != 0;
}

static bool allows_copies(struct engine *en, struct facts *f)
{
    (void)f;
    return en->settings.allow_copy_on_write;
}

static bool disk_is_low(struct engine *en, struct facts *f)
{
    (void)f;
    return schedule_disk_low(en);
}

static bool clock_is_held(struct engine *en, struct facts *f)
{
    (void)f;
    return en->hello.clock_held != 0;
}

static bool cards_were_used(struct engine *en, struct facts *f)
{
    (void)f;
    return en->hello.cards_used > 0;
}

static bool one_key_is_all(struct engine *en, struct facts *f)
{
    (void)en;
    return f->ways.keys <= 1 && f->ways.cards == 0;
}

static bool one_operator(struct engine *en, struct facts *f)
{
    (void)f;
    return en->hello.operators <= 1;
}

/* A quorum of one is what one_operator is about. */
static bool all_operators_needed(struct engine *en, struct facts *f)
{
    (void)f;
    return en->hello.operators > 1 && en->hello.need >= en->hello.operators;
}

static bool rotation_stands(struct engine *en, struct facts *f)
{
    if (en->hello.rekey == 0)
        return false;
    if (en->state != VAULT_UNLOCKED)
        detail(f, "the vault is locked");
    return en->state != VAULT_UNLOCKED || en->rotation_still_s > STILL_S_MAX;
}

/* An open vault writes them within a second. */
static bool journal_waits(struct engine *en, struct facts *f)
{
    (void)f;
    return en->state == VAULT_LOCKED && en->hello.journal_count > 0;
}

static void detail_end(struct facts *f, uint64_t not_after_us, uint64_t now_us)
{
    char text[TIME_TEXT_LENGTH + 1];

    time_format(not_after_us, text);
    snprintf(f->detail, sizeof f->detail, "%s on %.10s", not_after_us < now_us ? "ended" : "ends",
             text);
}

static bool server_ends_soon(struct engine *en, struct facts *f)
{
    uint64_t not_after_us = 0, now_us = engine_now_us(en);

    if (tls_files_end(en, &not_after_us, NULL) != OK) {
        detail(f, "it cannot be read");
        return true;
    }
    detail_end(f, not_after_us, now_us);
    return not_after_us < now_us + SOON_US;
}

/* {name: end of the last certificate of this role that was not revoked} */
static status ends_by_name(struct engine *en, enum role role, json_t *ends, struct err *e)
{
    struct store_certificate page[PAGE];
    uint8_t after[32];
    size_t count = PAGE;

    for (bool first = true; count == PAGE; first = false) {
        status st = store_certificates(en->store, first ? NULL : after, page, PAGE, &count, e);

        if (st != OK)
            return st;
        for (size_t i = 0; i < count; i++) {
            const struct store_certificate *c = &page[i];
            json_int_t end = (json_int_t)c->not_after_us;

            memcpy(after, c->spki, sizeof after);
            if (c->role == role && c->revoked_us == 0 &&
                end > json_integer_value(json_object_get(ends, c->name)))
                json_object_set_new(ends, c->name, json_integer(end));
        }
    }
    return OK;
}

/* Whoever has a newer one beside the old one is fine. */
static bool holders_end_soon(struct engine *en, enum role role, struct facts *f)
{
    uint64_t limit = engine_now_us(en) + SOON_US;
    json_t *ends = json_object();
    const char *name;
    json_t *end;
    status st = ends_by_name(en, role, ends, NULL);

    if (st != OK)
        detail(f, "the database cannot be read");
    json_object_foreach(ends, name, end)
    {
        size_t n = strlen(f->detail);

        if ((uint64_t)json_integer_value(end) < limit && n < sizeof f->detail - STORE_NAME - 3)
            snprintf(f->detail + n, sizeof f->detail - n, "%s%s", n > 0 ? ", " : "", name);
    }
    json_decref(ends);
    return f->detail[0] != '\0';
}

static bool operators_end_soon(struct engine *en, struct facts *f)
{
    return holders_end_soon(en, ROLE_OPERATOR, f);
}

static bool gateways_end_soon(struct engine *en, struct facts *f)
{
    return holders_end_soon(en, ROLE_GATEWAY, f);
}

static bool grants_without_touch(struct engine *en, struct facts *f)
{
    (void)f;
    return !en->settings.grant_step_up;
}

static bool never_locks_itself(struct engine *en, struct facts *f)
{
    (void)f;
    return !en->settings.locks_itself;
}

#define ANY   VAULT_ANY
#define THERE (VAULT_LOCKED | VAULT_UNLOCKED)
#define OPEN  VAULT_UNLOCKED

static const struct check {
    const char *name;
    uint8_t states;    /* of the vault, in which it can be told */
    const char *state; /* of the finding, if wrong says so */
    bool (*wrong)(struct engine *en, struct facts *f);
    const char *fine;
    const char *what; /* without the full stop: the detail follows, if there is one */
    const char *todo;
} checks[] = {
    { "vault-state", ANY, "fail", is_broken, "The vault is not broken.", "The vault is broken",
      "Mend what the reason names, then restart strongroomd." },
    { "rollback", ANY, "fail", is_rolled_back, "Database and keyring belong together.",
      "Keyring or database was put back to an older state",
      "Lock, and put back the one that belongs there; or, if it is lost, 'strongroom rollback "
      "accept' gives up what is newer." },
    { "allow-missing", ANY, "warn", allows_missing, "No protection is allowed to be missing.",
      "The daemon starts without protections that allow_missing names",
      "Take them out of allow_missing once 'strongroomd --check' does not miss them." },
    { "copy-on-write", ANY, "warn", allows_copies,
      "The keyring is on a file system that overwrites in place.",
      "allow_copy_on_write is on: destroyed keys may survive as old copies",
      "Move data_dir to ext4 or XFS on a disk without snapshots, and turn the setting off." },
    { "disk-space", ANY, "fail", disk_is_low, "There is disk space beyond the reserve.",
      "Free disk space is below disk_reserve_mib: new leases and keys are refused",
      "Free space; lock, revoke and purge still work." },
    { "clock-held", THERE, "fail", clock_is_held, "The clock has not jumped.",
      "The clock jumped ahead, and keys that are due are not destroyed",
      "Compare it with another clock, then run 'strongroom clock confirm'." },
    { "recovery-cards", THERE, "warn", cards_were_used, "No recovery card has been used.",
      "A recovery card has been used: its code was seen by a computer",
      "Make new cards with 'strongroom card renew'." },
    { "spare-key", THERE, "fail", one_key_is_all, "No single loss takes the vault with it.",
      "There is one hardware key and no recovery card: if it is lost, all is lost",
      "Make a card with 'strongroom card renew', or enrol a second key with 'strongroom operator "
      "add'." },
    { "operators", THERE, "warn", one_operator, "There are several operators.",
      "There is only one operator: nobody else can open the vault but with a recovery card",
      "Enrol a second one with 'strongroom operator add NAME'." },
    { "quorum-margin", THERE, "warn", all_operators_needed,
      "The quorum does not need every operator.",
      "All operators are needed: without any one of them the vault stays locked",
      "Enrol one more with 'strongroom operator add NAME', or lower the quorum with 'strongroom "
      "quorum set K'." },
    { "rotation", THERE, "warn", rotation_stands, "No rotation stands still.",
      "A rotation of keys does not move on",
      "Unlock the vault; if it is open, look at disk space and the daemon's log." },
    { "journal", THERE, "warn", journal_waits, "No entries wait for the audit trail.",
      "The keeper has entries that are not in the audit trail yet",
      "Unlock the vault: they are written then." },
    { "server-certificate", THERE, "warn", server_ends_soon,
      "The server's certificate is good for more than 30 days.",
      "The server's certificate needs to be renewed",
      "Unlock the vault: it renews it by itself; else look at the daemon's log." },
    { "operator-certificates", OPEN, "warn", operators_end_soon,
      "The certificates of all operators are good for more than 30 days.",
      "Certificates of operators end within 30 days or have ended",
      "They make a request with 'strongroom certificate request'; 'strongroom certificate issue "
      "--role operator' signs it." },
    { "gateway-certificates", OPEN, "warn", gateways_end_soon,
      "The certificates of all gateways are good for more than 30 days.",
      "Certificates of gateways end within 30 days or have ended",
      "Admit each again with a new key: 'strongroom gateway remove', then 'gateway add'." },
    { "grant-step-up", ANY, "warn", grants_without_touch, "A grant takes an operator's touch.",
      "grant_step_up is off: a stolen admin certificate is enough to lease any key",
      "Set grant_step_up = yes." },
    { "self-lock", ANY, "ok", never_locks_itself, "The vault locks itself.",
      "The vault never locks itself: unlocked_max_s and idle_lock_s are 0", NULL },
};

#define CHECK_COUNT (sizeof checks / sizeof checks[0])

static json_t *finding(const char *name, const char *state, const char *what, const char *todo)
{
    return json_pack("{s:s, s:s, s:s, s:s?}", "name", name, "state", state, "what", what, "do",
                     todo);
}

static json_t *run_check(struct engine *en, const struct check *c, struct facts *f)
{
    char what[256 + DETAIL];

    f->detail[0] = '\0';
    if ((c->states & en->state) == 0) {
        snprintf(what, sizeof what, "Not checked: the vault is %s.", vault_state_name(en->state));
        return finding(c->name, "unchecked", what, NULL);
    }
    if (!c->wrong(en, f))
        return finding(c->name, "ok", c->fine, NULL);
    snprintf(what, sizeof what, "%s%s%s.", c->what, f->detail[0] != '\0' ? ": " : "", f->detail);
    return finding(c->name, c->state, what, c->todo);
}

/* What keeper and server measured of themselves when they started. */
static json_t *protection(const struct engine *en, const struct hygiene_row *row)
{
    bool keeper = (row->expected & HYGIENE_KEEPER) != 0 && (en->hello.hygiene & row->fact) == 0;
    bool server = (row->expected & HYGIENE_SERVER) != 0 && (en->settings.hygiene & row->fact) == 0;
    char what[256];

    if (!keeper && !server)
        return finding(row->name, "ok", "Keeper and server have this protection.", NULL);
    snprintf(what, sizeof what, "%s: %s",
             keeper && server ? "keeper and server"
             : keeper         ? "keeper"
                              : "server",
             row->missing);
    return finding(row->name, "warn", what, row->remedy);
}

APPLY(vault_doctor)
{
    const struct hygiene_row *row;
    struct facts f = { .ways = { 0 } };
    json_t *list;
    status st = engine_hello(en, e);

    if (st == OK && (en->state & THERE) != 0)
        st = session_ways_in(en, rq, &f.ways, e);
    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < CHECK_COUNT; i++)
        json_array_append_new(list, run_check(en, &checks[i], &f));
    for (size_t i = 0; (row = hygiene_row(i)) != NULL; i++) {
        if ((row->expected & (HYGIENE_KEEPER | HYGIENE_SERVER)) != 0)
            json_array_append_new(list, protection(en, row));
    }
    rq->reply = json_pack("{s:o}", "checks", list);
    return OK;
}

/* Called each second of an open vault. */
void doctor_watch(struct engine *en)
{
    uint64_t at = (uint64_t)en->hello.rekey << 32 | (en->hello.rekey_done + en->database.left);
    bool moves = en->hello.rekey == 0 || at != en->rotation_at;

    en->rotation_still_s = moves ? 0 : en->rotation_still_s + 1;
    en->rotation_at = at;
}
