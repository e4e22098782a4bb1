/* Which tenants a limited auditor sees: one sorted list, because it is read with every request and
 * changes when a person says so. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    char auditor[NAME_MAX_LENGTH + 1];
    struct id tenant;
};

struct assignments {
    struct pair *pairs;
    size_t count;
    size_t capacity;
};

struct assignments *assignments_new(void)
{
    return calloc(1, sizeof(struct assignments));
}

void assignments_free(struct assignments *a)
{
    if (a == NULL)
        return;
    free(a->pairs);
    free(a);
}

static int compare(const struct pair *pair, const char *auditor, const struct id *tenant)
{
    int order = strcmp(pair->auditor, auditor);

    return order != 0 ? order : memcmp(pair->tenant.b, tenant->b, sizeof tenant->b);
}

/* Where the pair is, or would be. */
static size_t place(const struct assignments *a, const char *auditor, const struct id *tenant)
{
    size_t low = 0, high = a->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&a->pairs[middle], auditor, tenant) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct assignments *a, size_t i, const char *auditor,
                  const struct id *tenant)
{
    return i < a->count && compare(&a->pairs[i], auditor, tenant) == 0;
}

status assignments_add(struct assignments *a, const char *auditor, const struct id *tenant,
                       struct err *e)
{
    size_t i = place(a, auditor, tenant);

    if (is_at(a, i, auditor, tenant))
        return OK;
    if (a->count == a->capacity) {
        size_t capacity = a->capacity == 0 ? 16 : a->capacity * 2;
        struct pair *wider = reallocarray(a->pairs, capacity, sizeof *wider); /* public */

        if (wider == NULL)
            return fail(e, NO_MEMORY, "no memory for an assignment", 0);
        a->pairs = wider;
        a->capacity = capacity;
    }
    memmove(&a->pairs[i + 1], &a->pairs[i], (a->count - i) * sizeof *a->pairs);
    snprintf(a->pairs[i].auditor, sizeof a->pairs[i].auditor, "%s", auditor);
    a->pairs[i].tenant = *tenant;
    a->count++;
    return OK;
}

void assignments_remove(struct assignments *a, const char *auditor, const struct id *tenant)
{
    size_t i = place(a, auditor, tenant);

    if (!is_at(a, i, auditor, tenant))
        return;
    a->count--;
    memmove(&a->pairs[i], &a->pairs[i + 1], (a->count - i) * sizeof *a->pairs);
}

bool assignments_have(const struct assignments *a, const char *auditor, const struct id *tenant)
{
    return is_at(a, place(a, auditor, tenant), auditor, tenant);
}

size_t assignments_count(const struct assignments *a, const char *auditor)
{
    static const struct id first;
    size_t from = place(a, auditor, &first), to = from;

    while (to < a->count && strcmp(a->pairs[to].auditor, auditor) == 0)
        to++;
    return to - from;
}
