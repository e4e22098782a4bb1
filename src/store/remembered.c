#include "remembered.h"

#include <stdlib.h>
#include <string.h>

#include "db.h"

/* Rows that a key may be in: what is leased in turn should not drive each other out. */
#define WAYS 4
#define SETS 256 /* a power of two */

struct row {
    char tenant[STORE_NAME];
    char key[STORE_NAME];
    struct store_leasable leasable;
    uint8_t *sealed; /* owned; NULL: nothing is here */
};

struct remembered {
    struct row rows[SETS][WAYS];
    unsigned next;                 /* the way that gives room if none is free */
    struct row *by_id[SETS][WAYS]; /* by the key's id; rows may be other keys' by now */
};

/* Changes that a lease makes, and what else happens while nobody changes a key. */
static const bool harmless[STATEMENT_COUNT] = {
    [SQL_BEGIN] = true,          [SQL_FACT_SET] = true,           [SQL_RECORD_ADD] = true,
    [SQL_HEAD_SET] = true,       [SQL_NOTE_SET] = true,           [SQL_NODE_ADD] = true,
    [SQL_TREE_NOTE_ADD] = true,  [SQL_TREE_NOTE_DROP] = true,     [SQL_COSIGNATURE_ADD] = true,
    [SQL_PERSON_ADD] = true,     [SQL_COSIGNATURE_DROP] = true,   [SQL_FIRST_USE_ADD] = true,
    [SQL_FIRST_USE_TOLD] = true, [SQL_FIRST_USE_TOLD_ALL] = true, [SQL_KEY_RATE_SET] = true,
};

static struct row *set_of(struct remembered *m, const char *tenant, const char *key)
{
    uint64_t h = 0xcbf29ce484222325U; /* FNV-1a */

    for (; *tenant != '\0'; tenant++)
        h = (h ^ (uint8_t)*tenant) * 0x100000001b3U;
    h = (h ^ '/') * 0x100000001b3U;
    for (; *key != '\0'; key++)
        h = (h ^ (uint8_t)*key) * 0x100000001b3U;
    return m->rows[(h ^ h >> 32) & (SETS - 1)];
}

static struct row *find(struct remembered *m, const char *tenant, const char *key)
{
    struct row *set = set_of(m, tenant, key);

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].sealed != NULL && strcmp(set[i].key, key) == 0 &&
            strcmp(set[i].tenant, tenant) == 0)
            return &set[i];
    }
    return NULL;
}

/* Its own, a free one, or that of another key. */
static struct row *take(struct remembered *m, const char *tenant, const char *key)
{
    struct row *set = set_of(m, tenant, key), *r = find(m, tenant, key);

    for (size_t i = 0; r == NULL && i < WAYS; i++) {
        if (set[i].sealed == NULL)
            r = &set[i];
    }
    if (r == NULL)
        r = &set[m->next++ % WAYS];
    free(r->sealed);
    r->sealed = NULL;
    return r;
}

bool remembered_find(const struct store *s, const char *tenant, const char *key,
                     struct store_leasable *ret_leasable)
{
    const struct row *r;

    if (s->remembered == NULL || s->failed)
        return false;
    r = find(s->remembered, tenant, key);
    if (r == NULL)
        return false;
    *ret_leasable = r->leasable;
    return true;
}

static struct row **by_id(struct remembered *m, const struct id *key)
{
    return m->by_id[(key->b[0] | (size_t)key->b[1] << 8) & (SETS - 1)];
}

static void note_id(struct remembered *m, struct row *r)
{
    struct row **set = by_id(m, &r->leasable.key.id), **at = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] == r)
            return;
        if (at == NULL && (set[i] == NULL || set[i]->sealed == NULL))
            at = &set[i];
    }
    *(at != NULL ? at : &set[m->next++ % WAYS]) = r;
}

bool remembered_find_by_id(const struct store *s, const struct id *tenant, const struct id *key,
                           struct store_leasable *ret_leasable)
{
    struct row **set;

    if (s->remembered == NULL || s->failed)
        return false;
    set = by_id(s->remembered, key);
    for (size_t i = 0; i < WAYS; i++) {
        const struct row *r = set[i];

        if (r == NULL || r->sealed == NULL || !id_same(&r->leasable.key.id, key) ||
            !id_same(&r->leasable.tenant.id, tenant))
            continue;
        *ret_leasable = r->leasable;
        return true;
    }
    return false;
}

void remembered_by_id_too(struct store *s, const char *tenant, const char *key)
{
    struct row *r = s->remembered == NULL ? NULL : find(s->remembered, tenant, key);

    if (r != NULL)
        note_id(s->remembered, r);
}

void remembered_keep(struct store *s, const char *tenant, const char *key,
                     const struct store_leasable *leasable)
{
    struct row *r;

    if (s->unsettled || leasable->sealed.n == 0 || strlen(tenant) >= sizeof r->tenant ||
        strlen(key) >= sizeof r->key)
        return;
    if (s->remembered == NULL)
        s->remembered = calloc(1, sizeof *s->remembered);
    if (s->remembered == NULL)
        return;
    r = take(s->remembered, tenant, key);
    r->sealed = malloc(leasable->sealed.n);
    if (r->sealed == NULL)
        return;
    memcpy(r->tenant, tenant, strlen(tenant) + 1);
    memcpy(r->key, key, strlen(key) + 1);
    memcpy(r->sealed, leasable->sealed.p, leasable->sealed.n);
    r->leasable = *leasable;
    r->leasable.sealed = span_of(r->sealed, leasable->sealed.n);
    note_id(s->remembered, r);
}

void remembered_changes(struct store *s, enum statement which)
{
    if (harmless[which])
        return;
    s->unsettled = s->transaction;
    remembered_forget(s);
}

void remembered_forget(struct store *s)
{
    for (size_t i = 0; s->remembered != NULL && i < SETS * WAYS; i++)
        free(s->remembered->rows[i / WAYS][i % WAYS].sealed);
    free(s->remembered);
    s->remembered = NULL;
}
