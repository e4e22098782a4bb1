/* A response with a secret in it, put together in locked memory that is wiped when it is done. */
#include "internal.h"

#include <string.h>

static void free_secret(void *context)
{
    secret_free(context);
}

static size_t escaped_length(struct span from)
{
    size_t n = 0;

    for (size_t i = 0; i < from.n; i++)
        n += from.p[i] < 0x20 ? 6 : from.p[i] == '"' || from.p[i] == '\\' ? 2 : 1;
    return n;
}

/* RFC 8259 section 7: what must be escaped in a string. Other bytes are passed on as they are. */
static size_t escape(struct span from, uint8_t *to)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;

    for (size_t i = 0; i < from.n; i++) {
        uint8_t c = from.p[i];

        if (c == '"' || c == '\\') {
            to[n++] = '\\';
            to[n++] = c;
        } else if (c < 0x20) {
            memcpy(to + n, "\\u00", 4);
            to[n + 4] = (uint8_t)hex[c >> 4];
            to[n + 5] = (uint8_t)hex[c & 15];
            n += 6;
        } else {
            to[n++] = c;
        }
    }
    return n;
}

struct MHD_Response *pieces_response(const struct piece *pieces, size_t count)
{
    struct MHD_Response *response;
    struct secret *text = NULL;
    size_t n = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        n += pieces[i].escaped ? escaped_length(pieces[i].text) : pieces[i].text.n;
    if (secret_new(n, &text, NULL) != OK)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].text.n == 0)
            continue;
        if (pieces[i].escaped) {
            at += escape(pieces[i].text, secret_fill(text).p + at);
        } else {
            memcpy(secret_fill(text).p + at, pieces[i].text.p, pieces[i].text.n);
            at += pieces[i].text.n;
        }
    }
    response = MHD_create_response_from_buffer_with_free_callback_cls(n, secret_fill(text).p,
                                                                      free_secret, text);
    if (response == NULL)
        secret_free(text);
    return response;
}
