/*
 * The current tree of every log, by log id. A batch changes trees as it goes; heads_undo puts
 * back every tree it touched, so a batch that is refused as a whole leaves nothing behind.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FIRST_BUCKETS 256
#define FIRST_LEAVES  64

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
    *h = (struct heads){ .bucket_count = FIRST_BUCKETS, .next_index = 1, .settled_index = 1 };
    h->buckets = calloc(FIRST_BUCKETS, sizeof(*h->buckets));
    if (h->buckets == NULL)
        return fail(e, NO_MEMORY, "no memory for log heads", 0);
    random_bytes((struct mspan){ (uint8_t *)&h->seed, sizeof(h->seed) });
    return OK;
}

/* A tree that is not used: as many as a batch has touched are kept for the next ones. */
struct spare {
    struct spare *next;
    struct ledger_tree tree;
};

static status remember(struct heads *h, struct log_head *head, struct err *e)
{
    struct spare *s = h->spares;

    if (s == NULL)
        s = malloc(sizeof(*s));
    else
        h->spares = s->next;
    if (s == NULL)
        return fail(e, NO_MEMORY, "no memory for a log head", 0);
    s->tree = head->tree;
    head->before = s;
    return OK;
}

static void forget(struct heads *h, struct log_head *head)
{
    if (head->before == NULL)
        return;
    head->before->next = h->spares;
    h->spares = head->before;
    head->before = NULL;
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
    while (h->spares != NULL) {
        struct spare *s = h->spares;
        h->spares = s->next;
        free(s);
    }
    h->count = 0;
    h->records = 0;
    h->touched = NULL;
    secret_wipe((struct mspan){ h->sum, sizeof(h->sum) });
    for (size_t i = 0; i < h->leaves_room; i++)
        h->leaves[i] = NULL;
    h->next_index = h->settled_index = 1;
}

