/* One question to a document, and its answer. */
#ifndef POLICY_DECIDE_H
#define POLICY_DECIDE_H

#include "policy/document.h"

/* What is known of the request. An empty text is not stated, and a condition on it fails. */
struct policy_question {
    struct span tenant;
    struct span key;
    struct span gateway;
    struct span provider;
    struct span model;
    struct span environment;
    struct span classification;
    struct span purpose;
    struct span region;
    uint8_t class;    /* enum key_class; 0: not known */
    uint8_t scope;    /* enum key_scope; 0: not known */
    uint64_t time_us; /* 0: not known */
};

/* What was used so far, of what a rule or the [limits] bound. The caller fills in what the limits
 * name. */
struct policy_use {
    uint64_t used[POLICY_LIMITS];
    uint64_t wait_s[POLICY_LIMITS]; /* until there is room again; 0: unknown */
};

/* Where facts come from: asked only for limits that are set. rule NULL: the [limits]. */
struct policy_facts {
    status (*use)(void *context, const struct policy_rule *rule, const struct policy_limits *limits,
                  struct policy_use *ret_use, struct err *e);
    void *context;
};

enum policy_answer {
    POLICY_ALLOWED,
    POLICY_DENIED,  /* by rule */
    POLICY_LIMITED, /* rule's limit, or that of the [limits] if rule is NULL, is reached */
    POLICY_NO_RULE  /* nothing matches */
};

struct policy_verdict {
    enum policy_answer answer;
    const struct policy_rule *rule;
    enum policy_limit limit;
    uint64_t wait_s;    /* with POLICY_LIMITED */
    uint64_t max_ttl_s; /* with POLICY_ALLOWED; 0: no bound of its own */
};

/* Denies come first; then the first rule that allows and whose limits are not reached decides.
 * facts NULL: no limit is ever reached. Fails as facts do, and then nothing is allowed. */
MUST_CHECK status policy_decide(const struct policy_document *d, const struct policy_question *q,
                                const struct policy_facts *facts,
                                struct policy_verdict *ret_verdict, struct err *e);

/* One condition of one rule, for whoever explains. */
enum policy_match { MATCH_UNNAMED, MATCH_HOLDS, MATCH_FAILS, MATCH_UNSTATED };
enum policy_match policy_condition_match(const struct policy_document *d,
                                         const struct policy_rule *rule,
                                         enum policy_condition condition,
                                         const struct policy_question *q);
bool policy_rule_matches(const struct policy_document *d, const struct policy_rule *rule,
                         const struct policy_question *q);

#endif
