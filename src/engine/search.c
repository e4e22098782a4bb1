/*
 * Records of a log that fit a filter. The engine's thread has other things to do: a request looks
 * at so many records and no more, says how far it came, and the client goes on from there. Times
 * never run backwards in a log, so the bounds in time are found by halving.
 */
#include "page.h"

#include <stdio.h>
#include <string.h>

#define SCAN_MAX 2000 /* records that one request looks at */

struct search {
    const struct record_filter *filter;
    struct page page;
    size_t wanted;
    size_t found;
    uint64_t next;                     /* where the next request goes on */
    bool over;                         /* nothing beyond is within the bounds in time */
    bool stopped;                      /* as many as wanted, or no memory */
    char key_path[2 * STORE_NAME + 1]; /* tenant/name */
    const char *key;                   /* name */
    char key_id[ID_HEX_LENGTH + 1];    /* "" if there is no such key */
    char actor[FILTER_TEXT + 40];      /* with the tag of a person's name; "" if it is no person */
};

static bool is_text(struct span value, const char *text)
{
    return span_same(value, span_text(text));
}

static bool has_field(const struct store_record *r, const char *name, const char *text)
{
    struct span value;

    return record_field(r->line, name, &value) && is_text(value, text);
}

/* Names contain no character that is escaped in a line. */
static bool by_actor(const struct store_record *r, const char *wanted)
{
    struct span actor;
    const uint8_t *colon;

    if (!record_field(r->line, "actor", &actor))
        return false;
    if (is_text(actor, wanted))
        return true;
    colon = memchr(actor.p, ':', actor.n);
    return colon != NULL &&
           is_text(span_of(colon + 1, actor.n - (size_t)(colon + 1 - actor.p)), wanted);
}

static bool by_gateway(const struct store_record *r, const char *wanted)
{
    static const char role[] = "gateway:";
    const size_t n = sizeof role - 1;
    struct span actor;

    if (has_field(r, "gateway", wanted))
        return true;
    return record_field(r->line, "actor", &actor) && actor.n > n && memcmp(actor.p, role, n) == 0 &&
           is_text(span_of(actor.p + n, actor.n - n), wanted);
}

static bool by_key(const struct search *s, const struct store_record *r)
{
    return has_field(r, "key", s->key) || has_field(r, "key", s->key_path) ||
           (s->key_id[0] != '\0' && has_field(r, "key_id", s->key_id));
}

static bool fits(const struct search *s, const struct store_record *r)
{
    const struct record_filter *f = s->filter;
    const char *type = record_type_name(r->type);

    if (f->has_outcome && r->outcome != f->outcome)
        return false;
    if (f->type[0] != '\0' && (type == NULL || strncmp(type, f->type, strlen(f->type)) != 0))
        return false;
    return (f->lease[0] == '\0' || has_field(r, "lease_id", f->lease) ||
            has_field(r, "lease", f->lease)) && /* what a gateway says of it */
           (f->actor[0] == '\0' || by_actor(r, f->actor) ||
            (s->actor[0] != '\0' && by_actor(r, s->actor))) &&
           (f->gateway[0] == '\0' || by_gateway(r, f->gateway)) &&
           (f->key[0] == '\0' || by_key(s, r));
}

static bool look_at(void *context, const struct store_record *r)
{
    struct search *s = context;
    const struct record_filter *f = s->filter;

    s->over = f->backwards ? r->time_us < f->since_us : r->time_us >= f->until_us;
    if (s->over)
        return false;
    s->next = f->backwards ? r->seq : r->seq + 1;
    if (!fits(s, r))
        return true;
    s->stopped = !page_add(&s->page, r) || ++s->found == s->wanted;
    return !s->stopped;
}

static bool note_time(void *context, const struct store_record *r)
{
    *(struct store_record *)context = *r; /* without its spans, which die */
    return false;
}

