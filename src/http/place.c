/*
 * How many connections each address has. libmicrohttpd counts for one daemon, and a listener has as
 * many as it has threads.
 */
#include "internal.h"

#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct place {
    uint8_t door;
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned count;
};

bool address_read(const struct sockaddr *from, uint8_t out[static 16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    memset(out, 0, 16);
    if (from != NULL && from->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, (const char *)from + offsetof(struct sockaddr_in, sin_addr), 4);
        return true;
    }
    if (from != NULL && from->sa_family == AF_INET6) {
        memcpy(out, (const char *)from + offsetof(struct sockaddr_in6, sin6_addr), 16);
        return true;
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = memcmp(x->address, y->address, sizeof x->address);

    return order != 0 ? order : (int)x->door - (int)y->door;
}

/* Under the lock. NULL: no memory. */
static struct place *find(struct places *all, const struct place *wanted)
{
    void *node = tfind(wanted, &all->root, compare);
    struct place *p;

    if (node != NULL)
        return *(struct place **)node;
    p = malloc(sizeof *p);
    if (p == NULL)
        return NULL;
    *p = *wanted;
    if (tsearch(p, &all->root, compare) != NULL)
        return p;
    free(p);
    return NULL;
}

bool place_take(struct loop *l, const struct sockaddr *from)
{
    struct http *h = l->http;
    struct place wanted = { .door = (uint8_t)l->door }, *p;

    if (h->settings.connections_per_address == 0 || !address_read(from, wanted.address))
        return true;
    place_leave(h, l->place); /* of one that came to nothing */
    l->place = NULL;
    pthread_mutex_lock(&h->places.lock);
    p = find(&h->places, &wanted);
    if (p != NULL && p->count < h->settings.connections_per_address) {
        p->count++;
        l->place = p;
    }
    pthread_mutex_unlock(&h->places.lock);
    return l->place != NULL;
}

void place_leave(struct http *h, struct place *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&h->places.lock);
    if (--p->count == 0) {
        tdelete(p, &h->places.root, compare);
        free(p);
    }
    pthread_mutex_unlock(&h->places.lock);
}
