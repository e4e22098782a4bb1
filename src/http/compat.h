/* The Vault-compatible face's own files, and bodies with secrets in them. */
#ifndef HTTP_COMPAT_H
#define HTTP_COMPAT_H

#include "internal.h"

/* pieces.c: a body in locked memory, wiped when it has been sent. */
struct piece {
    struct span text;
    bool escaped; /* it stands inside a JSON string, so that RFC 8259 section 7 counts */
};
struct MHD_Response *pieces_response(const struct piece *pieces, size_t count);

/* compat_request.c: what a request to the Vault-compatible face asks for, and its body. */
void compat_route(struct exchange *x, const char *method, const char *url);
void compat_body(struct exchange *x);
/* What it shows: address, certificate, token. */
void compat_identify(struct exchange *x);
const char *compat_token(const struct exchange *x); /* NULL; it lives as long as the exchange */
/* compat_reply.c */
enum MHD_Result compat_send(struct exchange *x);

#endif
