#include "rate.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/table.h"
#include "internal.h"

#define SECOND_NS UINT64_C(1000000000)

/* The next request is due at next_ns if all come evenly; up to a second ahead of that is fine. */
struct meter {
    struct id of;
    uint64_t next_ns; /* monotonic */
};

struct rates {
    struct table gateways; /* by id; as many as the vault has */
    struct table tenants;
};

status rates_new(struct rates **ret_rates, struct err *e)
{
    struct rates *r = calloc(1, sizeof *r);

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory for rates", 0);
    table_init(&r->gateways, sizeof(struct id));
    table_init(&r->tenants, sizeof(struct id));
    *ret_rates = r;
    return OK;
}

void rates_free(struct rates *r)
{
    if (r == NULL)
        return;
    table_clear_values(&r->gateways);
    table_clear_values(&r->tenants);
    free(r);
}

static struct meter *meter_of(struct table *t, const struct id *of)
{
    struct meter *m = table_find(t, of->b);

    if (m != NULL)
        return m;
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->of = *of;
    if (table_add(t, m->of.b, m, NULL) == OK)
        return m;
    free(m);
    return NULL;
}

/* Whole seconds until there is room again; 0: there is. */
static unsigned take(struct table *t, const struct id *of, uint64_t rate)
{
    struct meter *m = meter_of(t, of);
    uint64_t now = clock_monotonic_us() * 1000, each = SECOND_NS / rate;

    if (m == NULL) /* without memory there are other worries */
        return 0;
    if (m->next_ns < now)
        m->next_ns = now;
    if (m->next_ns + each > now + SECOND_NS)
        return (unsigned)((m->next_ns + each - now - SECOND_NS) / SECOND_NS) + 1;
    m->next_ns += each;
    return 0;
}

/* Once a request, however often it is decided. */
static bool exceeds(struct engine *en, struct request *rq, unsigned which, struct table *t,
                    const struct id *of, uint64_t rate)
{
    uint8_t bit = (uint8_t)(1u << which);

    if (rate == 0 || (rq->charged & bit) != 0)
        return false;
    rq->charged |= bit;
    rq->retry_after_s = take(t, of, rate);
    en->metrics.limited[which] += rq->retry_after_s != 0;
    return rq->retry_after_s != 0;
}

status rate_gateway(struct engine *en, struct request *rq, struct err *e)
{
    if (!exceeds(en, rq, LIMITED_BY_GATEWAY, &en->rates->gateways, &rq->gateway,
                 en->settings.gateway_rate))
        return OK;
    return fail(e, LIMIT, "this gateway asks for leases faster than its rate: try again later", 0);
}

status rate_tenant(struct engine *en, struct request *rq, const struct id *tenant, struct err *e)
{
    if (!exceeds(en, rq, LIMITED_BY_TENANT, &en->rates->tenants, tenant, en->settings.tenant_rate))
        return OK;
    return fail(e, LIMIT, "this tenant's keys are leased faster than its rate: try again later", 0);
}
