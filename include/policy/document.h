/*
 * Policy as code: one document of a tenant or of the vault, parsed once and asked with every lease.
 * Pure: the question holds what is known of a request, the facts what was used so far. Deciding
 * allocates nothing. The form is that of base/sections.h; docs/POLICY.md describes it for people.
 */
#ifndef POLICY_DOCUMENT_H
#define POLICY_DOCUMENT_H

#include "base/bytes.h"
#include "base/hours.h"
#include "base/status.h"

#define DOCUMENT_MAX   32768 /* bytes of text */
#define DOCUMENT_RULES 64

/* What a rule may demand. The first ones are lists of words of which one must be met. */
enum policy_condition {
    CONDITION_GATEWAYS,
    CONDITION_KEYS,    /* of a vault's document: pairs TENANT/KEY */
    CONDITION_TENANTS, /* of a vault's document only */
    CONDITION_PROVIDERS,
    CONDITION_MODELS,
    CONDITION_ENVIRONMENTS,
    CONDITION_CLASSIFICATIONS,
    CONDITION_PURPOSES,
    CONDITION_REGIONS,
    CONDITION_HOURS,
    CONDITION_CLASSES,
    CONDITION_SCOPES,
    CONDITION_COUNT
};
#define CONDITION_LISTS CONDITION_HOURS

enum policy_limit {
    POLICY_RATE_MINUTE,
    POLICY_RATE_HOUR,
    POLICY_CONCURRENT,
    POLICY_SPEND_DAY,   /* millionths of the account's currency unit */
    POLICY_SPEND_MONTH, /* the same */
    POLICY_LIMITS
};
/* "gateways"; "rate per minute": as reasons and people's output name them. */
const char *policy_condition_name(enum policy_condition condition);
const char *policy_limit_name(enum policy_limit limit);

struct policy_limits {
    uint64_t most[POLICY_LIMITS]; /* 0: no such limit */
    uint16_t line[POLICY_LIMITS];
};

/* A pattern: exactly this text, or with prefix what begins so. Offsets into the document. */
struct policy_word {
    uint16_t at;
    uint16_t n;
    bool prefix;
};

struct policy_rule {
    struct span name; /* of the document's text */
    uint16_t line;    /* of its heading */
    bool deny;
    uint16_t condition_line[CONDITION_COUNT]; /* 0: not named */
    struct policy_list {
        uint16_t first; /* of the document's words */
        uint16_t count; /* words, also where two are a pair */
    } list[CONDITION_LISTS];
    struct hours hours;
    uint8_t classes; /* 1 << enum key_class */
    uint8_t scopes;  /* 1 << enum key_scope; what an unnamed condition means, too */
    uint16_t max_ttl_line;
    uint32_t max_ttl_s; /* 0: only the vault's bound */
    struct policy_limits limits;
};

struct policy_document {
    bool vault;
    uint16_t rule_count;
    uint16_t word_count;
    uint16_t limits_line; /* 0: no [limits] */
    struct policy_limits limits;
    const char *text;
    const struct policy_rule *rules;
    const struct policy_word *words;
    size_t size; /* bytes of memory, all in one piece */
};

/* Where an error is and what it is about; why is a literal. */
struct policy_trouble {
    unsigned line; /* 0: the whole document */
    const char *why;
};

/* A document of a tenant or the vault; *ret_document is the caller's to free. BAD_INPUT with
 * *ret_trouble for whatever is unknown, doubled or malformed; LIMIT above DOCUMENT_MAX. An empty
 * text is a document without rules, which denies everything. Fuzzed. */
MUST_CHECK status policy_document_parse(struct span text, bool vault,
                                        struct policy_document **ret_document,
                                        struct policy_trouble *ret_trouble, struct err *e);
void policy_document_free(struct policy_document *d);
/* NULL if there is none of that name. */
const struct policy_rule *policy_document_rule(const struct policy_document *d, struct span name);
struct span policy_word_text(const struct policy_document *d, const struct policy_word *word);

/* "15m", "90s", "24h" as seconds within a day; "100.00" as millionths. false: something else. */
bool policy_duration_parse(struct span text, uint32_t *ret_seconds);
bool policy_money_parse(struct span text, uint64_t *ret_micro);

/* Is whatever new allows allowed by old too, and not for longer? Each of its rules must be within
 * the one of the same name, no limit be higher, and no deny be less. Errs towards false. */
bool policy_document_within(const struct policy_document *new, const struct policy_document *old);
/* The same of one rule's conditions, of one document or two. */
bool policy_rule_within(const struct policy_document *inner_document,
                        const struct policy_rule *inner,
                        const struct policy_document *outer_document,
                        const struct policy_rule *outer);

/* What is odd about a document that is well formed. */
struct policy_warning {
    unsigned line;
    const char *why;
    struct span other; /* the rule that is to blame, may be empty */
};
/* At most cap of them, in the order of lines; returns how many. */
size_t policy_document_review(const struct policy_document *d, struct policy_warning *out,
                              size_t cap);

#endif
