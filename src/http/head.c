/*
 * Heads that two readers may understand differently. Somebody in front of the vault could be led to
 * see other borders between requests than libmicrohttpd does: such a request is refused, and its
 * connection ends with it, so that what follows is not read as another one.
 */
#include "internal.h"

#include <string.h>
#include <strings.h>

struct count {
    unsigned length, encoding, host;
    bool odd;
};

static enum MHD_Result count(void *context, enum MHD_ValueKind kind, const char *name,
                             const char *value)
{
    struct count *c = context;

    (void)kind;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        c->length++;
        c->odd |= value == NULL || *value == '\0' || strspn(value, "0123456789") != strlen(value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        c->encoding++;
        c->odd |= value == NULL || strcasecmp(value, "chunked") != 0;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
        c->host++;
    }
    c->odd |= strpbrk(name, " \t") != NULL;
    return MHD_YES;
}

void head_check(struct exchange *x)
{
    struct count c = { 0 };

    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count, &c);
    if (!c.odd && c.length + c.encoding <= 1 && c.host <= 1)
        return;
    x->last = true;
    x->status = MHD_HTTP_BAD_REQUEST;
    x->title = "bad-input";
    x->rq->verb = VERB_NONE;
    x->rq->err = (struct err){ 0 };
    err_note(&x->rq->err, BAD_INPUT, __func__, "the request's head can be read in two ways", 0);
}

static bool kept(bool path, uint8_t byte)
{
    return byte == 0 || (path && byte == '/');
}

/* Called for the path and for each name and value behind the question mark. A segment with a slash
 * in it is not two segments, and nothing ends at a NUL. */
size_t head_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    bool path = text[0] == '/'; /* no argument begins like that */
    const char *from = text;
    char *to = text;

    (void)context;
    (void)connection;
    while (*from != '\0') {
        uint8_t byte;

        if (*from == '%' && hex_parse(from + 1, strnlen(from + 1, 2), &byte, 1) &&
            !kept(path, byte)) {
            *to++ = (char)byte;
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}
