/* What tags in records mean, and forgetting it. */
#include "store/person.h"

#include "db.h"

#define TAG 16

status store_person_add(struct store *s, const struct store_person *p, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_PERSON_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &p->log);
    query_put_span(&q, SPAN(p->tag));
    query_put_span(&q, SPAN(p->salt));
    query_put_text(&q, p->name);
    return query_run(&q, NULL, e);
}

static status get_person(struct query *q, struct store_person *ret_person, struct err *e)
{
    struct store_person p = { 0 };
    status st = OK;

    query_get_id(q, &p.log);
    query_get_bytes(q, p.tag, sizeof(p.tag));
    query_get_bytes(q, p.salt, sizeof(p.salt));
    query_get_text(q, p.name, sizeof(p.name));
    st = query_end(q, e);
    if (st == OK)
        *ret_person = p;
    return st;
}

static status get_one(struct query *q, struct store_person *ret_person, struct err *e)
{
    bool row = false;
    status st = query_step(q, &row, e);

    if (st == OK && !row)
        return fail(e, NOT_FOUND, "no such person", 0);
    return st == OK ? get_person(q, ret_person, e) : st;
}

status store_person(struct store *s, const struct id *log, const char *name,
                    struct store_person *ret_person, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_PERSON_BY_NAME, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_text(&q, name);
    return get_one(&q, ret_person, e);
}

status store_person_by_tag(struct store *s, const struct id *log, const uint8_t tag[static TAG],
                           struct store_person *ret_person, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_PERSON_BY_TAG, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_span(&q, span_of(tag, TAG));
    return get_one(&q, ret_person, e);
}

status store_people(struct store *s, const struct id *log, const uint8_t *after_tag,
                    struct store_person *ret_people, size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_PERSON_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    /* The empty value is below all others, even one of only zeros. */
    query_put_span(&q, span_of(after_tag, after_tag != NULL ? TAG : 0));
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_person(&q, &ret_people[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

status store_person_erase(struct store *s, const struct id *log, const uint8_t tag[static TAG],
                          struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_PERSON_ERASE, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_span(&q, span_of(tag, TAG));
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such person", 0);
    return st;
}