/* The first record of [0, size) that is not before time_us; size if there is none. */
static status first_at(struct engine *en, const struct id *log, uint64_t time_us, uint64_t size,
                       uint64_t *ret_seq, struct err *e)
{
    uint64_t low = 0, high = size;
    status st = OK;

    while (st == OK && low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct store_record r = { .seq = UINT64_MAX };

        st = store_records(en->store, log, middle, 1, note_time, &r, e);
        if (r.seq >= high || r.time_us >= time_us) /* from middle on, at least some are missing */
            high = middle;
        else
            low = r.seq + 1;
    }
    *ret_seq = low;
    return st;
}

/* Upwards from *at, or downwards below it: the bound in time that comes first. */
static status begin(struct engine *en, const struct request *rq, const struct id *log,
                    uint64_t *ret_at, struct err *e)
{
    const struct record_filter *f = rq->filter;
    uint64_t bound = 0;
    status st = OK;

    *ret_at = f->backwards ? f->before : rq->from;
    if (f->backwards && *ret_at > rq->log_size)
        *ret_at = rq->log_size;
    if (f->backwards ? f->until_us == UINT64_MAX : f->since_us == 0)
        return OK;
    st = first_at(en, log, f->backwards ? f->until_us : f->since_us, rq->log_size, &bound, e);
    if (f->backwards ? bound < *ret_at : bound > *ret_at)
        *ret_at = bound;
    return st;
}

/* The key by its path, its name, and if there is one by its id. */
static status name_key(struct engine *en, const struct request *rq, const struct id *log,
                       struct search *s, struct err *e)
{
    const char *tenant = rq->param[0];
    struct err absent = { 0 };
    struct store_key key;
    size_t n = strlen(tenant);
    status st;

    s->key = s->filter->key;
    if (strncmp(s->key, tenant, n) == 0 && s->key[n] == '/')
        s->key += n + 1;
    if (!name_valid(s->key))
        return OK;
    snprintf(s->key_path, sizeof s->key_path, "%.63s/%.63s", tenant, s->key);
    st = store_key(en->store, log, s->key, &key, &absent);
    if (st == OK)
        hex_format(SPAN(key.id.b), s->key_id);
    if (st == NOT_FOUND)
        return OK;
    return st == OK ? OK : err_note(e, st, absent.where, absent.why, absent.detail);
}

/* People stand in records by the tag of their name. */
static status name_actor(struct engine *en, const struct id *log, struct search *s, struct err *e)
{
    const char *wanted = s->filter->actor;
    const char *colon = strchr(wanted, ':');
    const char *name = colon != NULL ? colon + 1 : wanted;
    char tag[PERSON_TEXT_LENGTH + 1];
    struct err absent = { 0 };
    struct store_person person;
    status st = store_person(en->store, log, name, &person, &absent);

    if (st == NOT_FOUND)
        return OK;
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    person_text(person.tag, tag);
    snprintf(s->actor, sizeof s->actor, "%.*s%s", (int)(name - wanted), wanted, tag);
    return OK;
}

status log_search(struct engine *en, struct request *rq, const struct id *log, struct err *e)
{
    const struct record_filter *f = rq->filter;
    struct search s = { .filter = f, .wanted = page_limit(rq) };
    uint64_t at = 0;
    status st = begin(en, rq, log, &at, e);

    s.next = at;
    if (st == OK && f->key[0] != '\0')
        st = name_key(en, rq, log, &s, e);
    if (st == OK && f->actor[0] != '\0')
        st = name_actor(en, log, &s, e);
    if (st == OK && f->backwards)
        st = store_records_before(en->store, log, at, SCAN_MAX, look_at, &s, e);
    else if (st == OK)
        st = store_records(en->store, log, at, SCAN_MAX, look_at, &s, e);
    if (st != OK)
        return page_abandon(&s.page, st);
    /* The store had no more, or none within the bounds. */
    if (s.over || (!s.stopped && (f->backwards ? at - s.next : s.next - at) < SCAN_MAX))
        s.next = f->backwards ? 0 : at > rq->log_size ? at : rq->log_size;
    rq->page_end = s.next;
    if (!f->backwards && s.found == 0) /* who waits and is woken looks at what is new */
        rq->from = s.next;
    if (f->backwards || s.next < rq->log_size) /* there is more to look at already */
        rq->wait_s = rq->wait_until = 0;
    return page_finish(en, rq, &s.page, log, e);
}
