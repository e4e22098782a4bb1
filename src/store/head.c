/* The newest head of each log, as the keeper made it: what it needs to go on after a restart. */
#include "db.h"

status store_head_set(struct store *s, const struct id *log, uint64_t size, struct span head,
                      struct err *e)
{
    AUTO(query) q = { 0 };
    status st;

    if (tail_defers(s, head)) {
        tail_head(s, log, size, head);
        return OK;
    }
    st = query_begin(s, SQL_HEAD_SET, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, size);
    query_put_span(&q, head);
    st = query_run(&q, NULL, e);
    if (st == OK)
        tail_head(s, log, size, head);
    return st;
}

status store_heads(struct store *s, store_head_fn each, void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_HEAD_LIST, &q, e);

    while (st == OK) {
        struct id log;
        struct span head;
        uint64_t size = 0;
        bool row = false;

        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        query_get_id(&q, &log);
        size = query_get_number(&q, INT64_MAX);
        head = query_get_span(&q);
        st = query_end(&q, e);
        if (st == OK && !each(context, &log, size, head))
            break;
    }
    return st;
}

status store_log_size(struct store *s, const struct id *log, uint64_t *ret_size, struct err *e)
{
    AUTO(query) q = { 0 };
    uint64_t size = 0;
    bool row = false;
    status st = query_begin(s, SQL_HEAD_SIZE, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    st = query_step(&q, &row, e);
    if (st == OK && row)
        size = query_get_number(&q, INT64_MAX);
    if (st == OK)
        st = query_end(&q, e);
    if (st == OK)
        *ret_size = size;
    return st;
}
