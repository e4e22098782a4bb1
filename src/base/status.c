/*
 * The failure record. It keeps the first failure only: callers on the way up may add
 * their own view without hiding the root cause.
 */
#include "base/status.h"

#include <stddef.h>

status err_note(struct err *e, status code, const char *where, const char *why, int64_t detail)
{
    if (e != NULL && e->code == OK) {
        e->code = code;
        e->where = where;
        e->why = why;
        e->detail = detail;
    }
    return code;
}

const char *status_name(status code)
{
    static const char *const names[STATUS_COUNT] = {
        [OK] = "ok",         [BAD_INPUT] = "bad-input", [NO_IDENTITY] = "no-identity",
        [DENIED] = "denied", [NOT_FOUND] = "not-found", [CONFLICT] = "conflict",
        [LIMIT] = "limit",   [LOCKED] = "locked",       [CORRUPT] = "corrupt",
        [IO] = "io",         [NO_MEMORY] = "no-memory", [BUG] = "bug",
    };

    /* A code read from the wire or from disk may be anything. */
    if ((unsigned)code >= STATUS_COUNT)
        return "unknown";
    return names[code];
}
