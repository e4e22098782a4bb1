#include "witness.h"

#include <stdlib.h>
#include <string.h>

bool witness_size(struct span note, uint64_t *ret_size)
{
    const uint8_t *line = note.n == 0 ? NULL : memchr(note.p, '\n', note.n);
    const uint8_t *end;
    char text[24] = "";
    size_t left;

    if (line == NULL)
        return false;
    line++;
    left = note.n - (size_t)(line - note.p);
    end = left == 0 ? NULL : memchr(line, '\n', left);
    if (end == NULL || end == line || (size_t)(end - line) >= sizeof(text))
        return false;
    memcpy(text, line, (size_t)(end - line));
    return number_parse(text, 0, INT64_MAX, ret_size);
}

static bool read_size(const struct witness_answer *a, uint64_t *ret_size)
{
    char text[24] = "";

    if (strcmp(a->type, "text/x.tlog.size") != 0 || a->body.n < 2 || a->body.n > sizeof(text) ||
        a->body.p[a->body.n - 1] != '\n')
        return false;
    memcpy(text, a->body.p, a->body.n - 1);
    return number_parse(text, 0, INT64_MAX, ret_size);
}

enum witness_verdict witness_verdict(const struct witness_answer *a, uint64_t *ret_size)
{
    switch (a->status) {
    case 200: return WITNESS_SIGNED;
    case 403: return WITNESS_NO_KEY;
    case 404: return WITNESS_NO_LOG;
    case 409: return read_size(a, ret_size) ? WITNESS_OTHER_SIZE : WITNESS_FORK;
    case 422: return WITNESS_FORK;
    case 429: return WITNESS_BUSY;
    default: return a->status >= 500 ? WITNESS_BUSY : WITNESS_MISFIT;
    }
}

status witness_line(struct span body, struct span note, const struct note_key *key,
                    struct span *ret_line, uint64_t *ret_time_s, struct err *e)
{
    uint8_t *signed_note = malloc(note.n + body.n + 1);
    status st = NOT_FOUND;

    if (signed_note == NULL)
        return fail(e, NO_MEMORY, "no memory for a note", 0);
    memcpy(signed_note, note.p, note.n);
    while (body.n > 0 && st != OK) {
        const uint8_t *end = memchr(body.p, '\n', body.n);
        size_t n = end != NULL ? (size_t)(end - body.p) + 1 : 0;

        if (n == 0)
            break;
        memcpy(signed_note + note.n, body.p, n);
        /* Others' lines are none of our business: only this key's counts. */
        st = note_verify(span_of(signed_note, note.n + n), key, ret_time_s, NULL);
        if (st == OK)
            *ret_line = span_of(body.p, n - 1);
        body = span_of(body.p + n, body.n - n);
    }
    free(signed_note);
    return st == OK ? OK : fail(e, CORRUPT, "no good cosignature of the witness's key", 0);
}
