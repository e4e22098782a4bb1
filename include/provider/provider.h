/*
 * What is known of the providers whose keys are kept: the catalogue (providers/catalogue, which
 * says what its lines mean), and the attributes that every key has. Pure data, read once; the same
 * in the daemon and in the command line program. Thread-safe.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include "base/bytes.h"
#include "base/status.h"

/* What a key may do at its provider. Stored: codes are never reused. An admin key is not leased. */
enum key_scope { SCOPE_INFERENCE = 1, SCOPE_ADMIN = 2, SCOPE_BILLING_READ = 3 };

/* What ending a lease of the key is worth. Stored: codes are never reused. */
enum key_class {
    CLASS_STATIC = 1,   /* we can only stop giving it out */
    CLASS_KILLABLE = 2, /* it can be revoked at the provider */
    CLASS_MINTED = 3    /* it expires at the provider by itself */
};

#define PROVIDER_FIELDS    8
#define PROVIDER_FORMS     4
#define PROVIDER_HEADERS   6
#define PROVIDER_VARIABLES 8
#define PROVIDER_SHAPES    8

/* A part of the credential. */
struct provider_field {
    const char *name;  /* "key", "secret_access_key" */
    const char *title; /* for people */
    bool secret;       /* not to be shown while it is typed */
};

/* Fields that together are a credential. Bit i stands for field[i]. */
struct provider_form {
    uint8_t required;
    uint8_t optional;
};

/* A header or a variable: its name, and a template for provider_render (provider/credential.h). */
struct provider_text {
    const char *name; /* headers in lower case */
    const char *text;
};

enum alphabet {
    ALPHABET_TOKEN = 1, /* A-Z a-z 0-9 _ - */
    ALPHABET_ALNUM,
    ALPHABET_LOWER, /* a-z 0-9 */
    ALPHABET_UPPER, /* A-Z 0-9 */
    ALPHABET_HEX,   /* 0-9 a-f */
    ALPHABET_BASE64,
    ALPHABET_DOTTED /* token and . */
};

/* What a field's values have looked like so far: advice, never a condition. */
struct provider_shape {
    const char *prefix; /* "": none */
    uint16_t least;     /* characters behind the prefix */
    uint16_t most;
    uint8_t field;    /* index */
    uint8_t scope;    /* enum key_scope */
    uint8_t alphabet; /* enum alphabet, of what is behind the prefix */
};

struct provider {
    uint16_t code;
    const char *name;
    const char *title;
    struct provider_field field[PROVIDER_FIELDS];
    size_t field_count;
    struct provider_form form[PROVIDER_FORMS];
    size_t form_count;
    int bare;    /* the field that a value is which is no JSON object; -1: it must be one */
    bool object; /* a value may be a JSON object of the fields */
    bool open;   /* ... which then has members besides, that are kept */
    struct provider_text constant; /* a member that it must have, and its text; or NULL */
    struct provider_text header[PROVIDER_HEADERS];
    size_t header_count;                          /* 0: no header can carry it */
    struct provider_text envoy[PROVIDER_HEADERS]; /* Envoy AI Gateway's credential override */
    size_t envoy_count;
    struct provider_text variable[PROVIDER_VARIABLES];
    size_t variable_count;
    const char *file; /* variable that names a file with the whole value; NULL: none */
    struct provider_shape shape[PROVIDER_SHAPES];
    size_t shape_count;
};

/* Reads the catalogue, which the first use does otherwise. BUG if it is broken: there are no
 * providers then. detail: the line. */
MUST_CHECK status provider_start(struct err *e);

/* NULL for a code that is none, and behind the last. Rows live as long as the process. */
const struct provider *provider_of(uint16_t code);
const struct provider *provider_at(size_t i); /* in the catalogue's order */

/* A provider's code; 0: unknown. Codes are bound into sealed keys and never reused. */
uint16_t provider_parse(const char *name);
const char *provider_name(uint16_t code); /* "unknown" for a code that is none */

/* "inference", "admin", "billing_read"; "static", "killable", "minted"; parse: 0 if unknown. */
uint8_t scope_parse(const char *name);
const char *scope_name(uint8_t scope);
uint8_t class_parse(const char *name);
const char *class_name(uint8_t class);
const char *alphabet_name(uint8_t alphabet);

#endif
