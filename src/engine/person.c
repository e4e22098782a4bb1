/*
 * Names of people do not stand in records but tags (ledger/person.h). What a tag means is made
 * with the first record that needs it, and is durable before the keeper is asked for that record:
 * a crash can leave a name without a record, never a record without its name.
 *
 * The cache is what the database holds and what it will hold with the next batch; it only saves
 * look-ups and may be emptied at any time but for the latter.
 */
#include "person.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "trail.h"

#define CACHE_MAX 4096
#define PAGE      100

struct known {
    uint8_t key[SHA256_SIZE]; /* of log and name */
    struct store_person p;
    struct known *next_new; /* not in the database yet */
};

struct persons {
    struct table known;
    struct known *first_new;
};

status persons_new(struct persons **ret_persons, struct err *e)
{
    struct persons *ps = calloc(1, sizeof *ps);

    if (ps == NULL)
        return fail(e, NO_MEMORY, "no memory for names", 0);
    table_init(&ps->known, SHA256_SIZE);
    *ret_persons = ps;
    return OK;
}

static void known_free(struct known *k)
{
    if (k != NULL)
        explicit_bzero(k->p.name, sizeof k->p.name); /* no secret, but to be forgotten */
    free(k);
}

void persons_free(struct persons *ps)
{
    size_t cursor = 0;
    struct known *k;

    if (ps == NULL)
        return;
    while ((k = table_next(&ps->known, &cursor)) != NULL)
        known_free(k);
    table_clear(&ps->known);
    free(ps);
}

static void key_of(const struct id *log, const char *name, uint8_t out[static SHA256_SIZE])
{
    struct label label;

    label_init(&label, "person-cache");
    label_id(&label, log);
    label_field(&label, span_text(name));
    sha256(label_view(&label), out);
}

/* Only when nothing new is in it. */
static void cache_empty(struct persons *ps)
{
    size_t cursor = 0;
    struct known *k;

    while ((k = table_next(&ps->known, &cursor)) != NULL)
        known_free(k);
    table_clear(&ps->known);
}

static void make_new(struct persons *ps, struct known *k, const struct id *log, const char *name)
{
    k->p.log = *log;
    snprintf(k->p.name, sizeof k->p.name, "%s", name);
    random_bytes((struct mspan){ k->p.salt, sizeof k->p.salt });
    person_tag(k->p.salt, span_text(name), k->p.tag);
    k->next_new = ps->first_new;
    ps->first_new = k;
}

static status know(struct engine *en, const struct id *log, const char *name,
                   const struct known **ret_known, struct err *e)
{
    struct persons *ps = en->persons;
    uint8_t key[SHA256_SIZE];
    struct err absent = { 0 };
    struct known *k;
    status st;

    key_of(log, name, key);
    *ret_known = k = table_find(&ps->known, key);
    if (k != NULL)
        return OK;
    if (ps->known.count >= CACHE_MAX && ps->first_new == NULL)
        cache_empty(ps);
    k = calloc(1, sizeof *k);
    if (k == NULL)
        return fail(e, NO_MEMORY, "no memory for a name", 0);
    memcpy(k->key, key, sizeof k->key);
    st = store_person(en->store, log, name, &k->p, &absent);
    if (st == OK || st == NOT_FOUND) {
        bool is_new = st == NOT_FOUND;

        st = table_add(&ps->known, k->key, k, e);
        if (st == OK && is_new)
            make_new(ps, k, log, name);
    } else {
        err_note(e, st, absent.where, absent.why, absent.detail);
    }
    if (st != OK)
        known_free(k);
    else
        *ret_known = k;
    return st;
}

status person_text_of(struct engine *en, const struct id *log, const char *name,
                      char out[static PERSON_TEXT_LENGTH + 1], struct err *e)
{
    const struct known *known;
    status st;

    if (en->persons == NULL || strlen(name) >= STORE_PERSON)
        return fail(e, BUG, "a name has no place", 0);
    st = know(en, log, name, &known, e);
    if (st == OK)
        person_text(known->p.tag, out);
    return st;
}

void fields_person(struct engine *en, struct fields *f, const char *member, const char *name,
                   const struct id *log)
{
    char text[PERSON_TEXT_LENGTH + 1];

    if (person_text_of(en, log, name, text, NULL) == OK)
        fields_text(f, member, text);
    else
        f->out.overflow = true; /* no record without the name behind it: the entry is refused */
}

bool persons_waiting(const struct engine *en)
{
    return en->persons != NULL && en->persons->first_new != NULL;
}

status persons_store(struct engine *en, struct err *e)
{
    struct persons *ps = en->persons;
    status st = OK;

    while (st == OK && ps->first_new != NULL) {
        struct known *k = ps->first_new;

        st = store_person_add(en->store, &k->p, e);
        ps->first_new = k->next_new;
        k->next_new = NULL;
    }
    return st;
}

/* --- the list -------------------------------------------------------------------------------- */

