/* One line of a document: what it sets, checked. */
#ifndef POLICY_SETTING_H
#define POLICY_SETTING_H

#include "policy/document.h"

/* The words of all rules; room for every word that the text can hold. */
struct words {
    struct policy_word *word;
    size_t count;
};

struct setting {
    struct span name;
    struct span value; /* a view of text */
    struct span text;  /* the whole document */
    uint16_t line;
    bool vault;
};

/* NULL, or why the line cannot be: a literal. */
const char *setting_of_rule(const struct setting *s, struct policy_rule *rule, struct words *words);
const char *setting_of_limits(const struct setting *s, struct policy_limits *limits);

/* What a rule without the line `scopes` is about. */
uint8_t setting_scopes_unnamed(bool deny);
/* As name_valid, of a view. */
bool setting_name_valid(struct span name);

#endif
