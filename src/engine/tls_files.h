/* The public side of the vault on disk: CA certificate, server certificate, server key. */
#ifndef ENGINE_TLS_FILES_H
#define ENGINE_TLS_FILES_H

#include "internal.h"

/* A new CA and server certificate for vault, written to tls_dir; the CA and its private scalar. */
status tls_files_make(struct engine *en, const struct id *vault, struct secret **ret_ca_key,
                      struct identity_ca **ret_ca, struct err *e);
/* The vault that the files belong to, for when the keyring cannot be asked; zero if unknown. */
void tls_files_vault(const struct engine *en, struct id *ret_vault);
/* When the server certificate ends. */
status tls_files_end(const struct engine *en, uint64_t *ret_not_after_us, struct err *e);
/* Renews the server certificate in its last 30 days and calls tls_ready. */
status tls_files_renew(struct engine *en, struct err *e);

#endif
