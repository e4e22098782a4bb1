/* A proxy asks for a lease, and is answered with headers. */
#ifndef HTTP_AUTHZ_H
#define HTTP_AUTHZ_H

#include <microhttpd.h>
#include <stdbool.h>

#include "base/status.h"

struct exchange;

/* The query and headers of a proxy that asks, as the body of a lease. */
status authz_read(struct exchange *x, struct err *e);
void authz_map(unsigned *http);
/* NULL with *ret_again: x->rq is another request, to be submitted before there is an answer. */
struct MHD_Response *authz_response(struct exchange *x, bool *ret_again);

#endif
