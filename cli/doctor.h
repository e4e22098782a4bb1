/* What the files of 'strongroom doctor' share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli.h"
#include "identity/identity.h"

/* What a check may need, and what an earlier one has found to be there. */
enum doctor_fact {
    HAS_SECRETS = 1, /* locked memory */
    HAS_PROFILE = 2,
    HAS_CERTIFICATE = 4, /* of this vault, expired or not */
    HAS_VAULT = 8,       /* it answers */
    HAS_TLS = 16         /* by TLS */
};

struct examination {
    struct cli *c;
    unsigned facts;
    const char *name;    /* of the check under way */
    enum exit_code code; /* if it fails */
    const char *place;   /* "here" or "vault" */
    json_t *findings;
    int worst; /* the exit code of the first that failed */
    struct holder holder;
    json_t *status; /* the vault's */
    char why[1024]; /* what other commands would have reported */
};

enum verdict { FINE, WARNED, FAILED, UNCHECKED, VERDICT_COUNT };
/* One row of the result; todo may be NULL. */
void found(struct examination *x, enum verdict v, const char *todo, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* GET path; what would be reported goes to x->why. */
int doctor_get(struct examination *x, const char *path, json_t **ret_reply);
/* x->why as a finding: what is wrong and, after its first sentence, what to do; else todo. */
void found_refusal(struct examination *x, enum verdict v, const char *todo);

/* doctor_profile.c */
void look_at_profile(struct examination *x);
void look_at_directory(struct examination *x);
void look_at_private_key(struct examination *x);
void look_at_pins(struct examination *x);
void look_at_certificate(struct examination *x);
void look_at_pair(struct examination *x);
void look_at_validity(struct examination *x);

/* doctor_key.c */
void look_at_hardware_keys(struct examination *x);

#endif
