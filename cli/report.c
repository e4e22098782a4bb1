/*
 * Everything the program writes leaves through here. Nothing in this file sees a secret but
 * print_span, which writes without a copy.
 */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096

static const struct {
    const char *meaning;
} exits[EXIT_CODE_COUNT] = {
    [EXIT_DONE] = { "done" },
    [EXIT_OTHER] = { "internal error, or a local file that cannot be read or written" },
    [EXIT_USAGE] = { "usage: a wrong option, argument or input; nothing changed" },
    [EXIT_DENIED] = { "denied, no valid certificate, or another region" },
    [EXIT_ABSENT] = { "no such thing" },
    [EXIT_CONFLICT] = { "it exists already or is in another state, or a pinned key differs" },
    [EXIT_LOCKED] = { "the vault is locked, empty or broken" },
    [EXIT_UNVERIFIED] = { "an audit trail does not verify" },
    [EXIT_AUTHENTICATOR] = { "hardware key: absent, not touched, wrong PIN, cancelled" },
    [EXIT_UNREACHABLE] = { "cannot connect to the vault" },
    [EXIT_BOUND] = { "a bound was reached, or the vault's disk is nearly full" },
};

/* The reaction of this program to each status. */
static const enum exit_code reactions[STATUS_COUNT] = {
    [OK] = EXIT_DONE,       [BAD_INPUT] = EXIT_USAGE,  [NO_IDENTITY] = EXIT_DENIED,
    [DENIED] = EXIT_DENIED, [NOT_FOUND] = EXIT_ABSENT, [CONFLICT] = EXIT_CONFLICT,
    [LIMIT] = EXIT_BOUND,   [LOCKED] = EXIT_LOCKED,    [CORRUPT] = EXIT_OTHER,
    [IO] = EXIT_OTHER,      [NO_MEMORY] = EXIT_OTHER,  [BUG] = EXIT_OTHER,
};

static bool output_failed;
static char *caught; /* what is reported goes there */
static size_t caught_cap;

const char *exit_meaning(enum exit_code code)
{
    return exits[code].meaning;
}

void text_tame(char *text)
{
    unsigned char *p = (unsigned char *)text;

    for (; *p != '\0'; p++) {
        /* C0, DEL, and the C1 range that UTF-8 writes as C2 80 to C2 9F. */
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

__attribute__((format(printf, 2, 0))) static void to_stderr(const char *prefix, const char *format,
                                                            va_list arguments)
{
    char text[TEXT_MAX];

    vsnprintf(text, sizeof(text), format, arguments);
    text_tame(text);
    fprintf(stderr, "%s%s\n", prefix, text);
}

int report(enum exit_code code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (caught != NULL) {
        vsnprintf(caught, caught_cap, format, arguments);
        text_tame(caught);
    } else {
        to_stderr("strongroom: ", format, arguments);
    }
    va_end(arguments);
    return (int)code;
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    to_stderr("", format, arguments);
    va_end(arguments);
}

void report_catch(char *out, size_t cap)
{
    caught = out;
    caught_cap = cap;
}

int report_err(const char *subject, const struct err *e)
{
    enum exit_code code = reactions[e->code];

    if (e->detail != 0)
        return report(code, "%s: %s (%lld)", subject, e->why, (long long)e->detail);
    return report(code, "%s: %s", subject, e->why);
}

int report_file(const char *path, const struct err *e)
{
    if (e->code != IO || e->detail == 0)
        return report_err(path, e);
    return report(EXIT_OTHER, "%s: %s: %s", path, e->why, strerror((int)e->detail));
}

void print_span(struct span s)
{
    while (s.n > 0 && !output_failed) {
        ssize_t n = write(STDOUT_FILENO, s.p, s.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            output_failed = true;
            return;
        }
        s.p += n;
        s.n -= (size_t)n;
    }
}

void print(const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    print_span(span_text(text));
}

int print_finish(int code)
{
    if (output_failed && code == EXIT_DONE)
        return report(EXIT_OTHER, "standard output: %s", strerror(errno));
    return code;
}
