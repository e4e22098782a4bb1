/*
 * What is known of the providers whose keys are kept: names, and the attributes that every key has.
 * Pure data; the same in the daemon and in the command line program.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <stdint.h>

/* What a key may do at its provider. Stored: codes are never reused. An admin key is not leased. */
enum key_scope { SCOPE_INFERENCE = 1, SCOPE_ADMIN = 2, SCOPE_BILLING_READ = 3 };

/* What ending a lease of the key is worth. Stored: codes are never reused. */
enum key_class {
    CLASS_STATIC = 1,   /* we can only stop giving it out */
    CLASS_KILLABLE = 2, /* it can be revoked at the provider */
    CLASS_MINTED = 3    /* it expires at the provider by itself */
};

/* A provider's code; 0: unknown. Codes are bound into sealed keys and never reused. */
uint16_t provider_parse(const char *name);
const char *provider_name(uint16_t code); /* "unknown" for a code that is none */

/* "inference", "admin", "billing_read"; "static", "killable", "minted"; parse: 0 if unknown. */
uint8_t scope_parse(const char *name);
const char *scope_name(uint8_t scope);
uint8_t class_parse(const char *name);
const char *class_name(uint8_t class);

#endif