void heads_free(struct heads *h)
{
    if (h->buckets == NULL)
        return;
    heads_clear(h);
    free(h->buckets);
    free(h->leaves);
    h->buckets = NULL;
    h->leaves = NULL;
    h->leaves_room = 0;
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

/* --- the sum of terms ------------------------------------------------------------------------ */

/* In four parts of 64 bits, the most significant first. */
struct number {
    uint64_t part[4];
};

static struct number number_of(const uint8_t bytes[static 32])
{
    struct in i = in_of(span_of(bytes, 32));
    struct number n;

    for (size_t k = 0; k < 4; k++)
        n.part[k] = in_u64(&i);
    return n;
}

static void number_put(const struct number *n, uint8_t bytes[static 32])
{
    struct out o;

    out_init(&o, bytes, 32);
    for (size_t k = 0; k < 4; k++)
        out_u64(&o, n->part[k]);
}

static void number_add(struct number *n, const uint8_t term[static 32])
{
    struct number other = number_of(term);
    bool carry = false;

    for (size_t k = 4; k-- > 0;) {
        bool over = __builtin_add_overflow(n->part[k], other.part[k], &n->part[k]);
        carry = __builtin_add_overflow(n->part[k], (uint64_t)carry, &n->part[k]) || over;
    }
}

static void number_subtract(struct number *n, const uint8_t term[static 32])
{
    struct number other = number_of(term);
    bool borrow = false;

    for (size_t k = 4; k-- > 0;) {
        bool under = __builtin_sub_overflow(n->part[k], other.part[k], &n->part[k]);
        borrow = __builtin_sub_overflow(n->part[k], (uint64_t)borrow, &n->part[k]) || under;
    }
}

struct heads_sum heads_sum(const struct heads *h)
{
    struct heads_sum s = { .records = h->records, .count = h->count };
    struct number sum = number_of(h->sum);

    for (const struct log_head *head = h->touched; head != NULL; head = head->next_touched) {
        s.records += head->tree.size - (head->before != NULL ? head->before->tree.size : 0);
        number_subtract(&sum, head->term);
        number_add(&sum, head->term_next);
    }
    number_put(&sum, s.sum);
    return s;
}

/* --- places in the vault tree ----------------------------------------------------------------- */

static bool has_place(const struct ledger_tree *tree)
{
    return tree->index != 0 || id_same(&tree->log, &ledger_log_vault);
}

/* Of the log that the head is of: nobody else's. */
static status take_place(struct heads *h, struct log_head *head, struct err *e)
{
    uint32_t index = head->tree.index;

    if (index >= (uint32_t)1 << COMMITMENT_LEVELS)
        return fail(e, LIMIT, "the vault tree is full", index);
    if (index >= h->leaves_room) {
        size_t room = h->leaves_room == 0 ? FIRST_LEAVES : h->leaves_room;
        while (room <= index)
            room *= 2;
        struct log_head **wider = realloc(h->leaves, room * sizeof(*wider)); /* public */
        if (wider == NULL)
            return fail(e, NO_MEMORY, "no memory for log heads", 0);
        for (size_t i = h->leaves_room; i < room; i++)
            wider[i] = NULL;
        h->leaves = wider;
        h->leaves_room = room;
    }
    if (h->leaves[index] != NULL)
        return fail(e, CORRUPT, "two logs have one place in the vault tree", index);
    h->leaves[index] = head;
    if (index >= h->next_index)
        h->next_index = index + 1;
    return OK;
}

static void leave_place(struct heads *h, const struct log_head *head)
{
    if (head->tree.index < h->leaves_room && h->leaves[head->tree.index] == head)
        h->leaves[head->tree.index] = NULL;
}

status heads_place(struct heads *h, struct log_head *head, struct err *e)
{
    if (has_place(&head->tree) || id_same(&head->tree.log, &ledger_log_tree))
        return OK;
    head->tree.index = h->next_index;
    status st = take_place(h, head, e);
    if (st != OK)
        head->tree.index = 0;
    return st;
}

/* --- changes ---------------------------------------------------------------------------------- */

status heads_add(struct heads *h, const struct ledger_tree *tree, const uint8_t *term,
                 enum heads_mode mode, struct err *e)
{
    if (heads_find(h, &tree->log) != NULL)
        return fail(e, CONFLICT, "the log exists already", 0);
    if (h->count > LIMIT_TENANTS + 1)
        return fail(e, LIMIT, "too many logs", 0);
    struct log_head *head = calloc(1, sizeof(*head));
    if (head == NULL)
        return fail(e, NO_MEMORY, "no memory for a log head", 0);
    head->tree = *tree;
    if (term != NULL) {
        struct number sum = number_of(h->sum);
        memcpy(head->term, term, sizeof(head->term));
        number_add(&sum, term);
        number_put(&sum, h->sum);
    }
    if (has_place(tree)) {
        status st = take_place(h, head, e);
        if (st != OK) {
            free(head);
            return st;
        }
    }
    if (h->count >= h->bucket_count)
        grow(h);
    insert(h, head);
    h->count++;
    if (mode == HEADS_IN_BATCH)
        mark_touched(h, head);
    if (mode == HEADS_LOADED) {
        h->records += tree->size;
        h->settled_index = h->next_index;
    }
    return OK;
}

status heads_touch(struct heads *h, struct log_head *head, struct err *e)
{
    if (head->touched)
        return OK;
    status st = remember(h, head, e);
    if (st == OK)
        mark_touched(h, head);
    return st;
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
    struct heads_sum s = heads_sum(h);
    struct log_head *head;

    h->records = s.records;
    memcpy(h->sum, s.sum, sizeof(h->sum));
    h->settled_index = h->next_index;
    while ((head = pop_touched(h)) != NULL) {
        head->at = h->records;
        memcpy(head->term, head->term_next, sizeof(head->term));
        forget(h, head);
    }
}

static void remove_head(struct heads *h, struct log_head *head)
{
    struct log_head **link = &h->buckets[bucket_of(h, &head->tree.log)];

    while (*link != head)
        link = &(*link)->next;
    *link = head->next;
    leave_place(h, head);
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
        if (head->before->tree.index != head->tree.index)
            leave_place(h, head);
        head->tree = head->before->tree;
        forget(h, head);
    }
    h->next_index = h->settled_index;
}
