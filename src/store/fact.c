/* Facts about the vault as name and value. */
#include "db.h"

status store_fact_set(struct store *s, const char *name, struct span value, struct err *e)
{
    AUTO(query) q = { 0 };
    status st;

    if (tail_is_carried(name) && tail_defers(s, value)) {
        tail_fact(s, name, value);
        return OK;
    }
    st = query_begin(s, SQL_FACT_SET, &q, e);
    if (st != OK)
        return st;
    query_put_text(&q, name);
    query_put_span(&q, value);
    st = query_run(&q, NULL, e);
    if (st == OK)
        tail_fact(s, name, value);
    return st;
}

status store_fact(struct store *s, const char *name, struct span *ret_value, struct err *e)
{
    AUTO(query) q = { 0 };
    struct span value;
    bool row = false;
    status st = query_begin(s, SQL_FACT_GET, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, name);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such fact", 0);
    value = query_get_view(&q);
    st = query_end(&q, e);
    if (st == OK)
        *ret_value = value;
    return st;
}
