/*
 * Cases: requests written down with what a document is expected to say of each, in the form of
 * base/sections.h. [case NAME] begins one; its lines state the request (gateway, key, tenant,
 * provider, model, environment, classification, purpose, region, class, scope, at) and what is
 * expected (expect = allow or deny, rule = NAME).
 */
#ifndef POLICY_CASE_H
#define POLICY_CASE_H

#include "policy/decide.h"

struct policy_case {
    struct span name;
    unsigned line;
    struct policy_question question; /* class static and scope inference unless said */
    bool allow;
    struct span rule; /* that decides; may be empty: any, or none */
};

/* One after the other; views of the text. */
struct policy_cases {
    struct span rest;
    unsigned line;
};
struct policy_cases policy_cases_of(struct span text);
/* *ret_more false at the end. BAD_INPUT with *ret_trouble. Fuzzed. */
MUST_CHECK status policy_case_next(struct policy_cases *cases, struct policy_case *ret_case,
                                   bool *ret_more, struct policy_trouble *ret_trouble,
                                   struct err *e);

#endif
