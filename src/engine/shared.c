#include "shared.h"

#include <stdlib.h>
#include <string.h>

#define SHARED_MAX 256 /* values at once; the least recently used one makes room */

struct share {
    uint8_t asked[SHA256_SIZE]; /* by whom, and for what */
    struct id lease, tenant, key;
    uint32_t version;
    uint64_t used; /* a clock of uses */
    json_t *reply;
    struct secret *value; /* NULL: nothing is shared here */
};

struct shared {
    struct share list[SHARED_MAX];
    uint64_t uses;
};

status shared_new(struct shared **ret_shared, struct err *e)
{
    *ret_shared = calloc(1, sizeof **ret_shared);
    return *ret_shared == NULL ? fail(e, NO_MEMORY, "no memory for shared leases", 0) : OK;
}

static void drop(struct share *s)
{
    json_decref(s->reply);
    secret_free(s->value);
    *s = (struct share){ .used = 0 };
}

void shared_free(struct shared *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < SHARED_MAX; i++)
        drop(&s->list[i]);
    free(s);
}

/* The certificate, and the body in one form. false: no memory. */
static bool hash_asked(const struct request *rq, uint8_t out[static SHA256_SIZE])
{
    char *text = json_dumps(rq->body, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t both[2 * SHA256_SIZE];
    json_malloc_t take;
    json_free_t give;

    if (text == NULL)
        return false;
    memcpy(both, rq->peer.spki, SHA256_SIZE);
    sha256(span_text(text), both + SHA256_SIZE);
    sha256(SPAN(both), out);
    json_get_alloc_funcs(&take, &give);
    give(text);
    return true;
}

static struct share *find(struct engine *en, const uint8_t asked[static SHA256_SIZE])
{
    for (size_t i = 0; i < SHARED_MAX; i++) {
        struct share *s = &en->shared->list[i];

        if (s->value != NULL && span_same(SPAN(s->asked), span_of(asked, SHA256_SIZE)))
            return s;
    }
    return NULL;
}

static bool is_live(struct engine *en, const struct share *s)
{
    struct lease held;

    return leases_find(en->leases, &s->lease, engine_now_us(en), &held);
}

static bool is_current(struct engine *en, const struct share *s)
{
    struct store_key key;

    return store_key_by_id(en->store, &s->tenant, &s->key, &key, NULL) == OK &&
           key.version == s->version;
}

bool shared_there(struct engine *en, const struct request *rq)
{
    uint8_t asked[SHA256_SIZE];
    const struct share *s = hash_asked(rq, asked) ? find(en, asked) : NULL;

    return s != NULL && is_live(en, s) && is_current(en, s);
}

bool shared_use(struct engine *en, struct request *rq, const struct id *key, uint32_t version)
{
    uint8_t asked[SHA256_SIZE];
    struct share *s = hash_asked(rq, asked) ? find(en, asked) : NULL;

    if (s == NULL)
        return false;
    if (!is_live(en, s) || !id_same(&s->key, key) || s->version != version) {
        drop(s);
        return false;
    }
    if (secret_copy(secret_view(s->value), &rq->value, NULL) != OK)
        return false;
    rq->reply = json_deep_copy(s->reply);
    if (rq->reply == NULL) {
        secret_free(rq->value);
        rq->value = NULL;
        return false;
    }
    s->used = ++en->shared->uses;
    return true;
}

/* A place for one more. */
static struct share *make_room(struct engine *en)
{
    struct share *oldest = &en->shared->list[0];

    for (size_t i = 0; i < SHARED_MAX; i++) {
        struct share *s = &en->shared->list[i];

        if (s->value == NULL)
            return s;
        if (s->used < oldest->used)
            oldest = s;
    }
    drop(oldest);
    return oldest;
}

/* Without memory nothing is kept, and the next one leases again. */
void shared_keep(struct engine *en, const struct request *rq, const struct lease *lease)
{
    struct share made = { .lease = lease->id,
                          .tenant = lease->tenant,
                          .key = lease->key,
                          .version = lease->version,
                          .used = ++en->shared->uses };
    struct share *old;

    if (!hash_asked(rq, made.asked))
        return;
    old = find(en, made.asked);
    if (old != NULL)
        drop(old);
    made.reply = json_deep_copy(rq->reply);
    if (made.reply == NULL)
        return;
    if (secret_copy(secret_view(rq->value), &made.value, NULL) != OK) {
        json_decref(made.reply);
        return;
    }
    *make_room(en) = made;
}

void shared_sweep(struct engine *en, bool versions)
{
    for (size_t i = 0; i < SHARED_MAX; i++) {
        struct share *s = &en->shared->list[i];

        if (s->value != NULL && (!is_live(en, s) || (versions && !is_current(en, s))))
            drop(s);
    }
}
