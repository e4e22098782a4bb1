#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct client {
    uint8_t key[32];
    struct request *first, *last;
    size_t count;
    struct client *next, *before; /* in the round; only those with requests are in it */
};

struct list {
    struct request *first, *last;
};

struct queue {
    size_t per_client;
    size_t size; /* without those to be refused */
    struct table clients;
    struct client *first, *last; /* the round */
    struct client crowd;         /* those for whom there was no memory */
    struct list refused;
};

status queue_new(size_t per_client, struct queue **ret_queue, struct err *e)
{
    struct queue *q = calloc(1, sizeof *q);

    if (q == NULL)
        return fail(e, NO_MEMORY, "no memory for the queue", 0);
    q->per_client = per_client;
    table_init(&q->clients, sizeof q->crowd.key);
    *ret_queue = q;
    return OK;
}

void queue_free(struct queue *q)
{
    if (q == NULL)
        return;
    table_clear_values(&q->clients);
    free(q);
}

/* A token is nobody's yet: without a certificate it is where it comes from that counts, or whoever
 * makes tokens up would be as many clients as it likes. The address's own half comes first, because
 * the first bytes are the hash. */
static void key_of_face(const struct compat_asked *face, uint8_t key[static 32])
{
    if (face->shown.role != ROLE_NONE) {
        memcpy(key, face->shown.spki, 32);
        return;
    }
    memset(key, 0, 32);
    memcpy(key, face->address + 8, 8);
    memcpy(key + 8, face->address, 8);
    key[31] = 1;
}

/* No certificate's hash is one of the constants. */
static void key_of(const struct request *rq, uint8_t key[static 32])
{
    if (rq->face.on)
        key_of_face(&rq->face, key);
    else if (rq->peer.role == ROLE_NONE)
        memset(key, 0, 32);
    else if (rq->peer.role == ROLE_LOCAL)
        memset(key, 0xff, 32);
    else
        memcpy(key, rq->peer.spki, 32);
}

static struct client *client_of(struct queue *q, const struct request *rq)
{
    uint8_t key[32];
    struct client *c;

    key_of(rq, key);
    c = table_find(&q->clients, key);
    if (c != NULL)
        return c;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return &q->crowd;
    memcpy(c->key, key, sizeof c->key);
    if (table_add(&q->clients, c->key, c, NULL) == OK)
        return c;
    free(c);
    return &q->crowd;
}

/* Puts c behind `before`, which is NULL at the beginning. */
static void round_put(struct queue *q, struct client *c, struct client *before)
{
    c->before = before;
    c->next = before == NULL ? q->first : before->next;
    *(c->before == NULL ? &q->first : &c->before->next) = c;
    *(c->next == NULL ? &q->last : &c->next->before) = c;
}

static void round_remove(struct queue *q, const struct client *c)
{
    *(c->before == NULL ? &q->first : &c->before->next) = c->next;
    *(c->next == NULL ? &q->last : &c->next->before) = c->before;
}

static void append(struct list *l, struct request *rq)
{
    rq->next = NULL;
    if (l->first == NULL)
        l->first = rq;
    else
        l->last->next = rq;
    l->last = rq;
}

void queue_add(struct queue *q, struct request *rq)
{
    struct client *c = client_of(q, rq);

    rq->next = NULL;
    if (q->per_client != 0 && c->count >= q->per_client && rq->wait_until == 0) {
        rq->crowded = true;
        append(&q->refused, rq);
        return;
    }
    if (c->first == NULL) {
        c->first = rq;
        round_put(q, c, q->last);
    } else {
        c->last->next = rq;
    }
    c->last = rq;
    c->count++;
    q->size++;
}

/* The first request of the client whose turn it is, which is last from now on. */
static struct request *next_in_turn(struct queue *q)
{
    struct client *c = q->first;
    struct request *rq = c->first;

    round_remove(q, c);
    c->first = rq->next;
    c->count--;
    q->size--;
    if (c->first != NULL)
        round_put(q, c, q->last);
    else if (c != &q->crowd)
        free(table_remove(&q->clients, c->key));
    return rq;
}

struct request *queue_take(struct queue *q, size_t max)
{
    struct list taken = { NULL, NULL };
    size_t count = 0;

    for (; count < max / 2 && q->refused.first != NULL; count++) {
        struct request *rq = q->refused.first;

        q->refused.first = rq->next;
        append(&taken, rq);
    }
    for (; count < max && q->first != NULL; count++)
        append(&taken, next_in_turn(q));
    return taken.first;
}

static struct request *reversed(struct request *list)
{
    struct request *turned = NULL;

    while (list != NULL) {
        struct request *rq = list;

        list = rq->next;
        rq->next = turned;
        turned = rq;
    }
    return turned;
}

static void return_one(struct queue *q, struct request *rq)
{
    struct client *c = client_of(q, rq);

    if (c->first == NULL)
        c->last = rq;
    else
        round_remove(q, c);
    rq->next = c->first;
    c->first = rq;
    c->count++;
    q->size++;
    round_put(q, c, NULL);
}

void queue_return(struct queue *q, struct request *list)
{
    list = reversed(list);
    while (list != NULL) {
        struct request *rq = list;

        list = rq->next;
        if (!rq->crowded) {
            return_one(q, rq);
            continue;
        }
        rq->next = q->refused.first;
        if (q->refused.first == NULL)
            q->refused.last = rq;
        q->refused.first = rq;
    }
}

size_t queue_size(const struct queue *q)
{
    return q->size;
}

size_t queue_clients(const struct queue *q)
{
    return q->clients.count + (q->crowd.count > 0);
}
