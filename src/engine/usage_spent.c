/* What was spent lately, by tenant and by key, a ring of days each. A tenant is read from the
 * database when it is asked for first, and followed from then on. */
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"

#define DAY_US (DAY_S * SECOND_US)

/* A tenant's, or a key's: both identifiers are random, and one is never the other. */
struct spent {
    struct id id;
    uint64_t newest;                       /* day */
    uint64_t cost_micro[USAGE_SPENT_DAYS]; /* of day d at d modulo the length */
};

struct spending {
    struct table table;
};

status spending_new(struct spending **ret_spending, struct err *e)
{
    struct spending *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fail(e, NO_MEMORY, "no memory for what was spent", 0);
    table_init(&s->table, sizeof(struct id));
    *ret_spending = s;
    return OK;
}

void spending_free(struct spending *s)
{
    if (s == NULL)
        return;
    table_clear_values(&s->table);
    free(s);
}

static status find_or_make(struct spending *s, const struct id *id, struct spent **ret_spent,
                           struct err *e)
{
    struct spent *spent = *ret_spent = table_find(&s->table, id->b);
    status st;

    if (spent != NULL)
        return OK;
    spent = calloc(1, sizeof *spent);
    if (spent == NULL)
        return fail(e, NO_MEMORY, "no memory for what was spent", 0);
    spent->id = *id;
    st = table_add(&s->table, spent->id.b, spent, e);
    if (st != OK)
        free(spent);
    else
        *ret_spent = spent;
    return st;
}

/* The day's sum; NULL of a day that the ring has no room for any more. */
static uint64_t *sum_of(struct spent *spent, uint64_t day)
{
    if (day + USAGE_SPENT_DAYS <= spent->newest)
        return NULL;
    if (day > spent->newest + USAGE_SPENT_DAYS)
        spent->newest = day - USAGE_SPENT_DAYS;
    while (spent->newest < day)
        spent->cost_micro[++spent->newest % USAGE_SPENT_DAYS] = 0;
    return &spent->cost_micro[day % USAGE_SPENT_DAYS];
}

static void add(struct spent *spent, uint64_t day, uint64_t cost_micro)
{
    uint64_t *sum = sum_of(spent, day);

    if (sum != NULL)
        *sum = *sum + cost_micro < STORE_SUM_MAX ? *sum + cost_micro : STORE_SUM_MAX;
}

status spending_add(struct spending *s, const struct store_usage *u, struct err *e)
{
    struct spent *of_tenant = table_find(&s->table, u->tenant.b);
    struct spent *of_key;
    status st;

    if (of_tenant == NULL) /* it will be read when somebody asks */
        return OK;
    st = find_or_make(s, &u->key, &of_key, e);
    if (st != OK)
        return st;
    add(of_tenant, u->day, u->cost_micro);
    add(of_key, u->day, u->cost_micro);
    return OK;
}

struct loading {
    struct spending *spending;
    struct spent *of_tenant;
    struct err *e;
    status st;
};

static bool load_cost(void *context, const struct id *key, uint64_t day, uint64_t cost_micro)
{
    struct loading *l = context;
    struct spent *spent;
    uint64_t *sum;

    l->st = find_or_make(l->spending, key, &spent, l->e);
    if (l->st != OK)
        return false;
    sum = sum_of(spent, day);
    if (sum != NULL) /* not added: an attempt that failed may have left something */
        *sum = cost_micro;
    add(l->of_tenant, day, cost_micro);
    return true;
}

/* Half of a tenant in memory would be taken for the whole. */
static status know_tenant(struct engine *en, const struct id *tenant, uint64_t today, struct err *e)
{
    struct table *table = &en->tally->spending->table;
    struct loading loading = { .spending = en->tally->spending, .e = e };
    uint64_t from = today < USAGE_SPENT_DAYS ? 0 : today - USAGE_SPENT_DAYS + 1;
    status st;

    if (table_find(table, tenant->b) != NULL)
        return OK;
    st = find_or_make(en->tally->spending, tenant, &loading.of_tenant, e);
    if (st == OK)
        st = store_usage_costs(en->store, tenant, from, load_cost, &loading, e);
    if (st == OK)
        st = loading.st;
    if (st != OK)
        free(table_remove(table, tenant->b));
    return st;
}

status usage_spent(struct engine *en, const struct id *tenant, const struct id *key,
                   uint64_t since_us, uint64_t *ret_micro, struct err *e)
{
    uint64_t today = engine_now_us(en) / DAY_US;
    uint64_t from = since_us / DAY_US;
    const struct spent *spent;
    uint64_t sum = 0;
    status st;

    if (from + USAGE_SPENT_DAYS <= today)
        return fail(e, LIMIT, "what was spent so long ago is not remembered", 0);
    st = know_tenant(en, tenant, today, e);
    if (st != OK)
        return st;
    spent = table_find(&en->tally->spending->table, key != NULL ? key->b : tenant->b);
    /* The newest day may be behind today, or (a record's time) a moment before it. */
    for (uint64_t day = from; spent != NULL && day <= spent->newest; day++) {
        if (day + USAGE_SPENT_DAYS > spent->newest)
            sum += spent->cost_micro[day % USAGE_SPENT_DAYS];
    }
    *ret_micro = sum;
    return OK;
}
