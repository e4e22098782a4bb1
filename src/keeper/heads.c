/*
 * The current tree of every log, by log id. A batch changes trees as it goes; heads_undo puts
 * back every tree it touched, so a batch that is refused as a whole leaves nothing behind.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FIRST_BUCKETS 256

static size_t bucket_of(const struct heads *h, const struct id *log)
{
    struct in i = in_of(SPAN(log->b));
    uint64_t mixed = in_u64(&i) ^ h->seed;

    /* Ids are random but chosen by the server: the seed keeps it from piling them up. */
    mixed = (mixed ^ (mixed >> 32)) * 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ in_u64(&i)) * 0x9e3779b97f4a7c15U;
    return (size_t)(mixed >> 32) & (h->bucket_count - 1);
}

status heads_init(struct heads *h, struct err *e)
{
    *h = (struct heads){ .bucket_count = FIRST_BUCKETS };
    h->buckets = calloc(FIRST_BUCKETS, sizeof(*h->buckets));
    if (h->buckets == NULL)
        return fail(e, NO_MEMORY, "no memory for log heads", 0);
    random_bytes((struct mspan){ (uint8_t *)&h->seed, sizeof(h->seed) });
    return OK;
}

static void head_free(struct log_head *head)
{
    free(head->before);
    free(head);
}

void heads_clear(struct heads *h)
{
    for (size_t i = 0; i < h->bucket_count; i++) {
        while (h->buckets[i] != NULL) {
            struct log_head *head = h->buckets[i];
            h->buckets[i] = head->next;
            head_free(head);
        }
    }
    h->count = 0;
    h->records = 0;
    h->touched = NULL;
}

void heads_free(struct heads *h)
{
    if (h->buckets == NULL)
        return;
    heads_clear(h);
    free(h->buckets);
    h->buckets = NULL;
}

struct log_head *heads_find(const struct heads *h, const struct id *log)
{
    struct log_head *head = h->buckets[bucket_of(h, log)];

    while (head != NULL && !id_same(&head->tree.log, log))
        head = head->next;
    return head;
}

static void insert(struct heads *h, struct log_head *head)
{
    struct log_head **bucket = &h->buckets[bucket_of(h, &head->tree.log)];

    head->next = *bucket;
    *bucket = head;
}

/* Twice the buckets. Without memory for them the table only gets slower. */
static void grow(struct heads *h)
{
    struct heads larger = *h;

    larger.bucket_count *= 2;
    larger.buckets = calloc(larger.bucket_count, sizeof(*larger.buckets));
    if (larger.buckets == NULL)
        return;
    for (size_t i = 0; i < h->bucket_count; i++) {
        while (h->buckets[i] != NULL) {
            struct log_head *head = h->buckets[i];
            h->buckets[i] = head->next;
            insert(&larger, head);
        }
    }
    free(h->buckets);
    *h = larger;
}

static void mark_touched(struct heads *h, struct log_head *head)
{
    head->touched = true;
    head->next_touched = h->touched;
    h->touched = head;
}

status heads_add(struct heads *h, const struct ledger_tree *tree, enum heads_mode mode,
                 struct err *e)
{
    if (heads_find(h, &tree->log) != NULL)
        return fail(e, CONFLICT, "the log exists already", 0);
    if (h->count > LIMIT_TENANTS)
        return fail(e, LIMIT, "too many logs", 0);
    struct log_head *head = calloc(1, sizeof(*head));
    if (head == NULL)
        return fail(e, NO_MEMORY, "no memory for a log head", 0);
    head->tree = *tree;
    if (h->count >= h->bucket_count)
        grow(h);
    insert(h, head);
    h->count++;
    if (mode == HEADS_IN_BATCH)
        mark_touched(h, head);
    else
        h->records += tree->size;
    return OK;
}

status heads_touch(struct heads *h, struct log_head *head, struct err *e)
{
    if (head->touched)
        return OK;
    head->before = malloc(sizeof(*head->before));
    if (head->before == NULL)
        return fail(e, NO_MEMORY, "no memory for a log head", 0);
    *head->before = head->tree;
    mark_touched(h, head);
    return OK;
}

/* Takes the newest touched head off the list. */
static struct log_head *pop_touched(struct heads *h)
{
    struct log_head *head = h->touched;

    if (head != NULL) {
        h->touched = head->next_touched;
        head->next_touched = NULL;
        head->touched = false;
    }
    return head;
}

void heads_settle(struct heads *h)
{
    struct log_head *head;

    while ((head = pop_touched(h)) != NULL) {
        h->records += head->tree.size - (head->before != NULL ? head->before->size : 0);
        free(head->before);
        head->before = NULL;
    }
}

static void remove_head(struct heads *h, struct log_head *head)
{
    struct log_head **link = &h->buckets[bucket_of(h, &head->tree.log)];

    while (*link != head)
        link = &(*link)->next;
    *link = head->next;
    h->count--;
    head_free(head);
}

void heads_undo(struct heads *h)
{
    struct log_head *head;

    while ((head = pop_touched(h)) != NULL) {
        if (head->before == NULL) {
            remove_head(h, head);
            continue;
        }
        head->tree = *head->before;
        free(head->before);
        head->before = NULL;
    }
}
