/*
 * Every function that can fail returns a status, named by what the caller does
 * next and not by where the failure happened. struct err carries the reason.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdint.h>

typedef enum status {
    OK = 0,
    BAD_INPUT,   /* the caller sent something malformed: tell it what, change nothing */
    NO_IDENTITY, /* the peer did not prove who it is */
    DENIED,      /* known, but may not */
    NOT_FOUND,   /* no such thing, as far as this caller may know */
    CONFLICT,    /* exists already, or is in another state */
    LIMIT,       /* a bound was reached: smaller, later or fewer */
    LOCKED,      /* the vault is locked: unlock first */
    CORRUPT,     /* stored or received data failed a check: stop using it */
    IO,          /* the operating system refused: detail is errno */
    NO_MEMORY,   /* out of memory */
    BUG          /* an impossible answer from a library: refuse, keep serving */
} status;

#define STATUS_COUNT 12
#define MUST_CHECK   __attribute__((warn_unused_result))

/* What went wrong. Fixed size, no heap. The first writer wins, so the root cause survives. */
struct err {
    status code;
    const char *where; /* function name */
    const char *why;   /* a string literal, never caller data */
    int64_t detail;    /* errno, SQLite, FIDO or GnuTLS code; 0 if none */
};

/* Fills *e unless it holds a failure already, and returns code. e may be NULL. */
status err_note(struct err *e, status code, const char *where, const char *why, int64_t detail);

/* why must be a literal: caller data cannot reach a log line through here. (cmocka has a
 * fail() and a fail_msg() too: tests include it first and do without them.) */
#undef fail
#define fail(e, code, why, detail) err_note((e), (code), __func__, "" why "", (int64_t)(detail))

/* The code's name in lower case with hyphens ("bad-input"), a static string. */
const char *status_name(status code);

/* Scope-bound clean-up: AUTO(secret) *key = NULL; always initialised at birth. */
#define AUTO(type) __attribute__((cleanup(type##_cleanup))) struct type

#endif
