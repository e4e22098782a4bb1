/* Leases: a provider key is opened in the step that writes the record of it. */
#include "base/clock.h"
#include "value.h"

#define YEAR_10000_US ((uint64_t)253402300800 * SECOND_US)

static status lease_mac(struct keeper *k, const struct wire_entry *m, const struct id *lease,
                        uint8_t out[static LEASE_MAC_SIZE], struct err *e)
{
    struct lease_name name = { .tenant = m->tenant,
                               .lease = *lease,
                               .gateway = m->gateway,
                               .key = m->key,
                               .version = m->version,
                               .certificate = SPAN(m->certificate) };
    const struct secret *mac_key = NULL;

    status st = opened_mac(k, OPENED_LEASE, &mac_key, e);
    return st == OK ? keys_lease_mac(&k->keys, mac_key, &name, out, e) : st;
}

static void make_lease(struct batch *b, uint16_t type, const struct id *lease,
                       const struct cell *key)
{
    const struct wire_entry *m = b->entry;
    struct made *made = entry_make(b, &m->tenant, type);

    entry_put_key(made, m);
    fields_id(&made->fields, "lease_id", lease);
    fields_id(&made->fields, "gateway_id", &m->gateway);
    if (key != NULL)
        fields_id(&made->fields, "engagement_id", &key->engagement);
    fields_time(&made->fields, "expires", m->expires_us);
    if (delivery_asked(m))
        fields_text(&made->fields, "delivery", "sealed");
}

static status check_end(const struct wire_entry *m, struct err *e)
{
    if (m->expires_us == 0 || m->expires_us >= YEAR_10000_US)
        return fail(e, BAD_INPUT, "a lease needs an end", 0);
    return OK;
}

/* A live key of the tenant in an engagement that has not ended. *ret_opened: NULL if it cannot be
 * kept. */
static status find_leasable(struct keeper *k, const struct wire_entry *m, struct cell *ret_cell,
                            struct opened_key **ret_opened, struct err *e)
{
    status st = entry_tenant(k, m, e);

    if (st == OK)
        st = check_end(m, e);
    if (st != OK)
        return st;
    *ret_opened = opened_find(k, &m->tenant, &m->key, m->version);
    if (*ret_opened != NULL) {
        *ret_cell = (*ret_opened)->cell;
        return OK;
    }
    st = entry_key(k, m, ret_cell, e);
    if (st == OK)
        st = entry_active(k, &m->tenant, &ret_cell->engagement, e);
    if (st == OK)
        *ret_opened = opened_keep(k, &m->tenant, ret_cell);
    return st;
}

static bool is_new(const struct wire_entry *m)
{
    return m->kind == ENTRY_KEY_OPEN && id_is_zero(&m->lease);
}

/* The system is asked once a batch: for as many as there are entries left that may want one. Each
 * is wiped as it is given out. */
static struct id next_lease_id(struct batch *b)
{
    struct id *from = b->lease_ids;
    struct id id;

    if (b->lease_ids_left == 0) {
        for (const struct wire_entry *m = b->entry; m < b->entries + b->entry_count; m++)
            b->lease_ids_left += is_new(m);
        random_bytes((struct mspan){ from->b, b->lease_ids_left * sizeof(*from) });
    }
    from += --b->lease_ids_left;
    id = *from;
    secret_wipe((struct mspan){ from->b, sizeof(from->b) });
    return id;
}

void lease_ids_end(struct batch *b)
{
    secret_wipe((struct mspan){ b->lease_ids->b, b->lease_ids_left * sizeof(b->lease_ids[0]) });
    b->lease_ids_left = 0;
}

/* For a new lease, or again for one that is named: the record says which. A server that names one
 * that never was has a record of it, as of any lease. */
status entry_key_open(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct id lease = m->lease;
    bool again = !is_new(m);
    struct opened_key *opened;
    struct cell cell;

    status st = find_leasable(k, m, &cell, &opened, e);
    if (st == OK)
        st = value_open(k, m, &cell, opened, &b->plain, e);
    if (st != OK)
        return st;
    if (!again)
        lease = next_lease_id(b);
    st = lease_mac(k, m, &lease, b->result.lease_mac, e);
    if (st != OK)
        return st;
    b->result.data = secret_view(b->plain);
    if (delivery_asked(m))
        st = delivery_seal(k, b, &lease, e);
    if (st != OK)
        return st;
    b->result.lease = lease;
    make_lease(b, again ? RECORD_LEASE_REPEATED : RECORD_LEASE_ISSUED, &lease, &cell);
    return OK;
}

static status check_token(struct keeper *k, const struct wire_entry *m, struct err *e)
{
    uint8_t mac[LEASE_MAC_SIZE];

    status st = lease_mac(k, m, &m->lease, mac, e);
    if (st == OK && !secret_equal(SPAN(mac), SPAN(m->lease_mac)))
        return fail(e, DENIED, "the lease token is not valid", 0);
    return st;
}

status entry_lease_renew(struct keeper *k, struct batch *b, struct err *e)
{
    struct opened_key *opened;
    struct cell cell;
    status st = check_token(k, b->entry, e);

    if (st == OK)
        st = find_leasable(k, b->entry, &cell, &opened, e);
    if (st != OK)
        return st;
    make_lease(b, RECORD_LEASE_RENEWED, &b->entry->lease, &cell);
    return OK;
}

status entry_lease_release(struct keeper *k, struct batch *b, struct err *e)
{
    status st = check_token(k, b->entry, e);

    if (st == OK)
        st = check_end(b->entry, e);
    if (st == OK)
        make_lease(b, RECORD_LEASE_RELEASED, &b->entry->lease, NULL);
    return st;
}
