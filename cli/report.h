/*
 * What the user is told when something fails: one sentence on standard error that says what is
 * wrong and what to do next, and an exit code that says which kind of thing it was. A function of
 * this program that returns int returns such a code and has reported the failure already.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "base/bytes.h"
#include "base/status.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_DENIED = 3,
    EXIT_ABSENT = 4,
    EXIT_CONFLICT = 5,
    EXIT_LOCKED = 6,
    EXIT_UNVERIFIED = 7,
    EXIT_AUTHENTICATOR = 8,
    EXIT_UNREACHABLE = 9,
    EXIT_BOUND = 10,
    EXIT_CODE_COUNT = 11
};
const char *exit_meaning(enum exit_code code);

/* Writes "strongroom: ", the text with control characters replaced, a newline. Returns code. */
int report(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "strongroom: SUBJECT: reason"; the code follows from e. */
int report_err(const char *subject, const struct err *e);
/* The same where the detail of an IO failure is an errno. */
int report_file(const char *path, const struct err *e);
/* From now on what would be reported goes into out instead, without its prefix; NULL ends it. */
void report_catch(char *out, size_t cap);
/* Progress and questions: a line on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Standard output without a buffer that keeps what went through it. Failure to write is reported
 * once, at the end, by print_finish. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_span(struct span s);
int print_finish(int code);

/* Text from elsewhere must not steer the terminal: control characters become '?', in place. */
void text_tame(char *text);

#endif
