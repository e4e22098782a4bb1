/* Certificates as gateways, operators and the vault's birth need them too. */
#ifndef ENGINE_CERTIFICATE_H
#define ENGINE_CERTIFICATE_H

#include "internal.h"

/* Signs rq's "csr" and fills c. */
status certificate_sign(const struct identity_ca *ca, const struct identity_request *request,
                        const struct request *rq, struct store_certificate *c, char *ret_pem,
                        struct err *e);
/* The same for a public key that has no certificate yet; shared with gateway_add. */
status certificate_make(struct engine *en, struct request *rq, enum role role, const char *name,
                        struct store_certificate *c, char *ret_pem, struct err *e);
status certificate_keep(struct engine *en, const struct store_certificate *c, struct err *e);
/* All of an operator of this name, in the open transaction. */
status certificates_revoke_operator(struct engine *en, const char *name, size_t *ret_count,
                                    struct err *e);

#endif
