/* What the files of this module share. */
#ifndef POLICY_INTERNAL_H
#define POLICY_INTERNAL_H

#include "policy/policy.h"

/* assignment.c: (auditor, tenant) pairs in order. A check is one binary search. */
struct assignments;
struct assignments *assignments_new(void); /* NULL without memory */
void assignments_free(struct assignments *a);
MUST_CHECK status assignments_add(struct assignments *a, const char *auditor,
                                  const struct id *tenant, struct err *e);
void assignments_remove(struct assignments *a, const char *auditor, const struct id *tenant);
bool assignments_have(const struct assignments *a, const char *auditor, const struct id *tenant);
size_t assignments_count(const struct assignments *a, const char *auditor);

#endif