static json_t *person_json(const struct store_person *p)
{
    return json_pack("{s:o, s:o, s:s}", "tag", json_hex(SPAN(p->tag)), "salt",
                     json_hex(SPAN(p->salt)), "name", p->name);
}

APPLY(person_list)
{
    struct store_person page[PAGE];
    uint8_t after[PERSON_TAG];
    bool has_after = rq->after[0] != '\0';
    struct id log;
    size_t count = 0;
    status st = trail_find(en, rq, &log, e);

    if (st == OK && has_after && !hex_parse(rq->after, strlen(rq->after), after, sizeof after))
        st = fail(e, BAD_INPUT, "after is the tag of a person", 0);
    if (st == OK)
        st = store_people(en->store, &log, has_after ? after : NULL, page, PAGE, &count, e);
    if (st != OK)
        return st;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, person_json(&page[i]));
    rq->reply = json_pack("{s:o, s:o}", "people", list, "next",
                          count < PAGE ? json_null() : json_hex(SPAN(page[count - 1].tag)));
    return OK;
}

/* --- erasing --------------------------------------------------------------------------------- */

/* May the certificate's holder be named in the log? Of who else has the name a tenant hears
 * nothing. */
static bool may_come(const struct engine *en, const struct store_certificate *c,
                     const struct id *log)
{
    if (c->role == ROLE_GATEWAY)
        return false;
    if (id_is_zero(log))
        return true;
    if (c->role == ROLE_TENANT)
        return id_same(&c->tenant, log);
    return c->role != ROLE_AUDITOR || !c->limited || policy_assigned(en->policy, c->name, log);
}

static bool is_assigned(const struct engine *en, const char *name, const struct id *log)
{
    return id_is_zero(log) ? policy_assigned_count(en->policy, name) > 0
                           : policy_assigned(en->policy, name, log);
}

/* Whoever can still come in would be named again with the next request. */
static status check_gone(struct engine *en, const char *name, const struct id *log, struct err *e)
{
    if (is_assigned(en, name, log))
        return fail(e, CONFLICT, "tenants are still assigned to this person: unassign them first",
                    0);

    struct store_certificate page[PAGE];
    uint8_t after[32];
    uint64_t now = engine_now_us(en);
    size_t count = 0;
    status st = store_certificates(en->store, NULL, page, PAGE, &count, e);

    while (st == OK && count > 0) {
        for (size_t i = 0; i < count; i++) {
            const struct store_certificate *c = &page[i];

            if (c->revoked_us == 0 && c->not_after_us > now && strcmp(c->name, name) == 0 &&
                may_come(en, c, log))
                return fail(e, CONFLICT,
                            "this person's certificate is still valid: revoke it first", 0);
        }
        memcpy(after, page[count - 1].spki, sizeof after);
        st = store_certificates(en->store, after, page, PAGE, &count, e);
    }
    return st;
}

/* By name (or the text of a purpose), or by the tag as it stands in records. */
static status find_person(struct engine *en, const struct request *rq, const struct id *log,
                          struct store_person *ret_person, struct err *e)
{
    uint8_t tag[PERSON_TAG];
    struct err absent = { 0 };
    const char *name;
    status st = body_text(rq, "name", false, STORE_PERSON - 1, &name, e);

    if (st != OK)
        return st;
    if (person_parse(span_text(name), tag))
        st = store_person_by_tag(en->store, log, tag, ret_person, &absent);
    else
        st = store_person(en->store, log, name, ret_person, &absent);
    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "this log knows no such person", 0);
    return st == OK ? OK : err_note(e, st, absent.where, absent.why, absent.detail);
}

APPLY(person_erase)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_PERSON_ERASED };
    struct store_person *p = rq->plan = calloc(1, sizeof *p);
    char text[PERSON_TEXT_LENGTH + 1];
    struct fields f;
    status st;

    if (p == NULL)
        return fail(e, NO_MEMORY, "no memory to erase", 0);
    st = trail_find(en, rq, &entry.log, e);
    if (st == OK)
        st = find_person(en, rq, &entry.log, p, e);
    if (st == OK)
        st = check_gone(en, p->name, &entry.log, e);
    if (st != OK)
        return st;
    rq->log = entry.log;
    person_text(p->tag, text);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "person", text);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static void forget(struct engine *en, const struct store_person *p)
{
    uint8_t key[SHA256_SIZE];

    key_of(&p->log, p->name, key);
    known_free(table_remove(&en->persons->known, key));
}

COMPLETE(person_erased)
{
    struct store_person *p = rq->plan;
    char text[PERSON_TEXT_LENGTH + 1];
    status st = store_person_erase(en->store, &p->log, p->tag, e);

    (void)result;
    person_text(p->tag, text);
    if (st == OK)
        st = store_certificates_forget(en->store, &p->log, p->name, text, e);
    if (st != OK)
        return st;
    policy_forget(en->policy, &p->log, p->name, text);
    forget(en, p);
    explicit_bzero(p->name, sizeof p->name);
    en->erased = true; /* the WAL goes before this is answered */
    rq->reply = json_pack("{s:s}", "erased", text + 1);
    return OK;
}
