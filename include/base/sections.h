/*
 * Text of the form that people write for Strongroom: lines "name = value" below headings
 * "[kind name]", and lines that begin with # for comments. Policies, cases and the catalogue of
 * providers are written so. A reader over borrowed text; every line has its number, so that
 * whoever complains can say where.
 */
#ifndef BASE_SECTIONS_H
#define BASE_SECTIONS_H

#include "base/bytes.h"
#include "base/status.h"

#define SECTIONS_LINE 1024 /* longest line */

struct sections {
    struct span rest;
    unsigned line;
};

/* One line that says something. Views of the text, without white space around them. */
struct sections_line {
    unsigned number; /* from 1 */
    bool heading;
    struct span name;  /* of a heading: the kind; else what is set */
    struct span value; /* of a heading: the name behind the kind, may be empty */
};

struct sections sections_of(struct span text);
/* The next such line; *ret_more false at the end, and the line is zero then. BAD_INPUT with the
 * line's number as detail (also in s->line): a line that is neither, is longer than SECTIONS_LINE,
 * or holds control characters. */
MUST_CHECK status sections_next(struct sections *s, struct sections_line *ret_line, bool *ret_more,
                                struct err *e);
/* The next word of *rest, words being apart by commas or white space; false when there is none. */
bool sections_word(struct span *rest, struct span *ret_word);

#endif
