/* Certificates issued by the built-in CA. */
#include "db.h"

#define SPKI_SIZE 32

static status limit(struct store *s, const struct store_certificate *c, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_CERTIFICATE_LIMIT, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, SPAN(c->spki));
    return query_run(&q, NULL, e);
}

static status add(struct store *s, const struct store_certificate *c, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_CERTIFICATE_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, SPAN(c->spki));
    query_put_number(&q, c->role);
    query_put_text(&q, c->name);
    query_put_id_or_null(&q, &c->tenant);
    query_put_id_or_null(&q, &c->gateway);
    query_put_number(&q, c->issued_us);
    query_put_number(&q, c->not_after_us);
    query_put_number(&q, c->revoked_us);
    return query_run(&q, NULL, e);
}

status store_certificate_add(struct store *s, const struct store_certificate *c, struct err *e)
{
    status st = add(s, c, e);

    return st == OK && c->limited ? limit(s, c, e) : st;
}

status store_certificate_revoke(struct store *s, const uint8_t spki[static 32], uint64_t time_us,
                                struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_CERTIFICATE_REVOKE, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, span_of(spki, SPKI_SIZE));
    query_put_number(&q, time_us);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such certificate", 0);
    return st;
}

static status get_certificate(struct query *q, struct store_certificate *ret_certificate,
                              struct err *e)
{
    struct store_certificate c = { 0 };
    status st = OK;

    query_get_bytes(q, c.spki, sizeof(c.spki));
    c.role = (uint8_t)query_get_number(q, UINT8_MAX);
    query_get_text(q, c.name, sizeof(c.name));
    query_get_id(q, &c.tenant);
    query_get_id(q, &c.gateway);
    c.issued_us = query_get_number(q, INT64_MAX);
    c.not_after_us = query_get_number(q, INT64_MAX);
    c.revoked_us = query_get_number(q, INT64_MAX);
    c.limited = query_get_number(q, 1) == 1;
    st = query_end(q, e);
    if (st == OK)
        *ret_certificate = c;
    return st;
}

status store_certificates(struct store *s, const uint8_t *after_spki,
                          struct store_certificate *ret_certificates, size_t cap, size_t *ret_count,
                          struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_CERTIFICATE_LIST, &q, e);

    if (st != OK)
        return st;
    /* The empty value is below all others, even one of only zeros. */
    query_put_span(&q, span_of(after_spki, after_spki != NULL ? SPKI_SIZE : 0));
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_certificate(&q, &ret_certificates[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

status store_certificates_forget(struct store *s, const struct id *tenant, const char *name,
                                 const char *instead, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_CERTIFICATE_FORGET, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, name);
    query_put_id_or_null(&q, tenant);
    query_put_text(&q, instead);
    return query_run(&q, NULL, e);
}
