/*
 * A walk through JSON text (RFC 8259) that copies nothing but what it is asked for. The error is
 * sticky: after it every step says no. Each value is taken or skipped exactly once:
 *
 *   struct list l = walk_open(w, '{');
 *   while (walk_member(w, &l, name, sizeof name)) { walk_text(...) or walk_skip(w) ... }
 *
 * A copy of the walk is a place in the text to come back to.
 */
#ifndef USAGE_WALK_H
#define USAGE_WALK_H

#include "base/bytes.h"

struct walk {
    const uint8_t *p;
    const uint8_t *end;
    unsigned depth;
    bool bad;
};

struct list {
    char close; /* '}' or ']'; 0: the value was no such list, and was skipped */
    bool begun;
};

struct walk walk_of(struct span text);
/* The first character of the next value; 0 at the end of the text. */
char walk_peek(struct walk *w);
/* '{' or '['. A value that is something else is skipped, and the list has no elements. */
struct list walk_open(struct walk *w, char open);
/* Whether there is another element; its value comes next. */
bool walk_element(struct walk *w, struct list *l);
/* The same of an object, and its name, which is empty if it does not fit or is not plain ASCII. */
bool walk_member(struct walk *w, struct list *l, char *name, size_t cap);
/* A string of printable ASCII that fits; false for any other value, which is skipped. */
bool walk_text(struct walk *w, char *out, size_t cap);
/* The text of a number; false for any other value, which is skipped. */
bool walk_number(struct walk *w, struct span *ret_text);
void walk_skip(struct walk *w);
/* Whether the value that comes next is null, false, "", {} or []. It stays the next. */
bool walk_empty(const struct walk *w);

#endif
